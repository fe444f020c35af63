"""Locks: one process per tap, whatever name it is called by.

Two flocks are held for life.  One on the tap's own inode, so that hard links,
symbolic links and other folders lead to the same lock; one on a hidden file
beside it, so that a tap that does not exist yet can be locked.  A descriptor of
a locked tap is never closed while its store is open: closing any descriptor of
a file drops the POSIX locks that SQLite holds on it.  Children of a fork let go.

This module must never read or write a tap.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from taphouse.errors import AlreadyRunningError, CannotCreateError, NotPermittedError

__all__ = [
    "NameWatch",
    "TapLock",
    "held_lock",
    "hold_inode",
    "is_locked_here",
    "lock_path",
    "release_inode",
    "rename_held",
]

_POLL_S: Final = 0.02
_AGAIN: Final = 10
_LOOKS: Final = 10
"""How often the list of locks is read before an inode is believed to have no holder."""

_created: dict[Path, int] = {}
"""Locks of taps that this process created, by path: their inode had no name when the lock was asked for."""


def lock_path(path: Path) -> Path:
    """Return where the lock of the tap at ``path`` lies beside it."""
    return path.with_name(f".{path.name}.lock")


class TapLock:
    """The right to write a tap.

    Args:
        path: of the tap; it need not exist.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(os.path.realpath(path))
        self._beside = lock_path(self.path)
        self._descriptors: list[int] = []
        _alive.add(self)

    @property
    def is_held(self) -> bool:
        """Whether this process has the lock."""
        return bool(self._descriptors)

    def acquire(self, wait_s: float = 5.0) -> None:
        """Take the lock, waiting for a holder that is about to end.

        Args:
            wait_s: how long to wait.

        Raises:
            AlreadyRunningError: naming the holder, if it does not end in time.
            CannotCreateError, NotPermittedError: if there is no place for the lock.
        """
        # Polls are counted, not seconds: who is to end needs the machine as much as we do.
        left = round(wait_s / _POLL_S)
        while (busy := self._try()) is not None:
            if left <= 0:
                raise AlreadyRunningError(
                    f"{self.path}: {_holder(self._owners(busy))}", cure="stop that one first: tap stop"
                )
            left -= 1
            time.sleep(_POLL_S)

    def _owners(self, busy: tuple[int, int]) -> list[tuple[int, int]]:
        """Whose locks tell who owns the tap: its own inode first, then what was found busy.

        Others who wait hold the file beside it for an instant, so the one found busy may be theirs.
        """
        owners = [busy]
        with contextlib.suppress(OSError):
            status = os.stat(self.path)
            owners.insert(0, (status.st_dev, status.st_ino))
        return owners

    def release(self) -> None:
        """Give the lock back; the store is closed by then."""
        if self._descriptors:
            self._remove_and_let_go()

    def _remove_and_let_go(self) -> None:
        # Unlinked while still held: whoever waits for it notices that its file has no name any more.
        with contextlib.suppress(OSError):
            self._beside.unlink()
        self._let_go()

    def _let_go(self) -> None:
        while self._descriptors:
            with contextlib.suppress(OSError):
                os.close(self._descriptors.pop())

    def _try(self, again: int = _AGAIN) -> tuple[int, int] | None:
        """Try once; return device and inode of what another process holds, None if the lock is ours."""
        for path, flags in ((self._beside, os.O_RDWR | os.O_CREAT), (self.path, os.O_RDONLY)):
            try:
                descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
            except FileNotFoundError as error:
                if path is self.path:
                    continue
                self._let_go()
                raise CannotCreateError(
                    f"{self.path.parent}: {error.strerror}", cure="create the folder"
                ) from error
            except OSError as error:
                self._let_go()
                kind = NotPermittedError if error.errno in (errno.EACCES, errno.EPERM) else CannotCreateError
                cure = (
                    "run as a user who may" if kind is NotPermittedError else "choose a folder that you can"
                )
                raise kind(f"{path}: {error.strerror}", cure=f"{cure} write there") from error
            self._descriptors.append(descriptor)
            status = os.fstat(descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if path is self.path:
                    self._remove_and_let_go()  # the file beside is ours: its owner has it by another name
                self._let_go()
                return status.st_dev, status.st_ino
            if not _is_named(path, status):
                self._let_go()
                # Its holder has just given it back, so nobody may hold the one that has the name now.
                return self._try(again - 1) if again else (status.st_dev, status.st_ino)
        return None


class NameWatch:
    """Which files some names stand for: to notice that somebody moved, removed or replaced one.

    What is written then goes into a file that no start will ever find.
    """

    def __init__(self) -> None:
        self._files: dict[Path, os.stat_result] = {}

    def watch(self, *paths: Path) -> None:
        """From now on these names have to stand for what they stand for now; a missing one is not watched."""
        for path in paths:
            with contextlib.suppress(OSError):
                self._files[path] = os.stat(path, follow_symlinks=False)

    def check(self) -> None:
        """See that each name still stands for its file.

        Raises:
            OSError: ESTALE, naming the file.
        """
        for path, status in self._files.items():
            if not _is_named(path, status):
                raise OSError(errno.ESTALE, f"{path.name} was moved, removed or replaced by somebody else")


def _is_named(path: Path, status: os.stat_result) -> bool:
    try:
        now = os.stat(path, follow_symlinks=False)
    except PermissionError:
        return True  # a folder that was closed to us: nothing was said about the file
    except OSError:
        return False
    return (now.st_dev, now.st_ino) == (status.st_dev, status.st_ino)


def _holder(inodes: list[tuple[int, int]]) -> str:
    """Describe the process that holds the lock on the first of the inodes that anybody holds."""
    pid = _holder_pid(inodes)
    if not pid:
        return "another process uses it"
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ")
        where = os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return f"process {pid} uses it"
    shown = "".join(c if c.isprintable() else "?" for c in command.decode("utf-8", "replace"))[:200]
    return f"process {pid} uses it ({shown}, in {where})"


def _holder_pid(inodes: list[tuple[int, int]]) -> int:
    # The kernel hands the list out a page at a time; what is locked or let go between two pages shifts
    # the rest, so a line may be left out.  Only when several looks found nobody on the first inode is the
    # next one asked: its holder may be another one who waits.
    for inode in inodes:
        for _ in range(_LOOKS):
            if pid := _read_holders().get(inode):
                return pid
    return 0


def _read_holders() -> dict[tuple[int, int], int]:
    """Read who holds which flock: device and inode to pid."""
    try:
        lines = Path("/proc/locks").read_text("ascii", "replace").splitlines()
    except OSError:
        return {}
    holders = {}
    for line in lines:
        fields = line.split()
        # "1: FLOCK  ADVISORY  WRITE 1234 fd:01:5678 0 EOF"; waiters have "->" in the second place.
        if len(fields) >= 6 and fields[1] == "FLOCK" and fields[4].isdecimal() and fields[5].count(":") == 2:
            major, minor, number = fields[5].split(":")
            holders[os.makedev(int(major, 16), int(minor, 16)), int(number)] = int(fields[4])
    return holders


def hold_inode(path: Path) -> None:
    """Lock a file that this process made and is about to give its name.

    Raises:
        OSError: if it cannot be.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    before = _created.pop(path, None)
    if before is not None:
        os.close(before)
    _created[path] = descriptor


def rename_held(temporary: Path, path: Path) -> None:
    """Note that a file locked by :func:`hold_inode` has its name now."""
    release_inode(path)
    _created[path] = _created.pop(temporary)


def release_inode(path: Path) -> None:
    """Give back what :func:`hold_inode` took; the store is closed by then."""
    descriptor = _created.pop(path, None)
    if descriptor is not None:
        with contextlib.suppress(OSError):
            os.close(descriptor)


_alive: weakref.WeakSet[TapLock] = weakref.WeakSet()


@contextlib.contextmanager
def held_lock(path: Path, wait_s: float = 5.0) -> Iterator[None]:
    """Hold the lock of the tap at ``path`` (a real path), unless this process holds it already.

    Raises:
        AlreadyRunningError: naming the holder, if it does not end within ``wait_s`` seconds.
    """
    if is_locked_here(path):
        yield
        return
    lock = TapLock(path)
    lock.acquire(wait_s)
    try:
        yield
    finally:
        lock.release()


def is_locked_here(path: Path) -> bool:
    """Say whether this process holds the lock of the tap at ``path`` (a real path)."""
    return any(lock.is_held and lock.path == path for lock in _alive)


def _in_child() -> None:
    # A forked child shares the open file descriptions: closing them there leaves the parent's lock alone.
    for lock in list(_alive):
        lock._let_go()
    for path in list(_created):
        release_inode(path)


os.register_at_fork(after_in_child=_in_child)
