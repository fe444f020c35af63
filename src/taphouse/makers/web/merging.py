"""A transport that sends the head of a response together with what follows it in the same turn.

uvicorn writes head and body apart, and an event loop hands each to the kernel:
two system calls for most responses, a tenth of what they cost.  This module must
never know HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

__all__ = ["MergingTransport"]

_SHORT_BYTES: Final = 4096
_LONG_BYTES: Final = 256 * 1024


class MergingTransport(asyncio.Transport):
    """Keeps what is short until the next write, the end of the turn at the latest.

    Args:
        raw: the connection.
        call_soon: the loop's.
    """

    __slots__ = ("_call_soon", "_early", "is_closing", "raw")

    def __init__(self, raw: Any, call_soon: Callable[..., object]) -> None:
        # Not asyncio.Transport.__init__, whose extra info would stay empty.
        self.raw = raw
        self.is_closing: Callable[[], bool] = raw.is_closing  # asked for each response
        self._call_soon = call_soon
        self._early: bytes | None = None

    def write(self, data: Any) -> None:
        """Send ``data``, with the next write if that comes in this turn."""
        if type(data) is not bytes:
            data = bytes(data)  # it may change before it is sent
        early = self._early
        if early is not None:
            self._early = None
            if len(data) > _LONG_BYTES:  # not worth a copy
                self.raw.write(early)
                self.raw.write(data)
            else:
                self.raw.write(early + data)
        elif len(data) > _SHORT_BYTES:
            self.raw.write(data)
        else:
            self._early = data
            self._call_soon(self.flush)

    def flush(self) -> None:
        """Send what is kept."""
        early = self._early
        if early is not None:
            self._early = None
            if not self.raw.is_closing():
                self.raw.write(early)

    def close(self) -> None:
        """Send what is written, then close."""
        self.flush()
        self.raw.close()

    def abort(self) -> None:
        """Close at once; what is not sent is lost."""
        self._early = None
        self.raw.abort()

    def write_eof(self) -> None:
        """Send what is written, then end our side."""
        self.flush()
        self.raw.write_eof()

    def can_write_eof(self) -> bool:
        """Say whether one side can end alone."""
        return bool(self.raw.can_write_eof())

    def pause_reading(self) -> None:
        """Take no more from the peer for now."""
        self.raw.pause_reading()

    def resume_reading(self) -> None:
        """Take from the peer again."""
        self.raw.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the connection knows."""
        return self.raw.get_extra_info(name, default)

    def log_label(self) -> str:
        """Return how log lines of the connection are marked."""
        return str(self.raw.log_label())
