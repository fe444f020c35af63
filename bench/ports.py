"""Ports for servers that a test or a measurement starts: free, and promised to nobody else meanwhile.

A port that was free a moment ago is no port of ours: another process may be promised the same one before
either has bound it, or while a server that is to come back with it is down.  So who is given a port here
holds a lock on the byte of that number in one file per user, for as long as its process lives.
"""

from __future__ import annotations

import fcntl
import functools
import os
import random
import socket
import tempfile
from contextlib import suppress
from pathlib import Path

# Below Linux's range for outgoing connections (32768 and up): polling a port inside that range until it
# accepts ends, now and then, in a connection to itself.
RANGE = range(15_000, 32_000)

_ours: set[int] = set()


@functools.cache
def _promises() -> int:
    """Open the file of promises; it stays open, since closing any copy would drop all locks on it."""
    path = Path(tempfile.gettempdir()) / f"taphouse-ports-{os.geteuid()}"
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _is_promised(port: int) -> bool:
    if port in _ours:
        return True
    try:
        fcntl.lockf(_promises(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return True
    _ours.add(port)
    return False


def free_port(among: range = RANGE) -> int:
    """Return a port on which nobody listens, at any address, and which nobody else is given here."""
    while True:
        port = random.SystemRandom().choice(among)
        if _is_promised(port):
            continue
        with socket.socket(socket.AF_INET6) as probe, suppress(OSError):
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            probe.bind(("::", port))
            return port
