"""Make delayed and periodic calls when their time has come.

What is due, and how a firing is accounted for, is `taphouse.app`'s; what is
added here is the waiting.  A call is taken off the schedule *inside* the task
that makes it: both then fall into one turn of the loop, so one commit.  It must
never know the store.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import math
from collections import deque
from typing import Any, Protocol

from taphouse.app import ScheduledCall, anchor_calls, calls_due
from taphouse.runtime.clock import Clock, Timer

__all__ = ["Scheduler"]

_log = logging.getLogger("taphouse.runtime")

# The wall clock may be set while we wait; nobody is told, so it is looked at.
_LONGEST_WAIT_S = 30.0


class _Scheduled(Protocol):
    schedule: dict[int, ScheduledCall]


class Scheduler:
    """Waits for the next call of ``app.schedule`` and makes it.

    Args:
        app: whose schedule.
        clock: wall clock and timers.
        gap_s: overdue calls start so far apart, in due order.
    """

    def __init__(self, app: _Scheduled, clock: Clock, gap_s: float) -> None:
        self._app = app
        self._clock = clock
        self._gap_s = gap_s
        self._timer: Timer | None = None
        self._armed_for_s = math.inf
        self._open = False
        self._overdue: deque[ScheduledCall] = deque()
        self._at_work: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def anchor(self) -> None:
        """Give calls that were declared before the first start their time."""
        anchor_calls(self._app.schedule, self._clock.time())

    def start(self) -> None:
        """Make calls from now on."""
        self._open = True
        self.anchor()
        self._arm_next()

    def added(self) -> None:
        """A call was entered: give it its time at once, so that it is committed with the entry."""
        newest = next(reversed(self._app.schedule.values()), None)
        if newest is not None:
            if newest.due_s is None:
                newest.due_s = self._clock.time() + newest.seconds
            self._consider(newest.due_s)

    def abort(self) -> None:
        """Begin no more calls and end those at work, without waiting."""
        self._open = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for task in self._tasks:
            task.cancel()

    async def close(self, deadline_s: float) -> None:
        """Begin no more calls; those at work are waited for, then cancelled."""
        self._open = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=deadline_s)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=deadline_s)

    def _consider(self, due_s: float) -> None:
        if self._open and due_s < self._armed_for_s:
            self._arm(due_s)

    def _arm(self, due_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._armed_for_s = due_s
        wait_s = min(max(due_s - self._clock.time(), 0.0), _LONGEST_WAIT_S)
        self._timer = self._clock.call_later(wait_s, self._look)

    def _arm_next(self) -> None:
        waiting = (c.due_s for c in self._app.schedule.values() if c.number not in self._at_work)
        due_s = min((due for due in waiting if due is not None), default=None)
        if due_s is not None and self._open:
            self._arm(due_s)

    def _look(self) -> None:
        self._timer = None
        self._armed_for_s = math.inf
        if not self._overdue:
            due = calls_due(self._app.schedule, self._clock.time())
            self._overdue.extend(call for call in due if call.number not in self._at_work)
        if self._overdue:
            call = self._overdue.popleft()
            self._at_work.add(call.number)
            task = asyncio.get_running_loop().create_task(self._make(call))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if self._overdue:
            # The rest of a crowd goes out one by one, so that it does not stop everything else.
            self._armed_for_s = -math.inf
            self._timer = self._clock.call_later(self._gap_s, self._look)
        else:
            self._arm_next()

    async def _make(self, call: ScheduledCall) -> None:
        try:
            if not call.is_active:
                return  # cancelled since it became due
            method, args = call.take(self._clock.time())
            try:
                result = method(*args)
                if inspect.isawaitable(result):
                    await result
            except Exception:
                _log.exception("the call of %s failed and is not made again", _name_of(method))
                call.end()
        finally:
            # Only now: a periodic call that takes longer than its period is not made twice at once.
            self._at_work.discard(call.number)
            if call.is_active and call.due_s is not None:
                self._consider(call.due_s)


def _name_of(method: Any) -> str:
    owner = getattr(method, "__self__", None)
    name = getattr(method, "__name__", repr(method))
    return f"{type(owner).__qualname__}.{name}" if owner is not None else str(name)
