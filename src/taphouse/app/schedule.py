"""Schedule: delayed and periodic calls, as durable values.

Wall-clock seconds come in as arguments and calls go out as values; nobody waits
here.  A call that was declared before its application ever ran is *unanchored*:
its time begins with the first start, not when the seed was built.  It must not
know the runtime, which asks :func:`anchor_calls` and :func:`calls_due`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from taphouse.app.connector import check_seconds
from taphouse.durable import Durable

__all__ = ["DelayedCall", "PeriodicCall", "ScheduledCall", "anchor_calls", "calls_due"]


class ScheduledCall(Durable):
    """What delayed and periodic calls share.

    Args:
        schedule: the application's ``schedule``, which it enters.
        number: its key there.
        seconds: delay or period.
        method: a bound method of a durable object, or a module-level function.
        args: its arguments, durable values.
    """

    def __init__(
        self,
        schedule: dict[int, ScheduledCall],
        number: int,
        seconds: float,
        method: Callable[..., Any],
        args: tuple[Any, ...],
    ) -> None:
        if not callable(method) or isinstance(method, type):
            raise TypeError(f"need a method of a durable object, got {method!r:.80}")
        self.seconds = seconds
        self.method = method
        self.args = args
        self.number = number
        self.due_s: float | None = None
        """Wall clock (seconds since 1970) of the next call; ``None`` before the first start."""
        self.schedule: dict[int, ScheduledCall] | None = schedule

    @property
    def is_active(self) -> bool:
        """Whether it will still be called."""
        return self.schedule is not None

    def cancel(self) -> bool:
        """Take it off the schedule.

        Returns:
            Whether it was on it; a second call, or one after the last firing, is harmless.
        """
        schedule, self.schedule = self.schedule, None
        if schedule is None:
            return False
        schedule.pop(self.number, None)
        return True

    def take(self, now_s: float) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Account for one firing and return what to call: ``(method, args)``.

        The caller calls at once, in the same turn: then the accounting and the
        first segment of the call are committed together.

        Args:
            now_s: wall clock.
        """
        raise NotImplementedError

    def end(self) -> None:
        """Called after an exception of the call: it is not called again."""
        self.cancel()

    def __repr__(self) -> str:
        name = getattr(self.method, "__qualname__", repr(self.method))
        return f"<{type(self).__name__} {name} every/in {self.seconds:g} s, due {self.due_s}>"


class DelayedCall(ScheduledCall):
    """A call to be made once; made by ``addDelayed``."""

    def take(self, now_s: float) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Take it off the schedule and return what to call."""
        self.cancel()
        return self.method, self.args


class PeriodicCall(ScheduledCall):
    """A call to be made again and again; made by ``addPeriodic``."""

    def take(self, now_s: float) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Set the time of the next call and return what to call.

        Missed periods are skipped, not caught up: after a stop of an hour, a
        call of every minute is made once, and then every minute on the old beat.
        """
        due_s = now_s if self.due_s is None else self.due_s
        missed = max(0, int((now_s - due_s) // self.seconds))
        self.due_s = due_s + self.seconds * (missed + 1)
        return self.method, self.args


def make_call(
    kind: type[ScheduledCall],
    schedule: dict[int, ScheduledCall],
    number: int,
    seconds: object,
    method: Callable[..., Any],
    args: tuple[Any, ...],
) -> ScheduledCall:
    """Return a new call of ``kind``, entered in ``schedule``."""
    duration = check_seconds(seconds, "seconds", zero=kind is DelayedCall)
    owner = getattr(method, "__self__", None)
    if inspect.ismethod(method) and not isinstance(owner, Durable | type):
        raise TypeError(
            f"{type(owner).__qualname__} is not durable, so its method would not be found after a restart; "
            "mark the class @durable"
        )
    call = kind(schedule, number, duration, method, args)
    schedule[number] = call
    return call


def anchor_calls(schedule: dict[int, ScheduledCall], now_s: float) -> None:
    """Give every unanchored call its time: ``now_s`` plus its seconds."""
    for call in schedule.values():
        if call.due_s is None:
            call.due_s = now_s + call.seconds


def calls_due(schedule: dict[int, ScheduledCall], now_s: float) -> list[ScheduledCall]:
    """Return the anchored calls whose time has come, in due order (then in the order they were made)."""
    due = [(call.due_s, call.number, call) for call in schedule.values() if call.due_s is not None]
    return [call for due_s, _, call in sorted(due, key=lambda item: item[:2]) if due_s <= now_s]
