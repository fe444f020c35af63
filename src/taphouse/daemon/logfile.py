"""A log file that is appended to, rotated by size, and reopened when it was moved.

Numbers ascend with age: ``twistd.log.1`` is the newest of the old ones.  A
record is never split over two files: rotation comes before the write that would
cross the limit.  A directory that cannot be written is no reason to stop: the
file just grows.  This module must never know what a record says.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Sequence

from taphouse.errors import CannotCreateError, ConfigurationError, NotPermittedError

__all__ = ["LogFile", "StreamSink"]

DEFAULT_ROTATE_BYTES = 10_000_000
_MODE = 0o640
_WRITE_BYTES = 1 << 18


class StreamSink:
    """Records to a descriptor that is already open: the terminal, a pipe.

    Args:
        fd: it is duplicated, so the original may be closed or pointed elsewhere.
    """

    def __init__(self, fd: int) -> None:
        self._fd = os.dup(fd)

    def write(self, records: Sequence[bytes], level: int = 0) -> None:
        """Write all of ``records``, each with its newline; a reader that is gone is no error."""
        with contextlib.suppress(OSError):
            _write_all(self._fd, b"".join(records))

    def rotate(self) -> None:
        """Nothing to rotate."""

    def follow_with_stdio(self) -> None:
        """Make descriptors 1 and 2 this file, now and after every rotation."""
        self._leads_stdio = True
        os.dup2(self._fd, 1)
        os.dup2(self._fd, 2)

    def rebase(self, root: str) -> None:
        """An open descriptor does not care for chroot(2)."""

    def close(self) -> None:
        """Let go of the descriptor."""
        os.close(self._fd)


class LogFile:
    """A log file.

    Args:
        path: where; made absolute at once.
        rotate_bytes: size that a write must not cross; 0 for no rotation.
        keep: how many old files to keep; 0 for all.

    Raises:
        CannotCreateError: it cannot be opened or made (73).
        NotPermittedError: we may not (77).
        ConfigurationError: it is something that is no log (78).
    """

    def __init__(
        self,
        path: str,
        *,
        rotate_bytes: int = DEFAULT_ROTATE_BYTES,
        keep: int = 0,
    ) -> None:
        self.path = os.path.abspath(path)
        self._rotate_bytes = rotate_bytes
        self._keep = keep
        self._leads_stdio = False
        self._movable = True
        self._fd = -1
        try:
            self._use(self._open(_MODE))
        except OSError as problem:
            why = os.strerror(problem.errno) if problem.errno else str(problem)
            refused = problem.errno in (errno.EACCES, errno.EPERM)
            kind = NotPermittedError if refused else CannotCreateError
            raise kind(
                f"log file {self.path} cannot be opened: {why}", cure="choose another --logfile or --rundir"
            ) from None

    def write(self, records: Sequence[bytes], level: int = 0) -> None:
        """Append ``records``, each with its newline, in order; a full disk loses them, no more."""
        batch: list[bytes] = []
        size = self._size
        for record in records:
            if self._rotate_bytes and self._is_regular and size and size + len(record) > self._rotate_bytes:
                self._append(batch)
                batch = []
                self.rotate()
                size = self._size
            batch.append(record)
            size += len(record)
        self._append(batch)

    def rotate(self) -> None:
        """Begin a new file: move the old one to ``.1``, unless somebody has moved it already.

        This is what SIGUSR1 means: after ``mv`` or a logrotate(8) run the name is free or another
        file's, and all there is to do is to open it again.
        """
        if not self._movable:
            return
        if self._is_at_path():
            if not os.fstat(self._fd).st_size or not self._shift():
                return  # an empty file would only push good ones towards their end
            mode = stat.S_IMODE(os.fstat(self._fd).st_mode)
        else:
            mode = None
        try:
            fd = self._open(_MODE if mode is None else mode)
            if mode is not None:
                os.fchmod(fd, mode)  # what an operator once allowed holds for the next file too
        except OSError:
            return  # the old descriptor goes on
        old, self._fd = self._fd, -1
        self._use(fd)
        os.close(old)

    def follow_with_stdio(self) -> None:
        """Make descriptors 1 and 2 this file, now and after every rotation."""
        self._leads_stdio = True
        os.dup2(self._fd, 1)
        os.dup2(self._fd, 2)

    def give_to(self, uid: int, gid: int) -> None:
        """Change the owner; where that is not allowed the open descriptor still serves."""
        if self._is_regular:
            with contextlib.suppress(OSError):
                os.fchown(self._fd, uid, gid)

    def rebase(self, root: str) -> None:
        """Say the name anew after chroot(2) to ``root``; a file outside can no longer be moved."""
        inside = os.path.join(root.rstrip("/"), "")
        self._movable = self.path.startswith(inside)
        if self._movable:
            self.path = "/" + self.path.removeprefix(inside)

    def close(self) -> None:
        """Let go of the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    # -- steps -------------------------------------------------------------

    def _open(self, mode: int) -> int:
        # O_NONBLOCK only for the open itself: a FIFO without a reader would hang the start.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
        fd = os.open(self.path, flags, mode)
        os.set_blocking(fd, True)
        return fd

    def _use(self, fd: int) -> None:
        found = os.fstat(fd)
        if stat.S_ISBLK(found.st_mode):
            os.close(fd)
            raise ConfigurationError(
                f"log file {self.path} is a disk device", cure="choose another --logfile"
            )
        self._fd = fd
        self._is_regular = stat.S_ISREG(found.st_mode)
        self._size = found.st_size
        if self._leads_stdio:
            self.follow_with_stdio()

    def _append(self, batch: list[bytes]) -> None:
        if batch:
            with contextlib.suppress(OSError):
                self._size += _write_all(self._fd, b"".join(batch))

    def _is_at_path(self) -> bool:
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(self._fd))
        except OSError:
            return False

    def _shift(self) -> bool:
        """Rename name -> name.1 -> name.2 ..., oldest first; False if that is not possible."""
        if not self._is_regular:
            return False
        try:
            numbers = self._numbers()
            # Only the unbroken run from 1 has to move: a gap ends the chain.
            run = next(n for n in range(1, len(numbers) + 2) if n not in numbers)
            for number in range(run - 1, 0, -1):
                os.rename(f"{self.path}.{number}", f"{self.path}.{number + 1}")
            os.rename(self.path, f"{self.path}.1")
        except OSError:
            # Count anew from here, else every record would try again; half a shift loses nothing.
            self._size = 0
            return False
        for number in sorted(self._numbers()):
            if self._keep and number > self._keep:
                with contextlib.suppress(OSError):
                    os.unlink(f"{self.path}.{number}")
        return True

    def _numbers(self) -> set[int]:
        """The numbers in use; names such as ``.01``, ``.old`` or ``.1.gz`` are nobody's business."""
        folder, name = os.path.split(self.path)
        tails = (
            entry.removeprefix(name + ".") for entry in os.listdir(folder) if entry.startswith(name + ".")
        )
        return {int(t) for t in tails if t.isascii() and t.isdigit() and t[0] != "0" and len(t) < 10}


def _write_all(fd: int, data: bytes) -> int:
    done = 0
    while done < len(data):
        done += os.write(fd, data[done : done + _WRITE_BYTES])
    return done
