"""Tidying: what a store does for itself while nobody waits.

After a commit the journal is folded, a little at a time, as long as the
application is not busy.  It must never know what is folded.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

from taphouse.runtime.clock import Clock, Timer

__all__ = ["Tidying"]

_AFTER_S = 0.25
_AGAIN_S = 0.01
_BUSY = 10
"""Commits between two looks that mean a busy application; its commits fold along when the journal is long."""


class Tidying:
    """Folds in the pauses between commits.

    Args:
        fold: folds a little; returns whether there is more to do, or an awaitable of that.
        clock: for the timer.
        is_busy: says whether clients wait for a commit at this moment.
        on_failure: called with the error of a fold that failed.
    """

    _commits = 0

    def __init__(
        self,
        fold: Callable[[], Any],
        clock: Clock,
        is_busy: Callable[[], bool],
        on_failure: Callable[[BaseException], object],
    ) -> None:
        self._fold = fold
        self._clock = clock
        self._is_busy = is_busy
        self._on_failure = on_failure
        self._timer: Timer | None = None
        self._is_under_way = False
        self._is_stopped = False

    def begin(self) -> None:
        """There was a commit, so there is something to fold."""
        self._commits += 1
        if self._timer is None and not self._is_under_way:
            self._again(_AFTER_S)

    def stop(self) -> None:
        """Fold no more."""
        self._is_stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _again(self, delay_s: float) -> None:
        if not self._is_stopped:
            self._timer = self._clock.call_later(delay_s, self._ring)

    def _ring(self) -> None:
        self._timer = None
        commits, self._commits = self._commits, 0
        if self._is_busy() or commits > _BUSY:
            self._again(_AFTER_S)  # folding can wait, clients cannot
            return
        try:
            more = self._fold()
        except Exception as error:
            self._on_failure(error)
            return
        if inspect.isawaitable(more):
            self._is_under_way = True
            asyncio.ensure_future(more).add_done_callback(self._folded)
        elif more:
            self._again(_AGAIN_S)

    def _folded(self, done: asyncio.Future[Any]) -> None:
        self._is_under_way = False
        if done.cancelled():
            return
        error = done.exception()
        if error is not None:
            self._on_failure(error)
        elif done.result():
            self._again(_AGAIN_S)
