"""The pidfile: one server per file, decided by a lock, never by a number.

The number in it is a hint for ``kill $(cat twistd.pid)``.  Take it after the
last fork: an flock(2) belongs to the open file, which forked children share;
children therefore close it by themselves.  This module must never know what
the process does.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import weakref

from taphouse.daemon.process import ProcessInfo, read_process
from taphouse.daemon.system import System
from taphouse.errors import (
    AlreadyRunningError,
    CannotCreateError,
    ConfigurationError,
    NotPermittedError,
    TaphouseError,
)

__all__ = ["PidFile", "find_pidfile_holder", "rebase_pidfiles"]

# Left behind where a server may write its pidfile but not remove it (root's directory, ids
# dropped): `kill stopped` harms nobody, and the next start takes the file.
_RELEASED = b"stopped\n"
_READ_BYTES = 64
_POLL_S = 0.02
_UNCLEAR_POLLS = 50
_MODE = 0o644

_held: weakref.WeakSet[PidFile] = weakref.WeakSet()


def find_pidfile_holder(path: str, *, system: System | None = None) -> ProcessInfo | None:
    """Return the process that runs under the pidfile ``path``, or ``None`` if none does.

    Raises:
        NotPermittedError: the file may not be read.
    """
    system = system or System()
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise _refusal(path, problem) from None
    try:
        if system.flock(fd, fcntl.LOCK_SH):
            return None
        number = _number(os.pread(fd, _READ_BYTES, 0))
    finally:
        os.close(fd)
    # Locked and yet no number, or one of another pid namespace: still somebody's.
    return (number and read_process(number)) or ProcessInfo(number or 0, 0, "?", "")


class PidFile:
    """A pidfile, held for life.

    Args:
        path: where; made absolute at once, because a daemon changes directory.
        system: the operating system.
    """

    def __init__(self, path: str, *, system: System | None = None) -> None:
        self.path = os.path.abspath(path)
        self.stale: int | None = None
        """The number of a server that ended without removing this file; set by :meth:`acquire`."""
        self._system = system or System()
        self._fd = -1
        self._owner = 0
        self._is_outside = False

    @property
    def is_held(self) -> bool:
        """Whether this process holds the file."""
        return self._fd >= 0

    def acquire(self, *, wait_s: float = 0.0) -> None:
        """Take the file and write our number into it.

        Args:
            wait_s: how many seconds to wait for a holder that may be ending.

        Raises:
            AlreadyRunningError: a running server holds it (75).
            ConfigurationError: the file is not a pidfile; it is left untouched (78).
            CannotCreateError: it cannot be made (73).
            NotPermittedError: we may not write there (77).
        """
        # Polls are counted, not seconds: who is to end needs the machine as much as we do.
        left = round(wait_s / _POLL_S)
        unclear = max(left, _UNCLEAR_POLLS)
        # Twice at once: the first time it may have been removed just before we locked it.
        if not self._try():
            while not self._try():
                holder = find_pidfile_holder(self.path, system=self._system)
                # No server is known by a lock alone: somebody may look who holds the file, a winner not have
                # written yet who he is, or a child of a killed server not have let go.
                if (left if holder and holder.started else unclear) <= 0:
                    raise self._busy(holder)
                left, unclear = left - 1, unclear - 1
                self._system.sleep(_POLL_S)
        self._owner = self._system.getpid()
        _held.add(self)

    def release(self) -> None:
        """Remove the file and let go of it; harmless if we do not hold it.

        The file is unlinked while it is locked, so nobody else's is ever removed.
        """
        if self._fd < 0:
            return
        fd, self._fd = self._fd, -1
        _held.discard(self)
        try:
            if self._owner != self._system.getpid():
                return
            if self._is_outside:
                _give_up(fd)
            elif self._is_at_path(fd):
                try:
                    os.unlink(self.path)
                except OSError:
                    _give_up(fd)
        finally:
            os.close(fd)

    def rebase(self, root: str) -> None:
        """Say the name anew after chroot(2) to ``root``; a file outside will stay, without a number."""
        inside = os.path.join(root.rstrip("/"), "")
        self._is_outside = not self.path.startswith(inside)
        if not self._is_outside:
            self.path = "/" + self.path.removeprefix(inside)

    def close_in_child(self) -> None:
        """Forget the file in a forked child: the lock stays with the parent alone."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    # -- steps -------------------------------------------------------------

    def _try(self) -> bool:
        """One attempt: True if the file is ours now, False if it is locked or moved."""
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return self._create()
        except OSError as problem:
            raise _refusal(self.path, problem) from None
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise _not_a_pidfile(self.path, "is not a regular file")
            if not self._system.flock(fd, fcntl.LOCK_EX):
                return False
            if not self._is_at_path(fd):
                return False  # its holder removed it between our open and our lock
            self._take_over(fd)
            self._fd, fd = fd, -1
        finally:
            if fd >= 0:
                os.close(fd)
        return True

    def _take_over(self, fd: int) -> None:
        """Put our number where a number is, and nowhere else."""
        content = os.pread(fd, _READ_BYTES, 0)
        number = _number(content)
        if number is None and content != _RELEASED:
            raise _not_a_pidfile(self.path, "holds a non-numeric process id" if content else "is empty")
        try:
            _overwrite(fd, self._line())
        except OSError as problem:
            raise _refusal(self.path, problem) from None
        self.stale = number

    def _create(self) -> bool:
        """Make the file complete and locked before it has a name; False if somebody was quicker.

        A server killed in between thus never leaves an empty pidfile, which the next start
        would have to refuse.
        """
        try:
            fd = self._open_nameless()
            try:
                if not self._system.flock(fd, fcntl.LOCK_EX):
                    return False
                _overwrite(fd, self._line())
                os.fchmod(fd, _MODE)  # a daemon's umask is 077, but others may read who runs
                if os.fstat(fd).st_nlink == 0:
                    # Python only calls linkat(2), which can follow /proc/self/fd, if given a dir_fd.
                    os.link(f"/proc/self/fd/{fd}", self.path, src_dir_fd=fd, follow_symlinks=True)
                self._fd, fd = fd, -1
            finally:
                if fd >= 0:
                    os.close(fd)
        except FileExistsError:
            return False
        except OSError as problem:
            raise _refusal(self.path, problem) from None
        return True

    def _open_nameless(self) -> int:
        folder = os.path.dirname(self.path)
        try:
            return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, _MODE)
        except (AttributeError, OSError) as problem:
            # Not every file system has nameless files; without them the name comes first.
            if getattr(problem, "errno", errno.EOPNOTSUPP) not in (errno.EOPNOTSUPP, errno.EISDIR):
                raise
        return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)

    def _line(self) -> bytes:
        return b"%d\n" % self._system.getpid()

    def _is_at_path(self, fd: int) -> bool:
        try:
            there = os.lstat(self.path)
        except OSError:
            return False
        return os.path.samestat(there, os.fstat(fd))

    def _busy(self, holder: ProcessInfo | None) -> AlreadyRunningError:
        who = str(holder) if holder else "which is just ending"
        return AlreadyRunningError(
            f"A server is already running, {who}: it holds {self.path}",
            cure="stop it, or give this one its own --pidfile",
        )


