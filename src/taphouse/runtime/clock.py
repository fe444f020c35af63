"""Time, as the runtime asks for it: one object, so that a test can make it jump.

Must never know what waits.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Protocol

__all__ = ["Clock", "LoopClock", "Timer"]


class Timer(Protocol):
    """A call that waits; asyncio's TimerHandle is one."""

    def cancel(self) -> None:
        """Let it never happen."""


class Clock(Protocol):
    """Where the runtime gets time and timers from."""

    def time(self) -> float:
        """Return the wall clock, seconds since 1970."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""

    def call_later(self, delay_s: float, function: Callable[..., object], *args: Any) -> Timer:
        """Call ``function(*args)`` on the loop after ``delay_s`` seconds."""

    async def sleep(self, delay_s: float) -> None:
        """Wait ``delay_s`` seconds."""


class LoopClock:
    """The real time, and the timers of the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def time(self) -> float:
        """Return the wall clock, seconds since 1970."""
        return time.time()

    def monotonic(self) -> float:
        """Return the loop's own clock."""
        return self._loop.time()

    def call_later(self, delay_s: float, function: Callable[..., object], *args: Any) -> Timer:
        """Call ``function(*args)`` on the loop after ``delay_s`` seconds."""
        return self._loop.call_later(delay_s, function, *args)

    async def sleep(self, delay_s: float) -> None:
        """Wait ``delay_s`` seconds."""
        await asyncio.sleep(delay_s)
