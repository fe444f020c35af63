"""Time: RFC 868.  Sends the seconds since 1900 in four bytes and closes.

The count wraps around in February 2036; so do we, and clients that compare
differences go on.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Callable

from taphouse.app import Protocol
from taphouse.protocols.answering import AnsweringUDP

__all__ = ["Time", "TimeUDP"]

# RFC 868: "the time 2,208,988,800 corresponds to 00:00 1 Jan 1970 GMT".
_FROM_1900_TO_1970_S = 2_208_988_800


class Time(Protocol):
    """The time service on TCP."""

    stateless = True

    now_s: Callable[[], float] = staticmethod(time.time)
    """The wall clock, seconds since 1970."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the time and close."""
        super().connection_made(transport)
        self.transport.write(time_bytes(self.now_s()))
        self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Throw it away."""


class TimeUDP(AnsweringUDP):
    """The time service on UDP."""

    now_s: Callable[[], float] = staticmethod(time.time)
    """The wall clock, seconds since 1970."""

    def answer(self, data: bytes) -> bytes:
        """Return the time, whatever was asked."""
        return time_bytes(self.now_s())


def time_bytes(now_s: float) -> bytes:
    """Return ``now_s``, seconds since 1970, as RFC 868 wants it."""
    return struct.pack("!I", (int(now_s) + _FROM_1900_TO_1970_S) % 2**32)
