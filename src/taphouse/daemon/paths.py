"""Paths a server may trust: run directories, chroots, folders with code.

For root it is not enough that a file is there: whoever may write it, or a
directory above it, decides what root does.  This module must never write.
"""

from __future__ import annotations

import os
import stat

from taphouse.daemon.system import System
from taphouse.errors import ConfigurationError, NotPermittedError

__all__ = ["check_rundir", "check_trusted"]


def check_rundir(path: str, *, trusted: frozenset[int] = frozenset(), system: System | None = None) -> str:
    """Check that a server may run in ``path``.

    Args:
        path: the run directory, as given.
        trusted: user ids besides root that may own it (the one privileges are dropped to).
        system: the operating system.

    Returns:
        Its absolute path.

    Raises:
        ConfigurationError: there is no such directory (78).
        NotPermittedError: it cannot be written, or others can write it and we are root (77).
    """
    system = system or System()
    full = os.path.abspath(path)
    if not os.path.isdir(full):
        missing = "is not a directory" if os.path.lexists(full) else "does not exist"
        raise ConfigurationError(f"run directory {full} {missing}", cure="create it, or choose another -d")
    if system.geteuid() == 0:
        check_trusted(full, "run directory", trusted=trusted, system=system)
    elif not os.access(full, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise NotPermittedError(f"run directory {full} is not writable", cure="choose another -d")
    return full


def check_trusted(
    path: str, what: str, *, trusted: frozenset[int] = frozenset(), system: System | None = None
) -> None:
    """Check that nobody but root, ourselves and ``trusted`` can change ``path`` or put another in its place.

    Every directory above counts, and what symbolic links point to.  A directory with the sticky
    bit (``/tmp``) protects what is in it, so it is good above ``path`` but not as ``path``.

    Args:
        path: a file or directory that exists.
        what: what to call it in the message, ``"run directory"``.
        trusted: user ids besides root and ours.
        system: the operating system.

    Raises:
        NotPermittedError: somebody else can (77).
    """
    system = system or System()
    owners = trusted | {0, system.geteuid()}
    real = os.path.realpath(path)
    step = real
    while True:
        found = system.lstat(step)
        where = what if step == real else f"{what} {real}: directory"
        if found.st_uid not in owners:
            raise NotPermittedError(
                f"{where} {step} belongs to user {found.st_uid}, who could replace what is run from there",
                cure="chown it, or run as that user",
            )
        # Group 0 is root's own. A POSIX ACL shows its widest grant as the group's bits.
        others = stat.S_IWOTH | (stat.S_IWGRP if found.st_gid else 0)
        sticky_above = step != real and found.st_mode & stat.S_ISVTX
        if found.st_mode & others and not sticky_above:
            raise NotPermittedError(
                f"{where} {step} is writable by others, who could replace what is run from there",
                cure=f"chmod go-w {step}",
            )
        parent = os.path.dirname(step)
        if parent == step:
            return
        step = parent
