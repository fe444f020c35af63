"""Discard: RFC 863.  Throws away whatever it gets and never answers."""

from __future__ import annotations

from typing import Any

from taphouse.app import DatagramProtocol, Protocol

__all__ = ["Discard", "DiscardUDP"]


class Discard(Protocol):
    """The discard service on TCP."""

    stateless = True

    def data_received(self, data: bytes) -> None:
        """Throw it away."""


class DiscardUDP(DatagramProtocol):
    """The discard service on UDP."""

    stateless = True

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Throw it away."""
