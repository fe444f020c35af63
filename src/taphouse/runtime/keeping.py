"""Keep what the application remembers: the runtime's side of the durable floor.

Everything that changes is committed epoch by epoch.  Without a store
(``--no-save``) the epochs go nowhere, but they are made all the same: what
cannot be saved fails in the same statement, and nothing piles up in memory.
It must never know connections or services.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Protocol

from taphouse.app import Application, label_objects, make_plan, object_label
from taphouse.durable import Durable, Ledger, attach, oid_of
from taphouse.errors import StorageError, TaphouseError
from taphouse.persist import NullStore
from taphouse.runtime.clock import Clock
from taphouse.runtime.deadline import AwaitedDeadline
from taphouse.runtime.epochs import Epochs, Freezing
from taphouse.runtime.gate import OPEN, Gate
from taphouse.runtime.pace import Pace, Unkept, find_pace
from taphouse.runtime.statistics import EpochStatistics
from taphouse.runtime.writer import Writer, Writing
from taphouse.value import replace

__all__ = ["Keeping"]

_log = logging.getLogger("taphouse.runtime")
_CURE = "the tap is intact as of the last commit that was acknowledged; look at the disk"


class _FirstFreezing(Freezing, Protocol):
    def snapshot_start(self, root: Any) -> None:
        """Put everything ``root`` reaches into the next turn."""


class Keeping:
    """Holds the state of one running application.

    Args:
        app: the root of the state.
        ledger: collects what changed; None if nothing is tracked.
        freezer: makes turns of it; None if nothing is tracked.
        store: takes the turns; None if they are forgotten.
        on_failure: called once with the error when a commit failed; the store is abandoned then.
        durability: "gate", "interval" or "exit"; without a store it means nothing.
        deadline_s: the age at which a commit is late; three times as old it is hopeless; 0 means never.
        on_late: called with True when a commit is late, with False when that is over.

    Raises:
        ConfigurationError: if there is no such durability.
    """

    def __init__(
        self,
        app: Application,
        ledger: Ledger | None,
        freezer: _FirstFreezing | None,
        store: Writing | None,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        on_failure: Callable[[TaphouseError], None],
        durability: str = "gate",
        deadline_s: float = 0.0,
        on_late: Callable[[bool], None] = lambda _is_late: None,
    ) -> None:
        self._app = app
        self._ledger = ledger
        self._freezer = freezer
        self._store: Any = store if store is not None else NullStore()
        self._writer: Writer | None = None
        self._loop = loop
        self._report = on_failure
        self._deadline: AwaitedDeadline | None = None
        self._has_begun = False
        self._has_ended = False
        self._epochs: Epochs | None = None
        if ledger is not None and freezer is not None:
            pacing: type[Pace] = Unkept
            if store is not None and store.path is not None:
                pacing = find_pace(durability)
                self._store = self._writer = Writer(
                    store, loop, deadline_s=deadline_s, preferred=pacing.commits_on
                )
            self._epochs = Epochs(loop, ledger, freezer, self._store, clock, self._failed, pacing)
            if self._writer is not None:
                self._watch(self._writer, self._epochs, AwaitedDeadline(deadline_s, clock, on_late))
        self.gate: Gate = self._epochs or OPEN

    @property
    def path(self) -> Any:
        """Where the state is kept; None if it is not."""
        return self._store.path

    @property
    def failure(self) -> TaphouseError | None:
        """The error of the commit that failed."""
        return self._epochs.failure if self._epochs is not None else None

    def adopt(self) -> None:
        """Make this the application of the process: from now on only this thread may change it."""
        if self._ledger is not None:
            self._ledger.adopt_thread()
            if self._ledger.label_of is None:
                self._ledger.label_of = self._label_of
            Ledger.current = self._ledger

    async def begin(self) -> None:
        """Make the first commit, and commit every turn from now on.

        Raises:
            TaphouseError: if the first commit fails.
        """
        if self._epochs is None or self._ledger is None or self._freezer is None:
            return
        use_gate = getattr(self._loop, "use_gate", None)
        if use_gate is not None:
            use_gate(self.gate)
        if not oid_of(self._app):
            self._freezer.snapshot_start(self._app)
        # Even if nothing changed: the state's file appears now, and a disk that cannot be
        # written is found out before the first client is.
        self._ledger.mark(self._app)
        self._ledger.committer = self._epochs
        self._ledger.on_dirty = self._epochs.changed
        self._has_begun = True
        pace = self._epochs.pace
        if pace.notice:
            _log.info("durability %s: %s", pace.mode, pace.notice)
        self._epochs.plan_changed(self._plan)
        await self._epochs.commit_now()

    def plan_changed(self) -> None:
        """Listeners, connectors or services are not what they were."""
        if self._epochs is not None and self._has_begun:
            self._epochs.plan_changed(self._plan)

    async def finish(self) -> None:
        """Make the final commit and close the store: one finished file is left.

        Raises:
            TaphouseError: if the commit or the closing fails.
        """
        if self._epochs is not None and self._has_begun and self._epochs.failure is None:
            await self._epochs.finish()
            if self._epochs.is_kept:
                _log.info("%s", self.statistics().summary())
        if not self._has_ended:
            self._has_ended = True
            if (closing := self._store.close()) is not None:
                await closing

    async def backup(self, path: Any) -> None:
        """Write the state as of the last commit to ``path``; the loop does not wait for it.

        Raises:
            CannotCreateError, NotPermittedError: if it cannot be written there.
        """
        if (copying := self._store.backup(path)) is not None:
            await copying

    def fail(self, error: TaphouseError) -> None:
        """End as if a commit had failed: none can be made any more."""
        if self._epochs is not None:
            self._epochs.fail(error)

    def abandon(self) -> None:
        """Write nothing more and let go of the store's files."""
        if self._epochs is not None:
            self._epochs.stop_timers()
        if self._deadline is not None:
            self._deadline.close()
        if not self._has_ended:
            self._has_ended = True
            self._store.abandon()

    def close(self) -> None:
        """Let go of the state: nothing of it can be changed any more."""
        self.abandon()
        if self._ledger is not None:
            self._ledger.committer = None
            self._ledger.close(f"application {self._app.name} has stopped")
        use_gate = getattr(self._loop, "use_gate", None)
        # After a failure the gate stays shut: tasks that still run have seen what is not on the disk.
        if use_gate is not None and self._has_begun and self.failure is None:
            use_gate(OPEN)

    def statistics(self) -> EpochStatistics:
        """Return how commits went."""
        if self._epochs is None:
            return EpochStatistics()
        found = self._epochs.statistics()
        return found if self._writer is None else replace(found, path=self._writer.how)

    def _watch(self, writer: Writer, epochs: Epochs, deadline: AwaitedDeadline) -> None:
        def stuck() -> None:
            epochs.fail(
                StorageError(
                    f"{writer.path}: the disk has not answered for {deadline.stuck_s:g} s", cure=_CURE
                )
            )

        deadline.watch(lambda: writer.awaited, stuck)
        writer.on_hand = deadline.begin
        writer.on_failure = epochs.fail
        self._deadline = deadline

    def _plan(self) -> dict[str, Any]:
        ledger = self._ledger
        if ledger is not None:
            # The plan names objects by their rows, so what is new gets one before it is made.
            for thing in label_objects(self._app).values():
                if isinstance(thing, Durable) and not oid_of(thing):
                    attach(thing, ledger, ledger.new_oid())
                    ledger.mark(thing)
        return make_plan(self._app, oid_of)

    def _label_of(self, thing: Any) -> str:
        label = object_label(self._app, thing)
        return label if thing is self._app else f"{self._app.name}.{label}"

    def _failed(self, error: TaphouseError) -> None:
        self.abandon()
        self._report(error)
