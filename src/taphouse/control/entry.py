"""An entry of the registry: where a running server is, and what it runs.

Whether it runs is told by the lock its process holds on the entry's file, never
by the number in it.  This module must never connect to anything.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat

from taphouse.value import Value

__all__ = ["ENTRY_SUFFIX", "SOCKET_SUFFIX", "Entry", "is_held", "own_start_time", "read_entry"]

ENTRY_SUFFIX = ".json"
SOCKET_SUFFIX = ".sock"
_LARGEST_BYTES = 65_536


class Entry(Value):
    """One running server."""

    name: str
    """The application's name."""
    pid: int
    started: int
    """Start time of that process in clock ticks since boot; with the pid it is unique."""
    since: float
    """The same on the wall clock, seconds since 1970."""
    tap: str
    """Absolute path of the state tap, empty if there is none."""
    source: str
    """Absolute path of what it was started from: a seed, a script; or empty."""
    rundir: str
    socket: str
    """Absolute path of the control socket."""
    version: str
    """Which taphouse it runs."""

    def encode(self) -> bytes:
        """Return the file's content."""
        return json.dumps(self.as_dict()).encode("ascii") + b"\n"

    def runs_on(self, path: str) -> bool:
        """Whether its state is in the file at ``path``, whatever way leads there."""
        return _is_same(self.tap, path)

    def was_started_from(self, path: str) -> bool:
        """Whether what it was started from is the file at ``path``."""
        return _is_same(self.source, path)


def read_entry(fd: int) -> Entry | None:
    """Read an entry's file, or return ``None`` if it holds none."""
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        return None
    try:
        values = json.loads(os.pread(fd, _LARGEST_BYTES, 0))
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, dict):
        return None
    kinds: dict[str, type | tuple[type, ...]] = {"pid": int, "started": int, "since": (int, float)}
    for name in Entry.field_names():
        if not isinstance(values.get(name), kinds.get(name, str)):
            return None
    return Entry(**{name: values[name] for name in Entry.field_names()})


def is_held(fd: int) -> bool:
    """Say whether a running server holds the entry open as ``fd``; keeps a shared lock if not."""
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def own_start_time() -> int:
    """Return our start time in clock ticks since boot: field 22 of proc(5) stat; 0 without /proc."""
    try:
        with open("/proc/self/stat", "rb") as file:
            return int(file.read().rpartition(b") ")[2].split()[19])
    except OSError:
        return 0


def _is_same(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:  # a server that is gone, a tap that is still to be made, none at all
        return False
