"""A private copy of a tap, opened as its owner would: for `tap check` and `tap backup`.

The original is only read; what is made appears whole or not at all.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from taphouse.errors import CannotCreateError
from taphouse.persist import Store, TapInfo, TapLock, copy_tap_files, create_state, open_state, read_info

__all__ = ["as_private_as", "copy_closed", "copy_stopped", "opened_copy", "private_folder"]


@contextmanager
def opened_copy(path: str) -> Iterator[tuple[TapInfo, Store]]:
    """Give what a tap says about itself, and a store on a private copy of it; nothing of it remains.

    Raises:
        TapError: if it is damaged, foreign or newer.
    """
    info = read_info(path)
    with private_folder() as folder:
        copy = copy_tap_files(Path(path), folder)
        lock = TapLock(copy)
        lock.acquire(wait_s=0)
        try:
            if info.role == "seed":
                store: Store = create_state(folder / f"{info.name}-checked.tap", seed=copy)
            else:
                store = open_state(copy)
            try:
                yield info, store
            finally:
                store.abandon()
        finally:
            lock.release()


def copy_closed(path: str, target: str) -> TapInfo:
    """Copy a tap on which no server runs into one whole, closed file on which none ever ran.

    Raises:
        TapError: if it is damaged, foreign or newer.
        CannotCreateError: if the copy cannot be written.
    """
    info = read_info(path)
    if info.role == "seed":
        _copy_file(path, target)
        return info
    with opened_copy(path) as (_, store), as_private_as(path, target):
        store.fold()
        store.backup(Path(target))
    return info


@contextmanager
def as_private_as(source: str, target: str) -> Iterator[None]:
    """Give what is made in the block the mode of what it is made of: it holds the same secrets.

    Args:
        source: a file; ``-`` for what the user's umask says.
        target: the file that is made; one that is there keeps its mode.
    """
    was_there = os.path.lexists(target)
    umask = os.umask(0o077)
    try:
        mode = 0o666 & ~umask if source == "-" else os.stat(source).st_mode & 0o666
        yield
        if not was_there and os.path.exists(target):
            os.chmod(target, mode)
    finally:
        os.umask(umask)


def copy_stopped(path: str, target: str) -> TapInfo:
    """Copy a tap on which no server runs into one whole, closed file, and return what it says.

    Raises:
        TapError: if it is damaged, foreign or newer.
        CannotCreateError: if the copy cannot be written.
    """
    info = read_info(path)
    if info.role == "seed" or not info.is_open:
        _copy_file(path, target)
        return info
    # Open without a server: it was killed.  A copy is recovered, the original stays as it is.
    with opened_copy(path) as (_, store):
        store.fold()
        store.backup(Path(target))
    return info


def _copy_file(path: str, target: str) -> None:
    folder, name = os.path.split(target)
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{name}.", suffix=".tmp", dir=folder)
    except OSError as error:
        raise CannotCreateError(
            f"{target}: {error.strerror}", cure="choose a folder with space that you may write"
        ) from None
    try:
        with os.fdopen(handle, "wb") as out, open(path, "rb") as source:
            shutil.copyfileobj(source, out)
            out.flush()
            os.fsync(out.fileno())
        os.link(temporary, target)
    except OSError as error:
        raise CannotCreateError(
            f"{target}: {error.strerror}", cure="choose a folder with space that you may write"
        ) from None
    finally:
        os.unlink(temporary)


@contextmanager
def private_folder() -> Iterator[Path]:
    """Give a folder that nobody else can look into, and remove it afterwards."""
    with tempfile.TemporaryDirectory(prefix="taphouse-") as folder:
        yield Path(folder)
