"""Daytime: RFC 867.  Sends date and time for people and closes.

``Sunday, November 22, 2026 17:33:05-UTC``, the first form the RFC suggests, in
English whatever the locale.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from taphouse.app import Protocol
from taphouse.protocols.answering import AnsweringUDP

__all__ = ["Daytime", "DaytimeUDP"]

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


class Daytime(Protocol):
    """The daytime service on TCP."""

    stateless = True

    now: Callable[[], time.struct_time] = staticmethod(time.localtime)
    """The clock on the wall."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the line and close."""
        super().connection_made(transport)
        self.transport.write(daytime_line(self.now()))
        self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Throw it away."""


class DaytimeUDP(AnsweringUDP):
    """The daytime service on UDP."""

    now: Callable[[], time.struct_time] = staticmethod(time.localtime)
    """The clock on the wall."""

    def answer(self, data: bytes) -> bytes:
        """Return the line, whatever was asked."""
        return daytime_line(self.now())


def daytime_line(now: time.struct_time) -> bytes:
    """Return ``now`` as one line."""
    zone = now.tm_zone or "UTC"
    line = (
        f"{_DAYS[now.tm_wday]}, {_MONTHS[now.tm_mon - 1]} {now.tm_mday}, {now.tm_year} "
        f"{now.tm_hour:02}:{now.tm_min:02}:{now.tm_sec:02}-{zone}\r\n"
    )
    return line.encode("ascii", "replace")