def rebase_pidfiles(root: str) -> None:
    """Tell every pidfile this process holds that it has called chroot(2) with ``root``."""
    for pidfile in list(_held):
        pidfile.rebase(root)


def _overwrite(fd: int, line: bytes) -> None:
    """Replace the content; never passing through an empty file."""
    os.pwrite(fd, line, 0)
    os.ftruncate(fd, len(line))
    os.fsync(fd)


def _give_up(fd: int) -> None:
    with contextlib.suppress(OSError):
        _overwrite(fd, _RELEASED)


def _number(content: bytes) -> int | None:
    text = content.strip()
    return int(text) if text.isdigit() and len(text) <= 10 and int(text) > 0 else None


def _not_a_pidfile(path: str, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"pidfile {path} {why}, so it was left alone",
        cure="remove it if it is of no use, or choose another --pidfile",
    )


def _refusal(path: str, problem: OSError) -> TaphouseError:
    why = os.strerror(problem.errno) if problem.errno else str(problem)
    if problem.errno == errno.ELOOP:
        return _not_a_pidfile(path, "is a symbolic link")
    if problem.errno == errno.EISDIR:
        return _not_a_pidfile(path, "is a directory")
    if problem.errno in (errno.EACCES, errno.EPERM):
        return NotPermittedError(
            f"pidfile {path} cannot be written: {why}", cure="choose another --pidfile or --rundir"
        )
    return CannotCreateError(
        f"pidfile {path} cannot be made: {why}", cure="choose another --pidfile or --rundir"
    )


def _close_all_in_child() -> None:
    for pidfile in list(_held):
        pidfile.close_in_child()
    _held.clear()


os.register_at_fork(after_in_child=_close_all_in_child)
