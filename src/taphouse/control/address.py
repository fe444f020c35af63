"""Addresses of UNIX sockets, at any depth of the file system.

unix(7) takes 107 bytes of path.  A longer one is reached through an open
descriptor of its folder: ``/proc/self/fd/7/otk.sock``.  This module must never
know what is spoken.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["bind_socket", "connect_socket"]

_LONGEST_BYTES = 107


def bind_socket(path: str) -> socket.socket:
    """Make a listening UNIX socket at ``path``, for its owner only.

    Raises:
        OSError: it cannot be made.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # The mode must be right from the first moment; the folder is 0700 besides.
        before = os.umask(0o177)
        try:
            with _address(path) as address:
                listener.bind(address)
        finally:
            os.umask(before)
        listener.listen(16)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def connect_socket(path: str, *, timeout: float) -> socket.socket:
    """Connect to the UNIX socket at ``path``; reads and writes then take at most ``timeout`` seconds.

    Raises:
        OSError: nobody listens there.
    """
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        client.settimeout(timeout)
        with _address(path) as address:
            client.connect(address)
    except BaseException:
        client.close()
        raise
    return client


@contextmanager
def _address(path: str) -> Iterator[str]:
    if len(os.fsencode(path)) <= _LONGEST_BYTES:
        yield path
        return
    folder, name = os.path.split(path)
    fd = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}/{name}"
    finally:
        os.close(fd)
