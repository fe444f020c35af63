"""The commit deadline: a disk that does not answer must not keep a server half alive.

Time is counted in looks, not read from a clock: a process that was stopped, or
a machine that slept, looks once when it wakes, and finds a commit that gets its
chance first.  This module must never know what is committed, or how.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from enum import Enum
from typing import Final

from taphouse.runtime.clock import Clock, Timer

__all__ = ["AwaitedDeadline", "LookCount", "Verdict", "end_process"]

_log = logging.getLogger("taphouse.runtime")
_LOOKS: Final = 4
"""Looks in one deadline."""
_STUCK: Final = 3
"""Deadlines until it is no use to wait."""


class Verdict(Enum):
    """What a look finds."""

    FINE = "fine"
    LATE = "late"
    """Older than the deadline."""
    STUCK = "stuck"
    """Older than three times the deadline."""


class LookCount:
    """Counts how often one and the same commit was found under way.

    Args:
        limit_s: the deadline.

    Attributes:
        every_s: seconds between two looks.
    """

    def __init__(self, limit_s: float) -> None:
        self.every_s = limit_s / _LOOKS
        self._number = 0
        self._looks = 0

    def look(self, number: int) -> Verdict:
        """Return what is to be said of commit ``number``; 0 means that none is under way."""
        if not number or number != self._number:
            self._number = number
            self._looks = 0
            return Verdict.FINE
        self._looks += 1
        if self._looks >= _LOOKS * _STUCK:
            return Verdict.STUCK
        return Verdict.LATE if self._looks >= _LOOKS else Verdict.FINE


class AwaitedDeadline:
    """Looks after commits that the loop awaits, with a timer that runs only while there are some.

    Args:
        limit_s: the deadline; 0 means never.
        clock: for the timer.
        on_late: called with True when one is late, with False when that is over.

    Attributes:
        stuck_s: the age at which one is not expected to end any more.
    """

    def __init__(self, limit_s: float, clock: Clock, on_late: Callable[[bool], None]) -> None:
        self.stuck_s = limit_s * _STUCK
        self._limit_s = limit_s
        self._count = LookCount(limit_s)
        self._clock = clock
        self._on_late = on_late
        self._number: Callable[[], int] = int
        self._on_stuck: Callable[[], object] = int
        self._timer: Timer | None = None
        self._is_late = False
        self._is_on = limit_s > 0

    def watch(self, number: Callable[[], int], on_stuck: Callable[[], object]) -> None:
        """Say what is looked after.

        Args:
            number: returns which commit is under way, 0 for none.
            on_stuck: called once when one is not expected to end.
        """
        self._number = number
        self._on_stuck = on_stuck

    def begin(self) -> None:
        """A commit is awaited from now on."""
        if self._timer is None and self._is_on:
            self._timer = self._clock.call_later(self._count.every_s, self._look)

    def close(self) -> None:
        """Look no more."""
        self._is_on = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        number = self._number()
        verdict = self._count.look(number)
        is_late = verdict is not Verdict.FINE
        if is_late != self._is_late:
            self._is_late = is_late
            if is_late:
                _log.error("a commit takes longer than %g s, new connections are turned away", self._limit_s)
            else:
                _log.info("the disk answers again, new connections are let in")
            self._on_late(is_late)
        if verdict is Verdict.STUCK:
            self._is_on = False
            self._on_stuck()
        elif number:
            self.begin()


def end_process(line: str) -> None:
    """End the process at once, as a failed commit does: with exit code 74 and one line on stderr.

    For a thread that finds the loop stuck in the kernel: nothing of the commit was released, so
    nobody was told what may not be true.
    """
    try:
        os.write(2, f"{line}\n".encode("utf-8", "backslashreplace"))
    finally:
        os._exit(74)
