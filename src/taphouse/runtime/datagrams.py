"""One UDP endpoint: the object between a real datagram transport and a user's protocol.

The twin of `taphouse.runtime.connection` for datagrams.  It must never know
what a factory, a tap or an epoch is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from taphouse.runtime.gate import Gate

__all__ = ["Endpoint"]

_log = logging.getLogger("taphouse.runtime")
_MOST_KEPT = 10_000


class Endpoint(asyncio.DatagramTransport, asyncio.BaseProtocol):
    """A datagram endpoint: protocol towards the loop, transport towards the user's protocol.

    Args:
        protocol: the user's datagram protocol.
        gate: says whether datagrams have to wait.
        on_lost: called once when the endpoint is gone.
        label: how its log lines are marked.
    """

    __slots__ = (
        "_gate",
        "_is_closing",
        "_kept",
        "_on_lost",
        "_raw",
        "datagram_received",
        "label",
        "protocol",
    )

    datagram_received: Callable[[bytes, Any], None]

    def __init__(
        self,
        protocol: asyncio.DatagramProtocol,
        gate: Gate,
        on_lost: Callable[[Endpoint], None] | None = None,
        label: str = "-",
    ) -> None:
        self.protocol = protocol
        self.label = label
        self._gate = gate
        self._kept: list[Any] | None = None
        self._is_closing = False
        self._on_lost = on_lost
        self._raw: asyncio.DatagramTransport | None = None
        # A slot and not a method: a datagram that arrives costs no call of ours.
        self.datagram_received = protocol.datagram_received

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over from the loop: ask the owner for a protocol and tell it."""
        self._raw = transport  # type: ignore[assignment]  # uvloop's transports register no base class
        self.protocol.connection_made(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the protocol, then the owner, and let go of both."""
        try:
            self.protocol.connection_lost(exc)
        except Exception:
            _log.exception("connection_lost failed")
        finally:
            if self._on_lost is not None:
                self._on_lost(self)

    def error_received(self, exc: Exception) -> None:
        """Pass on an error of an earlier send."""
        self.protocol.error_received(exc)

    def pause_writing(self) -> None:
        """Pass on that the peer does not read."""
        self.protocol.pause_writing()

    def resume_writing(self) -> None:
        """Pass on that there is room again."""
        self.protocol.resume_writing()

    def log_label(self) -> str:
        """Return how log lines of this endpoint are marked."""
        return self.label

    @property
    def raw(self) -> asyncio.DatagramTransport:
        """The loop's transport underneath."""
        if self._raw is None:
            raise RuntimeError("the endpoint is not open yet")
        return self._raw

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the user's protocol."""
        return self.protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand the endpoint to another protocol."""
        self.protocol = protocol  # type: ignore[assignment]
        self.datagram_received = self.protocol.datagram_received
        self.raw.set_protocol(self)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the transport underneath knows."""
        return default if self._raw is None else self._raw.get_extra_info(name, default)

    def sendto(self, data: bytes | bytearray | memoryview, addr: Any = None) -> None:
        """Send one datagram."""
        if not self._gate.closed:
            self.raw.sendto(data, addr)
        elif not self._is_closing:
            # What is no buffer is refused as it is by an open gate; bytes(17) would be seventeen zeros.
            self._keep((data if type(data) is bytes else bytes(memoryview(data)), addr))

    def close(self) -> None:
        """Send what is written, then close."""
        if not self._gate.closed:
            self.raw.close()
        elif not self._is_closing:
            self._keep(None)
            self._is_closing = True

    def abort(self) -> None:
        """Close at once; what is not sent is lost."""
        self.forget_kept()
        self.raw.abort()

    def is_closing(self) -> bool:
        """Say whether it is closed or about to be."""
        return self._raw is None or self._is_closing or self._raw.is_closing()

    # -- keeping, see `taphouse.runtime.gate.Keeper`

    def _keep(self, item: tuple[bytes, Any] | None) -> None:
        if self._kept is None:
            self._kept = []
            self._gate.keep(self)
        # The network drops datagrams too when it is full; the end of the endpoint is none.
        if item is None or len(self._kept) < _MOST_KEPT:
            self._kept.append(item)

    def take_kept(self) -> list[Any]:
        """Return what is kept, in order, and keep nothing of it any more."""
        kept, self._kept = self._kept, None
        return kept or []

    def peek_kept(self) -> list[Any]:
        """Return what is kept, and keep it."""
        return self._kept or []

    def let_go(self, kept: list[Any]) -> None:
        """Send what was taken."""
        for item in kept:
            if self.raw.is_closing():
                return
            if item is None:
                self.raw.close()
            else:
                self.raw.sendto(*item)

    def forget_kept(self) -> None:
        """Drop what is kept."""
        self._kept = None
