"""The one place that replaces, moves or removes taps.

A tap may lie in two files, and a WAL that is left beside a new tap would be laid
over it.  So before a name changes its file, the old tap is recovered and closed
into one file.  No other code renames or unlinks a tap.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from taphouse.errors import CannotCreateError, NotPermittedError, TapError
from taphouse.persist.blanks import leak
from taphouse.persist.building import check_regular, publish, temporary_beside
from taphouse.persist.image import read_mark
from taphouse.persist.locks import held_lock
from taphouse.persist.opening import connect, wal_path
from taphouse.persist.places import failure_of
from taphouse.persist.reading import load_image
from taphouse.value import replace
from taphouse.wholefile import sync_folder

__all__ = ["bring_back", "remove_tap", "replace_tap", "set_aside", "settle_tap"]


def settle_tap(path: Path) -> None:
    """Make a tap that was not closed one closed file; the caller holds the lock and has read it whole.

    Raises:
        sqlite3.Error, OSError: if the storage fails.
    """
    wal = wal_path(path)
    if not path.exists():
        return
    db = connect(path, mode="rw")
    try:
        mark = read_mark(db, path)
        if mark.is_open or wal.exists():
            # The last commit of a killed server may be in memory only.  Moving the WAL syncs it first:
            # a commit that is written behind one that gets lost would look like damage.
            db.execute("PRAGMA wal_checkpoint(PASSIVE)")
            db.execute(
                "INSERT OR REPLACE INTO mark VALUES (1, ?, ?, ?, ?, ?)",
                replace(mark, is_open=False).columns(),
            )
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except BaseException:
        leak(db)  # closing it would move the WAL once more, and a second sync succeeds whatever was lost
        raise
    db.close()
    wal.unlink(missing_ok=True)


def set_aside(path: str | os.PathLike[str]) -> Path:
    """Give a tap another name, ``.1`` or the first number that is free, durably.

    An intact tap becomes one closed file first; a damaged one is moved as it is,
    its WAL with it.

    Returns:
        The new name.

    Raises:
        AlreadyRunningError: if a server runs on it.
        CannotCreateError, NotPermittedError, StorageError: if it cannot be moved.
    """
    old = Path(os.path.realpath(path))
    check_regular(old)
    with held_lock(old), _moving(old):
        new = _free_name(old)
        if _is_intact(old):
            settle_tap(old)
        elif wal_path(old).exists():
            os.rename(wal_path(old), wal_path(new))
        os.rename(old, new)
        sync_folder(old.parent)
    return new


def bring_back(aside: Path, path: Path) -> None:
    """Undo :func:`set_aside`, as far as the storage lets us, unless something has the name by now."""
    if not path.exists():
        with suppress(OSError):
            if wal_path(aside).exists():
                os.rename(wal_path(aside), wal_path(path))
            os.rename(aside, path)
            sync_folder(path.parent)


def replace_tap(
    new: str | os.PathLike[str], path: str | os.PathLike[str], *, keeps: bool = False
) -> Path | None:
    """Put the tap ``new`` in the place of ``path``, durably; ``path`` need not exist.

    Args:
        new: a closed tap on the same disk; the name is gone afterwards.
        path: the name it gets.
        keeps: give what has the name a second one first, ``.1`` or the first number that is free.

    Returns:
        The second name, None if there is none.

    Raises:
        TapError: if ``new`` is damaged or was not closed; ``path`` is left as it was.
        AlreadyRunningError: if a server runs on ``path``.
        CannotCreateError, NotPermittedError, StorageError: if it cannot be moved.
    """
    source, target = Path(os.path.realpath(new)), Path(os.path.realpath(path))
    if load_image(source).mark.is_open or wal_path(source).exists():
        raise TapError("was not closed", path=str(source), cure="start and stop it once")
    check_regular(target)
    with held_lock(target), _moving(target):
        if target.exists() and _is_intact(target):
            settle_tap(target)
        wal_path(target).unlink(missing_ok=True)
        with source.open("rb") as file:
            os.fsync(file.fileno())
        if not keeps or not target.exists():
            publish(source, target)
            return None
        # A link, not a move: at every instant there is a whole tap of this name.
        kept = _free_name(target)
        _give_second_name(target, kept)
        try:
            publish(source, target)
        except BaseException:
            if source.exists():
                kept.unlink(missing_ok=True)
            raise
        return kept


def remove_tap(path: str | os.PathLike[str]) -> None:
    """Remove a tap that nobody needs, durably.

    Raises:
        AlreadyRunningError: if a server runs on it.
        CannotCreateError, NotPermittedError, StorageError: if it cannot be removed.
    """
    name = Path(os.path.realpath(path))
    with held_lock(name), _moving(name):
        wal_path(name).unlink(missing_ok=True)
        name.unlink()
        sync_folder(name.parent)


def _give_second_name(path: Path, kept: Path) -> None:
    """Link ``path`` to ``kept``, or copy it where the file system knows no links."""
    try:
        os.link(path, kept)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK):
            raise
        import shutil  # which would cost every start some milliseconds

        with temporary_beside(kept) as copy:
            shutil.copy2(path, copy)
            with copy.open("rb") as file:
                os.fsync(file.fileno())
            publish(copy, kept)


def _free_name(path: Path) -> Path:
    """Return the first of ``path.1``, ``path.2``, ... that nothing has."""
    number = 1
    while (free := path.with_name(f"{path.name}.{number}")).exists() or wal_path(free).exists():
        number += 1
    return free


def _is_intact(path: Path) -> bool:
    try:
        load_image(path)
    except TapError:
        return False
    return True


@contextmanager
def _moving(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise CannotCreateError(f"{path}: {error.strerror}", cure="check the name") from error
    except PermissionError as error:
        raise NotPermittedError(
            f"{path}: {error.strerror}", cure="run as a user who may write there"
        ) from error
    except (sqlite3.Error, OSError) as error:
        raise failure_of(path, "moving it", error) from error
