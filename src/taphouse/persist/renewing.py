"""Renewing a tap: its next epoch is made on a copy, which then takes its place.

The original is not touched before the copy is whole, closed, synced and read back;
whoever looks, after a death too, sees the old tap or the new one.  This module
must never know what is changed in between.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from taphouse.errors import (
    CannotCreateError,
    InternalError,
    NotPermittedError,
    TaphouseError,
)
from taphouse.persist.beginning import load_state, open_state
from taphouse.persist.locks import TapLock, hold_inode, is_locked_here
from taphouse.persist.reading import copy_tap_files, load_image, private_folder
from taphouse.persist.replacing import replace_tap
from taphouse.persist.store import FOLD_SLICE, SqliteStore
from taphouse.persist.turns import Outcome, Turn

__all__ = ["Renewal", "RenewedStore", "keep_owner", "rehearse_state", "renew_state"]


class Renewal:
    """A state tap that is about to be replaced by its own next epoch.

    Attributes:
        path: the tap (a real path); its lock is held.
        store: on the copy, just opened: to be thawed, committed to through :meth:`commit`.
    """

    def __init__(self, path: Path, store: SqliteStore) -> None:
        self.path = path
        self.store = store

    def commit(self, turn: Turn) -> Path:
        """Write one turn and put the outcome in the tap's place.

        Returns:
            Where the tap is kept as it was: beside it, as ``NAME.1`` or the first number that is free.

        Raises:
            StorageError, CannotCreateError, NotPermittedError: if it cannot be written; the tap is as it was.
        """
        copy = self.store.path
        assert copy is not None
        self.store.commit(turn)
        self.store.close()
        keep_owner(copy, self.path)
        kept = replace_tap(copy, self.path, keeps=True)
        assert kept is not None
        return kept


class RenewedStore(SqliteStore):
    """A state tap that goes on as its own renewal: the first commit replaces it, and keeps it as it was.

    Until then nothing is written, so that a start which fails leaves every file as it was.

    Args:
        path: of a state tap; the caller holds its lock.

    Raises:
        TapError, NotPermittedError: as of `open_state`.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        name = Path(os.path.realpath(path))
        super().__init__(name, load_state(name), exists=True)
        self.renews = True
        """Set to False before the first commit, the tap just goes on."""
        self.kept_as: Path | None = None
        """Where the tap is kept as it was, from the first commit on."""

    def fold(self, rows: int = FOLD_SLICE) -> bool:
        """Fold some rows, see `SqliteStore.fold`; nothing before the first commit."""
        return not self.renews and super().fold(rows)

    def commit(self, turn: Turn) -> Outcome:
        """Write a turn, see `SqliteStore.commit`; the first one as of `Renewal.commit`."""
        if not self.renews:
            return super().commit(turn)
        self._check_usable()
        try:
            with renew_state(self._path) as renewal:
                kept = renewal.commit(turn)
            image = load_image(self._path, in_place=True)
            with self._io("create"):
                hold_inode(self._path)  # another file has the name now
        except BaseException:
            self.abandon()
            raise
        SqliteStore.__init__(self, self._path, image, exists=True)
        self.take_image()
        self._open()
        self.renews, self.kept_as = False, kept
        return Outcome.OK


@contextmanager
def renew_state(path: str | os.PathLike[str]) -> Iterator[Renewal]:
    """Give a store on a copy of a state tap, with what a killed server left; the caller holds its lock.

    The copy lies in a hidden folder beside the tap, so that a rename can bring it there.  Without a
    :meth:`Renewal.commit` nothing remains of it.

    Raises:
        TapError: if the tap is damaged, no state tap, or its WAL is missing or foreign.
        CannotCreateError, NotPermittedError: if there is no place for the copy.
    """
    name = Path(os.path.realpath(path))
    if not is_locked_here(name):
        raise InternalError(f"{name} is renewed without its lock")
    for left in name.parent.glob(f".{glob.escape(name.name)}.*.renewing"):
        _remove(left)  # of one that was killed: whoever has the lock is alone
    folder = name.with_name(f".{name.name}.{os.urandom(4).hex()}.renewing")
    try:
        folder.mkdir(0o700)
    except OSError as error:
        kind = NotPermittedError if isinstance(error, PermissionError) else CannotCreateError
        raise kind(f"{name.parent}: {error.strerror}", cure="run as a user who may write there") from error
    try:
        with _naming(folder / name.name, name), _opened(name, folder) as store:
            yield Renewal(name, store)
    finally:
        _remove(folder)


@contextmanager
def _naming(copy: Path, name: Path) -> Iterator[None]:
    """Let errors name the tap, not the copy that is worked on."""
    try:
        yield
    except TaphouseError as error:
        error.message = error.message.replace(os.fspath(copy), os.fspath(name))
        if isinstance(error, CannotCreateError):
            error.cure = "the tap is as it was; free as much space as it takes once more"
        raise


def _remove(folder: Path) -> None:
    with suppress(OSError):
        for leftover in folder.iterdir():
            leftover.unlink()
        folder.rmdir()


@contextmanager
def rehearse_state(path: str | os.PathLike[str]) -> Iterator[SqliteStore]:
    """Give a store on a copy of a state tap in a private folder elsewhere, of a running server too.

    Raises:
        TapError: if it is damaged or no state tap, or its WAL is missing or foreign.
    """
    name = Path(os.path.realpath(path))
    with private_folder() as folder, _naming(folder / name.name, name), _opened(name, folder) as store:
        yield store


@contextmanager
def _opened(name: Path, folder: Path) -> Iterator[SqliteStore]:
    copy = copy_tap_files(name, folder)
    lock = TapLock(copy)
    lock.acquire(wait_s=0)
    try:
        store = open_state(copy)
        try:
            yield store
        finally:
            store.abandon()
    finally:
        lock.release()


def keep_owner(new: Path, old: Path) -> None:
    """Give ``new`` the owner and mode of ``old``: a server that runs as another user goes on with it.

    Raises:
        NotPermittedError: if it cannot have them.
    """
    status = old.stat()
    try:
        made = new.stat()
        if (made.st_uid, made.st_gid) != (status.st_uid, status.st_gid):
            os.chown(new, status.st_uid, status.st_gid)
        new.chmod(status.st_mode & 0o7777)
    except PermissionError as error:
        raise NotPermittedError(
            f"{old} belongs to user {status.st_uid}, and what replaces it would not", cure="run as that user"
        ) from error
