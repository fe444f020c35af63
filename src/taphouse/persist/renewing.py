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
from taphouse.persist.beginning import open_state
from taphouse.persist.locks import TapLock, is_locked_here
from taphouse.persist.reading import copy_tap_files, private_folder
from taphouse.persist.replacing import replace_tap
from taphouse.persist.store import SqliteStore
from taphouse.persist.turns import Turn

__all__ = ["Renewal", "keep_owner", "rehearse_state", "renew_state"]


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
