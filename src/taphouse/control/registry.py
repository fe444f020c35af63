"""The registry: which servers of this user run here, found by name, number or file.

A folder of entries and sockets, 0700: ``/run/taphouse`` for root,
``$XDG_RUNTIME_DIR/taphouse`` for others, ``/tmp/taphouse-UID`` where neither can
be had; ``$TAPHOUSE_RUNTIME_DIR`` before all.  A service has ``taphouse`` in its
``$RUNTIME_DIRECTORY``.  Entries of servers that were killed are removed by
whoever sees them.  This module must never talk to a server.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Iterator, Mapping

from taphouse.control.entry import ENTRY_SUFFIX, SOCKET_SUFFIX, Entry, is_held, read_entry
from taphouse.errors import NotPermittedError, TaphouseError, UsageError

__all__ = [
    "NotRunningError",
    "find_server",
    "list_servers",
    "open_folder",
    "registry_folders",
    "service_folders",
]


_UNFINISHED_S = 60.0


class NotRunningError(TaphouseError):
    """No server of that name or file runs (69, EX_UNAVAILABLE)."""

    exit_code = 69


def registry_folders(environment: Mapping[str, str] = os.environ, *, uid: int | None = None) -> list[str]:
    """Return where entries may be, best first.

    A server registers in the first that can be had; who looks for servers looks into all, because
    a server started by cron knows less of the environment than a login shell.
    """
    uid = os.geteuid() if uid is None else uid
    chosen = environment.get("TAPHOUSE_RUNTIME_DIR", "")
    if chosen.startswith("/"):
        return [chosen]
    service = environment.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    folders = [os.path.join(service, "taphouse")] if service.startswith("/") else []
    folders += ["/run/taphouse"] if uid == 0 else []
    session = environment.get("XDG_RUNTIME_DIR", "")
    if uid and session.startswith("/"):
        folders.append(os.path.join(session, "taphouse"))
    if uid:
        folders.append(f"/run/user/{uid}/taphouse")
    folders.append(f"/tmp/taphouse-{uid}")  # noqa: S108  checked by open_folder
    return list(dict.fromkeys(folders))


def service_folders(environment: Mapping[str, str] = os.environ, *, uid: int | None = None) -> list[str]:
    """Return where services that a manager has started have registered: ``/run/NAME/taphouse``.

    Every folder of that form; what is nobody's registry, or not ours to read, is for `open_folder` to say.
    """
    uid = os.geteuid() if uid is None else uid
    if environment.get("TAPHOUSE_RUNTIME_DIR", "").startswith("/"):
        return []
    roots = ["/run", *([environment.get("XDG_RUNTIME_DIR", "")] if uid else [])]
    found = []
    for root in roots:
        if root.startswith("/"):
            with contextlib.suppress(OSError):
                found += [os.path.join(root, name, "taphouse") for name in sorted(os.listdir(root))]
    return [path for path in found if os.path.isdir(path)]


def open_folder(path: str, *, create: bool = False) -> int:
    """Open a registry folder that is safe: ours alone, and no link.

    Args:
        path: where.
        create: make it if it is missing; without it root may look into another user's.

    Returns:
        A descriptor of the folder; what is checked is what is opened.

    Raises:
        FileNotFoundError: it is not there (and may not be made, or its parent is missing).
        NotPermittedError: it is somebody else's, or others can write it (77).
        OSError: it cannot be made or opened.
    """
    if create:
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, 0o700)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (NotADirectoryError, OSError) as problem:
        if isinstance(problem, FileNotFoundError):
            raise
        raise NotPermittedError(
            f"registry folder {path} cannot be used: {os.strerror(problem.errno or 0)}",
            cure="remove it, or set TAPHOUSE_RUNTIME_DIR to a directory of your own",
        ) from None
    found = os.fstat(fd)
    owners = {os.geteuid(), found.st_uid} if os.geteuid() == 0 and not create else {os.geteuid()}
    if found.st_uid not in owners or stat.S_IMODE(found.st_mode) & 0o022:
        os.close(fd)
        whose = f"belongs to user {found.st_uid}" if found.st_uid not in owners else "is writable by others"
        raise NotPermittedError(
            f"registry folder {path} {whose}",
            cure="remove it, or set TAPHOUSE_RUNTIME_DIR to a directory of your own",
        )
    return fd


def list_servers() -> list[Entry]:
    """Return the running servers of this user, by name, then by age.

    Entries of servers that are gone are removed on the way.
    """
    found: dict[str, Entry] = {}
    for path in dict.fromkeys(registry_folders() + service_folders()):
        try:
            folder = open_folder(path)
        except (OSError, NotPermittedError):
            continue
        try:
            for entry in _scan(folder):
                found[entry.socket] = entry
        finally:
            os.close(folder)
    return sorted(found.values(), key=lambda entry: (entry.name, entry.since))


def find_server(which: str) -> Entry:
    """Find one running server.

    Args:
        which: the application's name, its process id, or a file: its tap, or what it was started from.

    Raises:
        NotRunningError: there is none (69).
        UsageError: there are several (64).
    """
    servers = list_servers()
    fitting = [entry for entry in servers if entry.name == which]
    fitting = fitting or [entry for entry in servers if str(entry.pid) == which]
    if not fitting and os.path.exists(which):
        fitting = [entry for entry in servers if entry.runs_on(which)]
        fitting = fitting or [entry for entry in servers if entry.was_started_from(which)]
    if not fitting:
        names = ", ".join(dict.fromkeys(entry.name for entry in servers))
        cure = f"these run: {names}" if names else "no server of this user runs here"
        raise NotRunningError(f"no server {which!r:.200} is running", cure=cure)
    if len(fitting) > 1:
        places = ", ".join(entry.tap or entry.rundir for entry in fitting)
        raise UsageError(
            f"{len(fitting)} servers are called {which}", cure=f"name the file instead: {places}"
        )
    return fitting[0]


def _scan(folder: int) -> Iterator[Entry]:
    for name in os.listdir(folder):
        if name.endswith(".new"):
            _remove_unfinished(folder, name)
        if not name.endswith(ENTRY_SUFFIX):
            continue
        try:
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=folder)
        except OSError:
            continue
        try:
            if not is_held(fd):
                # No later server can have this name, it has a random part: safe to remove.
                for left in (name, name.removesuffix(ENTRY_SUFFIX) + SOCKET_SUFFIX):
                    with contextlib.suppress(OSError):
                        os.unlink(left, dir_fd=folder)
                continue
            entry = read_entry(fd)
            if entry:
                yield entry
        finally:
            os.close(fd)


def _remove_unfinished(folder: int, name: str) -> None:
    """Remove what a server left that was killed while it registered, which takes no minute."""
    with contextlib.suppress(OSError):
        if time.time() - os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime > _UNFINISHED_S:
            os.unlink(name, dir_fd=folder)
