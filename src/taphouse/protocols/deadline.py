"""Deadline: a timer that is cheap to put off.

A connection that is never idle puts its deadline off with every read; moving a
loop's timer each time would cost more than the read.  So a restart only notes
the time, and the timer, when it fires, looks whether it was put off and sleeps
the rest.  It must not know what it is for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["Deadline"]


class Deadline:
    """Calls ``expired`` once when ``seconds`` have passed since the last :meth:`restart`.

    Args:
        seconds: how long; above 0.
        expired: what to call.
    """

    __slots__ = ("_at", "_expired", "_handle", "_loop", "_seconds")

    def __init__(self, seconds: float, expired: Callable[[], None]) -> None:
        if seconds <= 0:
            raise ValueError(f"a deadline needs seconds above 0, got {seconds!r}")
        self._seconds = seconds
        self._expired = expired
        self._loop = asyncio.get_running_loop()
        self._at: float | None = None
        self._handle: asyncio.TimerHandle | None = None

    @property
    def is_set(self) -> bool:
        """Whether it is running."""
        return self._at is not None

    def restart(self) -> None:
        """Begin to count, or begin again."""
        self._at = self._loop.time() + self._seconds
        if self._handle is None:
            self._handle = self._loop.call_at(self._at, self._fire)

    def pause(self) -> None:
        """Stop counting; the timer stays, for a soon :meth:`restart`."""
        self._at = None

    def stop(self) -> None:
        """Stop counting and give the timer back."""
        self._at = None
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _fire(self) -> None:
        self._handle = None
        if self._at is None:
            return
        if self._loop.time() < self._at:
            self._handle = self._loop.call_at(self._at, self._fire)
            return
        self._at = None
        self._expired()
