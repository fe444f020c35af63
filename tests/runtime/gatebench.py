"""A gate that a test opens and closes: the real epochs over a store that lands when it is told to."""

from __future__ import annotations

import asyncio
from typing import Any

from taphouse.durable import Durable, Ledger, attach
from taphouse.persist import StoreStatistics
from taphouse.runtime import Epochs
from taphouse.runtime.pace import EveryTurn
from taphouse.testing import JumpingClock

__all__ = ["GateBench", "Counter"]


class Counter(Durable, name="tests.runtime.gatebench.Counter"):
    def __init__(self) -> None:
        self.n = 0


class GateBench:
    """One durable counter; ``landings`` are the commits in flight, in order."""

    def __init__(self, pacing: Any = EveryTurn) -> None:
        self.counter = Counter()
        self.ledger = Ledger()
        self.ledger.begin(self.counter)
        attach(self.counter, self.ledger, self.ledger.new_oid())
        self.landings: list[asyncio.Future[str]] = []
        self.is_inline = False
        self.committed: list[int] = []
        self.failures: list[Exception] = []
        self.clock = JumpingClock()
        self.folds = 0
        self.epochs = Epochs(
            asyncio.get_running_loop(), self.ledger, self, self, self.clock, self.failures.append, pacing
        )
        self.ledger.on_dirty = self.epochs.changed
        self.ledger.committer = self.epochs

    def freeze(self, plan: Any = None) -> int | None:
        """Be the freezer: the counter's value at this instant, or None."""
        return self.counter.n if self.ledger.drain().dirty else None

    def commit(self, turn: int) -> Any:
        """Be the store."""
        if self.is_inline:
            self.committed.append(turn)
            return "ok"
        landing = asyncio.get_running_loop().create_future()
        landing.add_done_callback(lambda done: self.committed.append(turn) if not done.exception() else None)
        self.landings.append(landing)
        return landing

    def fold(self, rows: int = 200) -> bool:
        """Have nothing to tidy up."""
        self.folds += 1
        return False

    def statistics(self) -> StoreStatistics:
        """Be the store in numbers."""
        return StoreStatistics(journal_bytes=70, wal_bytes=4096, sync_p50_s=0.002)

    def land(self) -> None:
        """Let the oldest commit in flight land."""
        self.landings.pop(0).set_result("ok")
