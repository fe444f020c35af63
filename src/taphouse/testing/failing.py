"""Storage that fails: a store that breaks at a write of your choice.

Wraps any store.  It must never know what is written.
"""

from __future__ import annotations

from typing import Any

from taphouse.errors import StorageError

__all__ = ["FailingStore"]


class FailingStore:
    """A store whose Nth write raises; the writes before it succeed.

    Args:
        store: the real one, which sees every write but the failing one and those after it.
        fail_at: number of the write that fails, from 1; commits and folds count.
        error: what it raises; None means a StorageError such as a full disk causes.

    Attributes:
        writes: how many writes were asked for.
        is_abandoned: whether somebody gave the store up without a final write.
    """

    def __init__(self, store: Any, fail_at: int, error: Exception | None = None) -> None:
        self._store = store
        self._fail_at = fail_at
        self._error = error or StorageError("storage: no space left on device (injected)")
        self.writes = 0
        self.is_abandoned = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def commit(self, turn: Any) -> Any:
        """Commit, unless it is time to fail."""
        self._count()
        return self._store.commit(turn)

    def fold(self, rows: int = 200) -> bool:
        """Fold, unless it is time to fail."""
        self._count()
        return bool(self._store.fold(rows))

    def close(self) -> None:
        """Close for good, unless it is time to fail."""
        self._count()
        self._store.close()

    def abandon(self) -> None:
        """Let go without a write."""
        self.is_abandoned = True
        self._store.abandon()

    def _count(self) -> None:
        self.writes += 1
        if self.writes >= self._fail_at:
            raise self._error
