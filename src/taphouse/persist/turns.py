"""Turns and outcomes: what passes between the freezer, the runtime and a store.

Values only.  This module must never know SQLite or objects.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import Protocol

from taphouse.durable import ClassRecord
from taphouse.persist.image import Image
from taphouse.persist.reading import TapInfo
from taphouse.persist.records import Epoch
from taphouse.value import Value

__all__ = ["Outcome", "Store", "StoreStatistics", "Turn"]


class Outcome(enum.Enum):
    """What became of a commit."""

    OK = "ok"


class Turn(Value):
    """Everything that changed in one turn of the loop.

    Args:
        number: of the epoch, one more than the last.
        epoch: the changes.
        data: the same as bytes, the journal row.
    """

    number: int
    epoch: Epoch
    data: bytes

    def __init__(self, number: int, epoch: Epoch, data: bytes) -> None:
        self.__dict__.update(number=number, epoch=epoch, data=data)  # one in each turn: made quickly


class StoreStatistics(Value):
    """What a store did since it was opened.

    Args:
        epochs: commits.
        journal_bytes: bytes that are in the journal and not folded yet.
        wal_pages: SQLite pages in the WAL since it began anew.
        wal_bytes: size of the ``-wal`` file.
        folds: slices of folding.
        checkpoints: times the WAL was moved into the main file.
        commit_s: seconds spent in commits, in all.
        last_commit_s: seconds the last commit took.
        slowest_commit_s: seconds the slowest commit took.
        sync_p50_s: median seconds of the last COMMITs alone: their frames written and the WAL synced.
    """

    epochs: int = 0
    journal_bytes: int = 0
    wal_pages: int = 0
    wal_bytes: int = 0
    folds: int = 0
    checkpoints: int = 0
    commit_s: float = 0.0
    last_commit_s: float = 0.0
    slowest_commit_s: float = 0.0
    sync_p50_s: float = 0.0


class Store(Protocol):
    """Where epochs go.  Nothing above this room knows more about it."""

    path: Path | None
    kind: str
    """Of the file system, such as ``ext4``; empty if unknown."""
    probes: tuple[float, ...]
    """Seconds of the syncs with which the store has tried its disk."""
    reserve_refused: str
    """Why there is no reserve; empty if there is one."""

    @property
    def sync_s(self) -> float:
        """Seconds of the last sync."""

    @property
    def needs_tending(self) -> bool:
        """Whether `tend` has something to do that must not wait for much longer."""

    @property
    def info(self) -> TapInfo | None:
        """What the tap said when it was opened; None if there is none."""

    @property
    def epoch(self) -> int:
        """Number of the last commit."""

    @property
    def classes(self) -> Mapping[int, ClassRecord]:
        """Class number -> record, as of the last commit."""

    def take_image(self) -> Image | None:
        """Return the content to thaw, once; None if the application is new."""

    def commit(self, turn: Turn) -> Outcome | Awaitable[Outcome]:
        """Make a turn durable.

        Raises:
            StorageError: if it could not be; the store is unusable from then on.
        """

    def fold(self, rows: int = 200) -> bool:
        """Tidy up a little; return whether there is more to do.

        Raises:
            StorageError: as :meth:`commit`.
        """

    def tend(self) -> None:
        """Do what takes the disk long and cannot be done in small parts.

        Raises:
            StorageError: as :meth:`commit`.
        """

    def backup(self, path: Path) -> None:
        """Write the state as of the last commit to a file of its own."""

    def statistics(self) -> StoreStatistics:
        """Return what was done since it was opened."""

    def close(self) -> None:
        """Fold everything and leave one closed file."""

    def abandon(self) -> None:
        """Stop at once and write nothing more."""
