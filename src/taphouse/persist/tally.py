"""What a store counts while it works: plain numbers, made a value when somebody asks.

A commit takes about 100 microseconds of CPU; making a value anew for each of them took a few more.
It must never know what is stored.
"""

from __future__ import annotations

import sqlite3
import time
from collections import deque
from typing import Final

from taphouse.persist.turns import StoreStatistics

__all__ = ["Tally"]

_SYNCS: Final = 500
"""So many of the last syncs are kept, to tell their median."""


class Tally:
    """Counts and seconds of one store.

    Attributes:
        epochs: commits.
        folds: slices of folding.
        checkpoints: times the WAL was moved into the main file.
        sync_s: seconds of the last ``COMMIT``: its frames written and the WAL synced.
    """

    __slots__ = ("_commit_s", "_last_s", "_slowest_s", "_syncs", "checkpoints", "epochs", "folds", "sync_s")

    def __init__(self) -> None:
        self.epochs = self.folds = self.checkpoints = 0
        self.sync_s = 0.0
        self._commit_s = self._last_s = self._slowest_s = 0.0
        self._syncs: deque[float] = deque(maxlen=_SYNCS)

    def commit(self, db: sqlite3.Connection, statement: str = "COMMIT", row: tuple[object, ...] = ()) -> None:
        """Execute what ends a transaction and note how long it took.

        On a thread each statement waits for the interpreter twice or more, 5 ms each time beside a busy
        loop: so a statement that is a transaction of its own is better than three.

        Raises:
            sqlite3.Error: if it failed.
        """
        begun = time.perf_counter()
        db.execute(statement, row)
        self.sync_s = took = time.perf_counter() - begun
        self._syncs.append(took)

    def count(self, took_s: float) -> None:
        """Count one epoch that was committed in ``took_s`` seconds."""
        self.epochs += 1
        self._commit_s += took_s
        self._last_s = took_s
        self._slowest_s = max(self._slowest_s, took_s)

    def syncs(self) -> list[float]:
        """Return the seconds of the last syncs, oldest first; any thread may ask."""
        return list(self._syncs.copy())  # copy() is one step for the interpreter; iterating is not

    def statistics(self, journal_bytes: int, wal_pages: int, wal_bytes: int) -> StoreStatistics:
        """Return everything as a value."""
        ordered = sorted(self.syncs()) or [0.0]
        return StoreStatistics(
            epochs=self.epochs,
            journal_bytes=journal_bytes,
            wal_pages=wal_pages,
            wal_bytes=wal_bytes,
            folds=self.folds,
            checkpoints=self.checkpoints,
            commit_s=self._commit_s,
            last_commit_s=self._last_s,
            slowest_commit_s=self._slowest_s,
            sync_p50_s=ordered[(len(ordered) - 1) // 2],
        )
