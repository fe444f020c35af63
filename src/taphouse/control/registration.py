"""A server's own entry in the registry, and its listening control socket.

Made before privileges are dropped and before any chroot, so that root's servers
are found where root looks; held for life.  This module must never answer anybody.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import time
import weakref

from taphouse.control.address import bind_socket
from taphouse.control.entry import ENTRY_SUFFIX, SOCKET_SUFFIX, Entry, own_start_time
from taphouse.control.registry import open_folder, registry_folders
from taphouse.errors import CannotCreateError

__all__ = ["Registration", "register"]

_held: weakref.WeakSet[Registration] = weakref.WeakSet()


class Registration:
    """A held entry; made by :func:`register`."""

    def __init__(self, entry: Entry, path: str, fd: int, listener: socket.socket) -> None:
        self.entry = entry
        self.socket = listener
        """Listening already: who connects now is answered when the server's loop runs."""
        self._path = path
        self._fd = fd
        _held.add(self)

    def release(self) -> None:
        """Remove the entry and the socket; harmless the second time.

        Where that is not possible any more (ids dropped, chroot) the lock goes all the same, and
        the next who looks removes them.
        """
        if self._fd < 0:
            return
        for path in (self._path, self.entry.socket):
            with contextlib.suppress(OSError):
                os.unlink(path)
        self.close_in_child()

    def close_in_child(self) -> None:
        """Let go of lock and socket, remove nothing; what a forked child has to do."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self.socket.close()
        _held.discard(self)


def register(
    *, name: str, tap: str = "", source: str = "", rundir: str = "", version: str = ""
) -> Registration:
    """Enter this process into the registry.

    Args:
        name: the application's name.
        tap: the state tap.
        source: what it was started from.
        rundir: the run directory; by default the current one.
        version: which taphouse this is.

    Raises:
        NotPermittedError: the folder is not safe (77).
        CannotCreateError: no folder can be had (73).
    """
    folder = _choose_folder()
    stem = f"{name}-{os.urandom(4).hex()}"
    entry = Entry(
        name=name,
        pid=os.getpid(),
        started=own_start_time(),
        since=round(time.time(), 3),
        tap=os.path.abspath(tap) if tap else "",
        source=os.path.abspath(source) if source else "",
        rundir=os.path.abspath(rundir or "."),
        socket=os.path.join(folder, stem + SOCKET_SUFFIX),
        version=version,
    )
    try:
        listener = bind_socket(entry.socket)
        try:
            path = os.path.join(folder, stem + ENTRY_SUFFIX)
            fd = _write_locked(path, entry.encode())
        except BaseException:
            listener.close()
            os.unlink(entry.socket)
            raise
    except OSError as problem:
        raise CannotCreateError(
            f"control socket {entry.socket} cannot be made: {os.strerror(problem.errno or 0)}",
            cure="set TAPHOUSE_RUNTIME_DIR to a directory of your own",
        ) from None
    return Registration(entry, path, fd, listener)


def _choose_folder() -> str:
    """The first folder that can be had; one that is there but not safe is an error, not passed over."""
    for folder in registry_folders():
        try:
            os.close(open_folder(folder, create=True))
        except OSError as problem:
            # No session directory, or a read-only /run: try the next.
            if problem.errno not in (errno.ENOENT, errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOTDIR):
                raise CannotCreateError(
                    f"registry folder {folder} cannot be made: {os.strerror(problem.errno or 0)}"
                ) from None
        else:
            return folder
    raise CannotCreateError(
        f"no registry folder can be made, tried {', '.join(registry_folders())}",
        cure="set TAPHOUSE_RUNTIME_DIR to a directory of your own",
    )


def _write_locked(path: str, content: bytes) -> int:
    """Write a file that is complete and locked when its name appears; returns its descriptor."""
    hidden = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.new")
    fd = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        os.write(fd, content)
        os.rename(hidden, path)
    except BaseException:
        os.close(fd)
        with contextlib.suppress(OSError):
            os.unlink(hidden)
        raise
    return fd


def _close_all_in_child() -> None:
    for registration in list(_held):
        registration.close_in_child()


os.register_at_fork(after_in_child=_close_all_in_child)
