"""Keep what the application remembers: the runtime's side of the durable floor.

With a store, everything that changes is committed epoch by epoch; without one
(``--no-save``), changes are forgotten as fast as they come, so that memory
does not fill with them.  It must never know connections or services.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from taphouse.app import Application, make_plan
from taphouse.durable import Ledger, oid_of
from taphouse.errors import TaphouseError
from taphouse.runtime.clock import Clock
from taphouse.runtime.connection import OutputWatch
from taphouse.runtime.epochs import Committing, Epochs, EpochStatistics, Freezing

__all__ = ["Keeping", "Storing"]


class Storing(Committing, Protocol):
    """What the runtime needs of a store."""

    path: Any

    def close(self) -> None:
        """Leave one finished file."""

    def abandon(self) -> None:
        """Close without writing."""


class _FirstFreezing(Freezing, Protocol):
    def snapshot_start(self, root: Any) -> Any:
        """Return the first turn of a new state: everything."""


class Keeping:
    """Holds the state of one running application.

    Args:
        app: the root of the state.
        ledger: collects what changed; None if the application was never attached to one.
        freezer: makes turns of it; None if nothing is kept.
        store: takes the turns; None if nothing is kept.
        on_failure: called once with the error when a commit failed; the store is abandoned then.
    """

    def __init__(
        self,
        app: Application,
        ledger: Ledger | None,
        freezer: _FirstFreezing | None,
        store: Storing | None,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        on_failure: Callable[[TaphouseError], None],
    ) -> None:
        self._app = app
        self._ledger = ledger
        self._freezer = freezer
        self._store = store
        self._loop = loop
        self._report = on_failure
        self._armed = False
        self._ended = False
        self._epochs: Epochs | None = None
        if ledger is not None and freezer is not None and store is not None:
            self._epochs = Epochs(loop, ledger, freezer, store, clock, self._failed)
        self.watch: OutputWatch = self._epochs or OutputWatch()
        if ledger is not None:
            ledger.adopt_thread()  # thawed on one thread, run on another: only the latter may write
            Ledger.current = ledger

    @property
    def is_kept(self) -> bool:
        """Whether anything is committed at all."""
        return self._epochs is not None

    @property
    def failure(self) -> TaphouseError | None:
        """The error of the commit that failed."""
        return self._epochs.failure if self._epochs is not None else None

    async def begin(self) -> None:
        """Make the first commit, and commit every turn from now on.

        Raises:
            TaphouseError: if the first commit fails.
        """
        if self._ledger is None:
            return
        if self._epochs is None:
            self._ledger.on_dirty = self._forget_soon
            self._forget()
            return
        watch_output = getattr(self._loop, "watch_output", None)
        if watch_output is not None:
            watch_output(self.watch)
        self._ledger.committer = self._epochs
        self._ledger.on_dirty = self._epochs.changed
        freezer = self._freezer
        if not oid_of(self._app) and freezer is not None:
            self._epochs.first_turn(lambda: freezer.snapshot_start(self._app))
        self._epochs.plan_changed(self._plan)
        await self._epochs.committed()

    def plan_changed(self) -> None:
        """Listeners, connectors or services are not what they were."""
        if self._epochs is not None and self._ledger is not None and self._ledger.committer is self._epochs:
            self._epochs.plan_changed(self._plan)

    async def finish(self) -> None:
        """Make the final commit and close the store: one finished file is left.

        Raises:
            TaphouseError: if the commit or the closing fails.
        """
        if self._epochs is not None and self._epochs.failure is None:
            await self._epochs.finish()
        if self._store is not None and not self._ended:
            self._ended = True
            self._store.close()

    def abandon(self) -> None:
        """Write nothing more and let go of the store's files."""
        if self._epochs is not None:
            self._epochs.stop_timers()
        if self._store is not None and not self._ended:
            self._ended = True
            self._store.abandon()

    def close(self) -> None:
        """Let go of the state: nothing of it can be changed any more."""
        if not self._ended:
            self.abandon()
        if self._ledger is not None:
            self._ledger.on_dirty = None
            self._ledger.committer = None
            self._ledger.close()
            if Ledger.current is self._ledger:
                Ledger.current = None
        watch_output = getattr(self._loop, "watch_output", None)
        if watch_output is not None:
            watch_output(OutputWatch())

    def statistics(self) -> EpochStatistics:
        """Return how commits went."""
        return self._epochs.statistics() if self._epochs is not None else EpochStatistics(0, 0.0, 0.0, 0.0)

    def _plan(self) -> dict[str, Any]:
        return make_plan(self._app, oid_of)

    def _failed(self, error: TaphouseError) -> None:
        self.abandon()
        self._report(error)

    def _forget_soon(self) -> None:
        if not self._armed:
            self._armed = True
            self._loop.call_soon(self._forget)

    def _forget(self) -> None:
        """Empty the ledger: nobody will ever commit what is in it."""
        self._armed = False
        if self._ledger is not None:
            self._ledger.drain()
