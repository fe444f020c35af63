"""Bind a UNIX socket to a path, and take the path away again.

A path that is in the way is replaced only if it is a socket nobody listens on.
Knows unix(7) and nothing of listeners.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager

from taphouse.errors import AddressError, NotPermittedError

__all__ = ["bind_path", "remove_path"]

_MAX_PATH_BYTES = 107  # sun_path is 108 with its NUL; unix(7)


def bind_path(path: str, mode: int, backlog: int) -> socket.socket:
    """Return a socket that listens on ``path``.

    Args:
        path: where; its directory must exist.
        mode: permission bits of the path; never wider, not even for a moment.
        backlog: connections the kernel queues.

    Raises:
        AddressError: if the path is too long, no socket, or somebody listens on it.
        NotPermittedError: if the directory may not be written.
    """
    if len(os.fsencode(path)) > _MAX_PATH_BYTES:
        raise AddressError(
            f"path {path}: too long for a UNIX socket", cure=f"use at most {_MAX_PATH_BYTES} bytes"
        )
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Linux gives the path the mode of the socket's own inode less the umask: set before
        # bind, no other user can slip in between bind and chmod.
        os.fchmod(sock.fileno(), mode)
        with _one_at_a_time(os.path.dirname(path) or "."):
            _make_way(path)
            sock.bind(path)
        os.chmod(path, mode)
        sock.listen(backlog)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise _explained(path, error) from error
    except BaseException:
        sock.close()
        raise
    return sock


def remove_path(path: str, identity: tuple[int, int] | None) -> None:
    """Remove ``path`` if it still is what we bound: (device, inode) as of then."""
    try:
        found = os.lstat(path)
        if identity == (found.st_dev, found.st_ino):
            os.unlink(path)
    except OSError:
        pass  # gone already, or out of reach since privileges were dropped: it is stale then


def _make_way(path: str) -> None:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise AddressError(
            f"path {path}: exists and is not a socket", cure="remove it or choose another path"
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)  # nobody listens: left behind by a process that was killed
            return
        except FileNotFoundError:
            return
        except OSError as error:
            # EAGAIN: its backlog is full. EPROTOTYPE: a datagram socket. Both are alive.
            if error.errno not in (errno.EAGAIN, errno.EPROTOTYPE):
                raise
    from taphouse.runtime.holders import describe_path_holder  # only somebody in trouble pays for it

    holder = describe_path_holder(path)
    raise AddressError(
        f"path {path}: address already in use" + (f" {holder}" if holder else ""),
        cure="stop that process or choose another path",
    )


@contextmanager
def _one_at_a_time(directory: str) -> Iterator[None]:
    """Keep two starting servers from judging the same stale path at once."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + 1.0
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                # In a directory for everybody a stranger could hold the lock for ever: go on without.
                if time.monotonic() > deadline:
                    break
                time.sleep(0.01)
        yield
    finally:
        os.close(fd)


def _explained(path: str, error: OSError) -> Exception:
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return NotPermittedError(
            f"path {path}: {error.strerror}", cure="choose a directory this user may write"
        )
    return AddressError(f"path {path}: {error.strerror}")
