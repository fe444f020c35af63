"""The reserve: a ``-wal`` file that has its space before it needs it.

SQLite overwrites its WAL from the start after each checkpoint.  Given its size
once, a commit changes no length and no allocation, which makes its sync about
30 % cheaper; and what lies beyond the checkpoint's mark is room for the final
commit on a disk that somebody else has filled.  Zeros behind the last frame are
no frames: SQLite's recovery and ours stop at the first that does not fit.

The space is promised by file systems that overwrite in place (ext4, XFS, tmpfs).
One that copies on write (btrfs, ZFS) promises it once, or not at all.

This module must never know what a frame holds.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

from taphouse.persist.opening import wal_path
from taphouse.persist.places import place_of

__all__ = ["kind_of", "make_reserve", "size_of_wal", "try_disk"]

_PROBE_BYTES: Final = 4096
_PROBES: Final = 5
_PROBING_S: Final = 0.0015


def make_reserve(wal: Path, size: int) -> str:
    """Give ``wal``, of which nothing is needed yet, at least ``size`` bytes of space.

    Args:
        wal: an existing file.
        size: bytes; 0 leaves it as it is.

    Returns:
        Why that could not be; empty if it could.

    Raises:
        OSError: if it cannot be opened.
    """
    if not size:
        return ""
    descriptor = os.open(wal, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        found = os.fstatvfs(descriptor)
        missing = size - os.fstat(descriptor).st_size
        if found.f_bavail * found.f_frsize < 2 * missing:
            return f"{wal}: too little room on the disk for a reserve of {size >> 20} MB; going on without"
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        return f"{wal}: no reserve: {error.strerror}; going on without"
    finally:
        os.close(descriptor)
    return ""


def try_disk(wal: Path, size: int) -> tuple[float, ...]:
    """Sync a few writes to the end of the reserve of ``size`` bytes; return the seconds of each.

    It stops after 1.5 ms, so a slow disk is tried once; without a reserve it does nothing.

    Raises:
        OSError: if a sync fails, which is the disk's first and last word.
    """
    descriptor = os.open(wal, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        took: list[float] = []
        at = size - _PROBE_BYTES
        if at < 0 or os.fstat(descriptor).st_size < size:
            return ()
        begun = before = time.perf_counter()
        while len(took) < _PROBES and before - begun < _PROBING_S:
            os.pwrite(descriptor, bytes(_PROBE_BYTES), at)
            os.fdatasync(descriptor)
            now = time.perf_counter()
            took.append(now - before)
            before = now
        return tuple(took)
    finally:
        os.close(descriptor)


def size_of_wal(path: Path) -> int:
    """Return the bytes of the ``-wal`` file of ``path``; 0 if there is none or it cannot be seen."""
    try:
        return wal_path(path).stat().st_size
    except OSError:
        return 0


def kind_of(folder: Path) -> str:
    """Return the type of the file system of ``folder``, such as ``ext4``; empty if that cannot be told."""
    try:
        mountinfo = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape")
    except OSError:
        return ""
    return place_of(mountinfo, os.path.realpath(folder)).kind
