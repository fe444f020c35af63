"""Epochs: at the end of each turn of the loop that changed something, commit it.

The first change of a turn arms ``call_soon``; the loop runs that after all
sockets of the poll were served, so one commit carries the changes of many
clients; while each turn brings more of them, of a few turns.  While a commit is
in flight the next epoch gathers, and starts when it has landed: the disk sets the
pace, no timer does.  That is the pace of ``gate``; the other ones are in
`taphouse.runtime.pace`.

It knows a ledger, a freezer and a store by their shapes; it must never know
SQLite, a connection, or what the state means.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol, TypeVar

from taphouse.durable import Ledger, in_atomic
from taphouse.errors import InternalError, StorageError, TaphouseError
from taphouse.persist import StoreStatistics
from taphouse.runtime.calls import call_and_commit
from taphouse.runtime.clock import Clock, Timer
from taphouse.runtime.gate import Gate, Gathering, Keeper, Kept
from taphouse.runtime.pace import EveryTurn, Pace
from taphouse.runtime.statistics import EpochMeter, EpochStatistics
from taphouse.runtime.tidying import Tidying

__all__ = ["Committing", "Epochs", "Freezing"]

_log = logging.getLogger("taphouse.runtime")
_T = TypeVar("_T")
_Waiting = list["asyncio.Future[None]"]

_FINAL_COMMITS = 3
"""Whoever goes on changing things then, as services that did not stop may, is not waited for."""
_OVER = "the final commit was made; what changes now is not kept"


class Freezing(Protocol):
    """What epochs need of a freezer."""

    def freeze(self, plan: dict[str, Any] | None) -> Any:
        """Return what changed as one turn, or None if nothing did."""


class Committing(Protocol):
    """What epochs need of a store."""

    def commit(self, turn: Any) -> Any:
        """Make ``turn`` durable; may return an awaitable."""

    def fold(self) -> Any:
        """Tidy up a little; True, or an awaitable of it, if there is more to do."""

    def statistics(self) -> StoreStatistics:
        """Return what was done since it was opened."""


class Epochs(Gate):
    """Drives the commits of one running application; also its ``ledger.committer``.

    Args:
        loop: the loop whose turns are epochs.
        ledger: collects what changed.
        freezer: makes a turn of it.
        store: makes the turn durable.
        clock: timers for comparing and folding.
        on_failure: called once, with the error, when a commit failed; nothing is committed after that.
        pacing: when to commit, and whether output waits for it.

    Attributes:
        commits: epochs committed since the start.
        pace: what ``pacing`` has made.
        is_kept: whether the store keeps anything; if not, nobody waits for it.
        failure: the error of the commit that failed, or None.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        ledger: Ledger,
        freezer: Freezing,
        store: Committing,
        clock: Clock,
        on_failure: Callable[[TaphouseError], None],
        pacing: type[Pace] = EveryTurn,
    ) -> None:
        self._loop = loop
        self._ledger = ledger
        self._freezer = freezer
        self._store = store
        self._clock = clock
        self._on_failure = on_failure
        self._make_plan: Callable[[], dict[str, Any]] | None = None
        self._armed = False
        self._is_comparing = False
        self._gathering = Gathering()
        self._landing: asyncio.Future[Any] | None = None
        self._waiting: list[asyncio.Future[None]] = []
        self._compare_timer: Timer | None = None
        self._in_flight: Kept = []
        self._aboard: _Waiting = []
        self._is_over = False
        self._is_overdue = False
        self._meter = EpochMeter()
        self._durations = self._meter.durations
        self.commits = 0
        self.pace = pacing(loop, clock, self._end_of_turn)
        # What is asked for in each epoch is fetched here, once.
        self._arm = self.pace.arm
        self._closes = self.pace.closes_gate
        self.is_kept = self.pace.keeps
        self._tidying = Tidying(store.fold, clock, self._is_busy, self.fail)
        self.failure: TaphouseError | None = None

    # -- what arms a commit

    def changed(self) -> None:
        """Something durable changed in this turn: ``ledger.on_dirty``."""
        self.closed = self._closes
        if not self._armed:
            self._armed = True
            self._arm()

    def keep(self, keeper: Keeper) -> None:
        """``keeper`` has output for the end of this turn, or for the commit after the one in flight."""
        self._gathering.add(keeper)
        self.changed()

    def end_turn(self) -> None:
        """Commit here and now, unless a commit is in flight."""
        if self._landing is None and self.failure is None:
            self._commit()

    async def wait_released(self) -> None:
        """Return when all that was kept before the call has been let go."""
        await self.commit_now()

    def plan_changed(self, make_plan: Callable[[], dict[str, Any]]) -> None:
        """Listeners, connectors or services changed: the next epoch carries a new plan."""
        self._make_plan = make_plan
        self.changed()

    # -- the turn

    def _end_of_turn(self) -> None:
        if self._closes and not self._waiting and self._gathering.is_growing():
            self._arm()
            return
        self._armed = False
        if self._landing is not None:
            self._is_overdue = True  # the commit in flight starts the next epoch when it lands
        elif self.failure is None and not self._is_over:
            self._commit()

    def _commit(self) -> None:
        waiting, self._waiting = self._waiting, []
        began = time.perf_counter()
        kept: Kept = []
        try:
            turn = self._freezer.freeze(self._make_plan() if self._make_plan is not None else None)
            self._make_plan = None
            # Frozen in one go with the state: what is written from here on belongs to the next epoch.
            kept = self._gathering.take()
            outcome = self._store.commit(turn) if turn is not None else None
        except Exception as error:
            self._fail(error, waiting)
            return
        if inspect.isawaitable(outcome):
            self._in_flight, self._aboard = kept, waiting
            self._landing = asyncio.ensure_future(outcome)
            self._landing.add_done_callback(lambda landed: self._landed(landed, waiting, kept, began))
        else:
            self._committed(turn is not None, waiting, kept, began)

    def _landed(self, landed: asyncio.Future[Any], waiting: _Waiting, kept: Kept, began: float) -> None:
        self._landing = None
        self._in_flight, self._aboard = [], []
        if self.failure is not None:
            # Given up as stuck: whether it has landed or not, nobody is told.
            landed.cancelled() or landed.exception()
        elif landed.cancelled():
            self._fail(InternalError("a commit was cancelled"), waiting)
        elif (error := landed.exception()) is not None:
            self._fail(error, waiting)
        else:
            self._committed(True, waiting, kept, began)

    def _committed(self, wrote: bool, waiting: _Waiting, kept: Kept, began: float) -> None:
        if wrote:
            self.commits += 1
            self._durations.append(time.perf_counter() - began)
            if not self.commits & 15:
                self._meter.sample(kept)
            self._tidying.begin()
        for future in waiting:
            if not future.done():
                future.set_result(None)
        for keeper, output in kept:
            try:
                keeper.let_go(output)
            except Exception:
                # resume_writing() of one protocol must not keep the replies of the others.
                _log.exception("output could not be let go")
        # Values that change unseen may have changed by the time of any write: it waits for a comparison.
        self._is_comparing = bool(self._ledger.opaque)
        is_wanted = self._is_overdue or bool(self._waiting)
        if is_wanted or self._ledger.is_dirty or self._gathering or self._make_plan is not None:
            self.changed()
            if is_wanted:
                self.pace.hurry()
        else:
            self.closed = self._closes and self._is_comparing
        self._is_overdue = False
        if self._is_comparing and self._compare_timer is None:
            after_s = self.pace.compare_after_s
            if after_s is not None:
                self._compare_timer = self._clock.call_later(after_s, self._compare)

    def _compare(self) -> None:
        self._compare_timer = None
        if self.failure is None:
            self.changed()

    def _is_busy(self) -> bool:
        return self._landing is not None or (self._armed and self.pace.is_prompt)

    def fail(self, error: BaseException) -> None:
        """End as a commit that failed ends: the store has failed at something that nobody awaits."""
        self._fail(error, [])

    def _fail(self, error: BaseException, waiting: list[asyncio.Future[None]]) -> None:
        if self.failure is not None:
            return
        if not isinstance(error, TaphouseError):
            # Whatever went wrong here, state and memory may differ from now on.
            kind = StorageError if isinstance(error, OSError) else InternalError
            error = _caused(kind(f"a commit failed: {type(error).__name__}: {error}"), error)
        self.failure = error
        self.stop_timers()
        self._disappoint((*waiting, *self._aboard, *self._waiting), error)
        self.closed = self._closes = True  # at any pace: what is written from here on is never true
        self._gathering.drop()
        self._on_failure(error)

    def _disappoint(self, waiting: Iterable[asyncio.Future[None]], error: TaphouseError) -> None:
        for future in waiting:
            if not future.done():
                future.set_exception(error)
                future.exception()  # seen: a waiter that is gone must not be complained about
        self._waiting = []

    # -- durable.committed() and durable.call()

    async def committed(self) -> None:
        """Return when everything that changed before the call is durable; forces a commit.

        Without a store it returns at once.

        Raises:
            RuntimeError: inside of ``with atomic():``.
            StorageError: if the commit fails.
        """
        if in_atomic():
            raise RuntimeError(
                "committed() inside of atomic(): the block has to end before it can be committed"
            )
        if self.is_kept:
            await self.commit_now()

    async def commit_now(self) -> None:
        """Commit what changed until now, with or without a store that keeps it.

        Raises:
            StorageError: if the commit fails.
        """
        if self.failure is not None:
            raise self.failure
        if self._is_over:
            raise StorageError(_OVER)
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append(future)
        self.changed()
        self.pace.hurry()
        await future

    def call(self, function: Callable[..., _T | Awaitable[_T]], *args: Any) -> _T:
        """Run ``function(*args)`` on the loop and return its result after the commit; for other threads.

        Raises:
            RuntimeError: on the loop's own thread, which would wait for itself.
            StorageError: if the commit fails.
        """
        if threading.get_ident() == self._ledger.thread:
            raise RuntimeError(
                "durable.call() is for other threads; here call the function, then await committed()"
            )
        return call_and_commit(self._loop, self.committed, function, args)

    # -- the end

    async def finish(self) -> None:
        """Commit what is left and arm nothing any more.

        Raises:
            TaphouseError: if that fails, or failed before.
        """
        for _ in range(_FINAL_COMMITS):
            await self.commit_now()
            if not self._ledger.is_dirty:  # by what ran on while that was in flight
                break
        self._is_over = True
        if self._landing is not None:
            await asyncio.wait([self._landing])
        self.stop_timers()
        self._disappoint(self._waiting, StorageError(_OVER))
        if self.failure is not None:
            raise self.failure

    def stop_timers(self) -> None:
        """Compare and fold no more, and commit nothing by the clock."""
        self.pace.stop()
        self._tidying.stop()
        if self._compare_timer is not None:
            self._compare_timer.cancel()
            self._compare_timer = None

    def statistics(self) -> EpochStatistics:
        """Return how commits went until now."""
        stored = self._store.statistics()
        return self._meter.statistics(
            self._gathering,
            self._in_flight,
            commits=self.commits,
            mode=self.pace.mode,
            sync_p50_s=stored.sync_p50_s,
            journal_bytes=stored.journal_bytes,
            wal_bytes=stored.wal_bytes,
        )


def _caused(error: TaphouseError, cause: BaseException) -> TaphouseError:
    error.__cause__ = cause
    return error
