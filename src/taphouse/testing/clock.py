"""A clock that jumps: hours pass in a test without anybody waiting.

Satisfies ``taphouse.runtime.Clock``.  It must never look at the real time.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any

__all__ = ["JumpingClock", "JumpingTimer", "settle"]

_TURNS = 10


class JumpingTimer:
    """A call that waits for its moment on a `JumpingClock`."""

    def __init__(self, when_s: float, function: Callable[..., object], args: tuple[Any, ...]) -> None:
        self.when_s = when_s
        self.is_cancelled = False
        self._function = function
        self._args = args
        self._context: Context = copy_context()

    def cancel(self) -> None:
        """Let it never happen."""
        self.is_cancelled = True

    def fire(self) -> None:
        """Let it happen."""
        if not self.is_cancelled:
            self._context.run(self._function, *self._args)


class JumpingClock:
    """Time that stands still until it is told to jump.

    Args:
        start_s: the wall clock at the beginning, seconds since 1970.
    """

    def __init__(self, start_s: float = 1_000_000_000.0) -> None:
        self._start_s = start_s
        self._passed_s = 0.0
        self._set_off_s = 0.0
        self._order = itertools.count()
        self._timers: list[tuple[float, int, JumpingTimer]] = []

    def time(self) -> float:
        """Return the wall clock."""
        return self._start_s + self._passed_s + self._set_off_s

    def monotonic(self) -> float:
        """Return the seconds that passed since the clock was made."""
        return self._passed_s

    def call_later(self, delay_s: float, function: Callable[..., object], *args: Any) -> JumpingTimer:
        """Call ``function(*args)`` when ``delay_s`` seconds have been jumped over."""
        timer = JumpingTimer(self._passed_s + max(0.0, delay_s), function, args)
        heapq.heappush(self._timers, (timer.when_s, next(self._order), timer))
        return timer

    async def sleep(self, delay_s: float) -> None:
        """Wait until ``delay_s`` seconds have been jumped over."""
        if delay_s <= 0:
            await asyncio.sleep(0)
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = self.call_later(delay_s, _finish, done)
        try:
            await done
        finally:
            timer.cancel()

    @property
    def waiting(self) -> int:
        """How many timers wait."""
        return sum(not timer.is_cancelled for _, _, timer in self._timers)

    @property
    def next_s(self) -> float | None:
        """Seconds until the next timer; None if none waits."""
        live = [when for when, _, timer in self._timers if not timer.is_cancelled]
        return min(live) - self._passed_s if live else None

    def set_wall_clock(self, seconds: float) -> None:
        """Set the wall clock ahead (or back, if negative) as an administrator would: no timer moves."""
        self._set_off_s += seconds

    async def jump(self, seconds: float) -> None:
        """Let ``seconds`` pass: what falls due happens in order, and the loop runs in between."""
        end_s = self._passed_s + seconds
        await settle()
        while self._timers and self._timers[0][0] <= end_s:
            when_s, _, timer = heapq.heappop(self._timers)
            self._passed_s = max(self._passed_s, when_s)
            timer.fire()
            await settle()
        self._passed_s = end_s


async def settle(turns: int = _TURNS) -> None:
    """Let the loop run a few turns, so that tasks that can go on have gone on."""
    for _ in range(turns):
        await asyncio.sleep(0)


def _finish(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)
