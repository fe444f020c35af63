"""Sockets that a service manager has opened for us: sd_listen_fds(3).

They are taken once: descriptors are made close-on-exec and the variables leave
the environment, so that no child takes them for its own.  This module must never
know what a socket is for.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import MutableMapping

from taphouse.errors import ConfigurationError

__all__ = ["take_sockets"]

_FIRST = 3
_MOST = 4096
_VARIABLES = ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID")


def take_sockets(
    environment: MutableMapping[str, str], *, first: int = _FIRST
) -> list[tuple[str, socket.socket]]:
    """Return name and socket of each descriptor that was handed to this process, in order.

    Args:
        environment: changed; usually ``os.environ``.
        first: the first of the descriptors.

    Raises:
        ConfigurationError: one of them is no socket, or the variables contradict each other.
    """
    count, pid, names, _ = (environment.pop(name, "") for name in _VARIABLES)
    if not count or pid != str(os.getpid()):
        return []  # nothing, or meant for a parent of ours
    if not (count.isascii() and count.isdecimal() and int(count) <= _MOST):
        raise ConfigurationError(f"LISTEN_FDS is {count!r:.40}, not a number", cure="see sd_listen_fds(3)")
    called = names.split(":") if names else ["unknown"] * int(count)
    if len(called) != int(count):
        raise ConfigurationError(
            f"LISTEN_FDNAMES has {len(called)} names for {count} descriptors", cure="see sd_listen_fds(3)"
        )
    handed: list[tuple[str, socket.socket]] = []
    try:
        for fd, name in enumerate(called, first):
            handed.append((name, _socket_of(fd, name)))
    except BaseException:
        for _, sock in handed:
            sock.close()
        raise
    return handed


def _socket_of(fd: int, name: str) -> socket.socket:
    try:
        is_socket = stat.S_ISSOCK(os.fstat(fd).st_mode)
    except OSError:
        raise ConfigurationError(
            f"descriptor {fd} ({name!r:.100}) was handed over and is not open", cure="see sd_listen_fds(3)"
        ) from None
    if not is_socket:
        raise ConfigurationError(
            f"descriptor {fd} ({name!r:.100}) was handed over and is no socket",
            cure="hand over listening sockets only",
        )
    os.set_inheritable(fd, False)
    return socket.socket(fileno=fd)
