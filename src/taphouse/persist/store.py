"""The store on SQLite: one connection, one journal row an epoch, folded in slices.

WAL with ``synchronous=FULL``: a commit is one write and one fdatasync of the
``-wal`` file.  Exactly one connection exists and it holds the file exclusively,
so no ``-shm`` appears and the WAL-reset race of SQLite before 3.51.3 cannot
happen.  Whatever the storage refuses ends the store: after a failed sync nobody
knows what is on the disk, so nothing is tried twice.

This module must never know objects: it gets bytes.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from taphouse.durable import ClassRecord
from taphouse.errors import InternalError, StorageError
from taphouse.persist.backing import write_backup
from taphouse.persist.blanks import leak
from taphouse.persist.folding import PACE_BYTES, Folder
from taphouse.persist.founding import create_file
from taphouse.persist.image import Image
from taphouse.persist.locks import NameWatch, lock_path, release_inode
from taphouse.persist.opening import connect, reason_of, wal_path
from taphouse.persist.places import failure_of
from taphouse.persist.reading import TapInfo, info_of
from taphouse.persist.reserve import kind_of, make_reserve, size_of_wal, try_disk
from taphouse.persist.schema import Mark, chain_sum
from taphouse.persist.tally import Tally
from taphouse.persist.turns import Outcome, StoreStatistics, Turn
from taphouse.persist.walfile import count_frames
from taphouse.value import replace
from taphouse.wholefile import sync_folder

__all__ = ["SqliteStore"]

FOLD_BYTES: Final = 4 << 20
"""Journal beyond this is folded along with the commits, so that a start never has long to replay."""
FOLD_SLICE: Final = 16
"""Pages of objects folded at a time: about 1 MB, which is what clients wait for between two commits."""
CHECKPOINT_PAGES: Final = 1000
"""WAL pages (4 MB) after which it is moved into the main file; the file then is reused at its size."""
RESERVE_BYTES: Final = 8 << 20
"""Space that the WAL has from the start: twice what it holds between two moves, the rest is the reserve."""
_INSERT: Final = "INSERT INTO journal VALUES (?, ?, ?)"


class SqliteStore:
    """A state tap that is written to.

    Made by :func:`open_state` and :func:`create_state`; the caller holds the lock.

    Args:
        path: of the tap.
        image: its content, or that of the seed it will begin with.
        exists: the tap is there; else it appears with the first commit.
    """

    on_io: Callable[[str], None] | None = None
    """Called with the name of a step ("create", "open", "commit", "fold", "checkpoint", "close") before it
    touches the disk; what it raises (``OSError``) counts as the storage's own failure.  For tests."""

    kind = reserve_refused = ""
    probes: tuple[float, ...] = ()
    """What was found out about the disk when the tap was opened for writing, see `Store`."""

    sets_aside = False
    """Whether the first commit gives another name to what has ours, see :func:`create_state`."""

    def __init__(self, path: Path, image: Image, *, exists: bool) -> None:
        self.path: Path | None = path
        self._path = path
        self.names = NameWatch()  # sees whether the tap's files are still the ones that were opened
        self._image: Image | None = image
        self._has_rows = bool(image.pages or image.journal)
        self.info: TapInfo | None = info_of(image, path)  # what it, or its seed, said when it was opened
        self._epoch, self._chain = image.epoch, image.chain
        self._classes = dict(image.classes)
        self._mark = image.mark
        self._folder = Folder(image.meta, has_leftovers=image.has_leftovers)
        for oid in (*image.chunks, *image.deltas):
            self._folder.add_big(oid)
        for number, epoch, link, size in image.journal:
            self._folder.add(number, epoch, link, size)
        self._base: Image | None = None if exists else image
        self._db: sqlite3.Connection | None = None
        self._failed = ""
        self._wal_pages = 0
        self._is_counting = self._renew_mark = False
        self._tally = Tally()

    # --- what others ask ---------------------------------------------------------------------

    @property
    def epoch(self) -> int:
        """Number of the last commit."""
        return self._epoch

    @property
    def classes(self) -> Mapping[int, ClassRecord]:
        """Class number -> record, as of the last commit."""
        return self._classes

    def take_image(self) -> Image | None:
        """Return the content to thaw, once; None if there is none."""
        image, self._image = self._image, None
        return image if image is not None and self._has_rows else None

    def statistics(self) -> StoreStatistics:
        """Return what was done since it was opened."""
        return self._tally.statistics(self._folder.waiting_bytes, self._wal_pages, size_of_wal(self._path))

    @property
    def sync_s(self) -> float:
        """Seconds that the last ``COMMIT`` took: its frames written and the WAL synced."""
        return self._tally.sync_s

    # --- writing -----------------------------------------------------------------------------

    def commit(self, turn: Turn) -> Outcome:
        """Write a turn and sync it.

        The first commit opens the tap for writing; of a new one it makes the file.

        Raises:
            StorageError: if the storage failed; nothing can be written any more.
            InternalError: if the turn is not the next one.
        """
        self._check_usable()
        if turn.number != self._epoch + 1:
            raise InternalError(f"epoch {turn.number} follows epoch {self._epoch}")
        begun = time.perf_counter()
        link = chain_sum(self._chain, turn.number, turn.data)
        if self._base is not None:
            self._create(self._base, turn, link)
        else:
            self._append(turn, link)
        self._epoch, self._chain = turn.number, link
        self._classes.update(turn.epoch.classes)
        self._tally.count(time.perf_counter() - begun)
        return Outcome.OK

    def _append(self, turn: Turn, link: bytes) -> None:
        db = self._opened()
        with self._io("commit"):
            folds = self._folder.is_running or self._folder.waiting_bytes > FOLD_BYTES
            row = (turn.number, turn.data, link)
            if folds or self._renew_mark:
                db.execute("BEGIN")
                db.execute(_INSERT, row)
                if folds:
                    self._slice(db, max(FOLD_SLICE, len(turn.data) // PACE_BYTES))
                self._commit(db)
            else:
                self._tally.commit(db, _INSERT, row)  # a statement alone is a transaction
        self._folder.add(turn.number, turn.epoch, link, len(turn.data))
        self._wal_pages += 2 + len(turn.data) // 4000
        if self._wal_pages > 2 * CHECKPOINT_PAGES:
            self._checkpoint("PASSIVE")  # nobody tends it

    @property
    def needs_tending(self) -> bool:
        """Whether the WAL is to be moved into the main file, soon and between two commits."""
        return self._wal_pages > CHECKPOINT_PAGES and not self._failed

    def tend(self) -> None:
        """Move the WAL into the main file if it is long: milliseconds, most of them spent on the disk.

        Raises:
            StorageError: if the storage failed.
        """
        if self.needs_tending:
            self._checkpoint("PASSIVE")

    def fold(self, rows: int = FOLD_SLICE) -> bool:
        """Fold about ``rows`` rows; return whether there is more to do.

        Raises:
            StorageError: if the storage failed.
        """
        self._check_usable()
        if self._base is not None or self._folder.is_done:
            return False
        db = self._opened()
        with self._io("fold"):
            self.names.check()
            db.execute("BEGIN")
            more = self._slice(db, rows)
            self._commit(db)
        if self._wal_pages > 2 * CHECKPOINT_PAGES:
            self._checkpoint("PASSIVE")
        return more

    def _slice(self, db: sqlite3.Connection, rows: int) -> bool:
        more = self._folder.slice(db, rows)
        self._is_counting = True
        self._tally.folds += 1
        return more

    def _commit(self, db: sqlite3.Connection) -> None:
        if self._renew_mark:
            # The first commit of every new WAL carries the mark: a WAL of another time is told by it.
            self._write_mark(db, replace(self._mark, generation=self._mark.generation + 1))
            self._renew_mark = False
        self._tally.commit(db)
        if self._is_counting:
            # How many pages a slice touches nobody can tell in advance.
            self._is_counting = False
            self._wal_pages = count_frames(wal_path(self._path))

    def _write_mark(self, db: sqlite3.Connection, mark: Mark) -> None:
        db.execute("INSERT OR REPLACE INTO mark VALUES (1, ?, ?, ?, ?, ?)", mark.columns())
        self._mark = mark

    def _checkpoint(self, how: str) -> None:
        db = self._opened()
        with self._io("checkpoint"):
            self.names.check()
            busy, pages, moved = db.execute(f"PRAGMA wal_checkpoint({how})").fetchone()
            if busy or pages != moved:
                raise OSError(errno.EBUSY, "the WAL could not be moved into the main file")
        self._wal_pages = 0
        self._renew_mark = True
        self._tally.checkpoints += 1

    # --- beginning ---------------------------------------------------------------------------

    def _opened(self) -> sqlite3.Connection:
        if self._db is None:
            self._check_usable()  # abandoned by another thread meanwhile: never a second connection
            self._open()
        assert self._db is not None
        return self._db

    def _open(self) -> None:
        """Open for writing and mark the main file open, durably, before the first epoch."""
        with self._io("open"):
            db = self._db = connect(self._path, mode="rw")
            if self._failed:
                self.abandon()
                self._check_usable()
            (mode,) = db.execute("PRAGMA journal_mode=WAL").fetchone()
            if mode != "wal":
                raise OSError(errno.EIO, f"SQLite answers journal mode {mode}")
            db.execute("PRAGMA synchronous=FULL")
            db.execute("PRAGMA wal_autocheckpoint=0")
            (stored,) = db.execute("SELECT session FROM mark").fetchone()
            if stored != self._mark.session:
                raise OSError(errno.ESTALE, "the file was exchanged while it was opened")
        # What a killed server left goes into the main file first: the WAL then begins anew.
        self._checkpoint("PASSIVE")
        self._renew_mark = False
        with self._io("open"):
            mark = Mark(session=os.urandom(8).hex(), previous=self._mark.session, is_open=True)
            db.execute("BEGIN")
            self._write_mark(db, mark)
            db.execute("COMMIT")
        self._checkpoint("PASSIVE")
        with self._io("open"):
            self.kind = kind_of(self._path.parent)
            self.reserve_refused = make_reserve(wal_path(self._path), RESERVE_BYTES)
            sync_folder(self._path.parent)
            self.names.watch(self._path, wal_path(self._path), lock_path(self._path))
            self.probes = try_disk(wal_path(self._path), RESERVE_BYTES)

    def _create(self, base: Image, turn: Turn, link: bytes) -> None:
        """Make the file, first turn and all, and go on as with one that was there."""
        with self._io("create"):
            meta, self._mark = create_file(self._path, base, turn, link, sets_aside=self.sets_aside)
        self._folder = Folder(meta)
        for oid in (*base.chunks, *turn.epoch.chunks, *turn.epoch.deltas):
            self._folder.add_big(oid)
        self._base = None
        self._open()

    # --- ending ------------------------------------------------------------------------------

    def backup(self, path: Path) -> None:
        """Write the state as of the last commit to ``path``, a closed tap of its own.

        Raises:
            CannotCreateError, NotPermittedError: if it cannot be written there.
        """
        self._check_usable()
        if self._base is not None:
            raise InternalError(f"{self._path}: nothing was committed yet, so there is nothing to back up")
        write_backup(self._opened(), path)

    def close(self) -> None:
        """Fold everything, clear the open mark and leave one file.

        A tap to which nothing was ever committed is left as it was, or does not appear.

        Raises:
            StorageError: if the storage failed.
        """
        if self._failed:
            return
        db = self._db
        if db is not None:
            while self.fold(1000):
                pass
            # The mark goes into the main file last and alone: were it moved with other pages, a power cut
            # in between could leave a file that says it is closed and is older than its WAL.
            self._checkpoint("PASSIVE")
            closed = replace(self._mark, is_open=False, generation=self._mark.generation + 1)
            with self._io("close"):
                db.execute("BEGIN")
                self._write_mark(db, closed)
                db.execute("COMMIT")
            self._checkpoint("TRUNCATE")
            with self._io("close"):
                db.close()
                self._db = None
                wal_path(self._path).unlink(missing_ok=True)
                sync_folder(self._path.parent)
        self._failed = "the tap was closed"
        release_inode(self._path)

    def abandon(self) -> None:
        """Stop at once and write nothing more; the file stays as of the last commit."""
        self._failed = self._failed or "the tap was abandoned"
        if self._db is not None:
            # Closing would move the WAL.  The connection is leaked: not even the interpreter's end closes it.
            leak(self._db)
            self._db = None

    def _check_usable(self) -> None:
        if self._failed:
            raise StorageError(f"{self._path}: {self._failed}")

    @contextmanager
    def _io(self, step: str) -> Iterator[None]:
        """Turn any failure of the storage into the end of this store."""
        try:
            if self.on_io is not None:
                self.on_io(step)
            yield
        except (sqlite3.Error, OSError) as error:
            self._failed = f"the storage failed ({step}: {reason_of(error)})"
            self.abandon()
            raise failure_of(self._path, step, error) from error
