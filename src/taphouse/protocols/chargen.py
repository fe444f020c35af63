"""Chargen: RFC 864.  Sends the printable characters round and round.

Lines of 72 characters, each one further along the 95 of ASCII.
"""

from __future__ import annotations

import asyncio
import random
import string
from collections.abc import Callable

from taphouse.app import Protocol
from taphouse.protocols.answering import AnsweringUDP

__all__ = ["Chargen", "ChargenUDP"]

_RING = " " + "".join(sorted(string.digits + string.ascii_letters + string.punctuation))
_CYCLE = "".join((_RING * 2)[n : n + 72] + "\r\n" for n in range(len(_RING))).encode("ascii")


class Chargen(Protocol):
    """The character generator on TCP: as fast as the peer reads, one round of 7,030 bytes a turn of the loop.

    Not more a turn: a peer on this machine can take more than a processor can
    make, and the others want their turn too.
    """

    stateless = True
    _next: asyncio.Handle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        super().connection_made(transport)
        self.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self.pause_writing()

    def data_received(self, data: bytes) -> None:
        """Throw it away."""

    def pause_writing(self) -> None:
        """The peer has enough for now."""
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def resume_writing(self) -> None:
        """Go on in the next turn."""
        if self._next is None:
            self._next = asyncio.get_running_loop().call_soon(self._round)

    def _round(self) -> None:
        self._next = None
        if self.transport.is_closing():
            return
        # Asked for before writing: write() may answer with pause_writing().
        self.resume_writing()
        self.transport.write(_CYCLE)


class ChargenUDP(AnsweringUDP):
    """The character generator on UDP: 1 to 512 characters for each datagram.

    RFC 864 would allow none as well, but event loops send no empty datagram: one client in 513 would
    wait for ever.
    """

    random_int: Callable[[int, int], int] = staticmethod(random.randint)
    """Chooses how many: ``random_int(1, 512)``."""

    def answer(self, data: bytes) -> bytes:
        """Return some characters, whatever was asked."""
        return _CYCLE[: self.random_int(1, 512)]
