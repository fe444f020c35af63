"""What a tap needs around it: ports, users, certificates, installed makers and their options.

Everything is only looked at: a port is bound and let go at once, and nobody can
connect meanwhile.  It must never start anything, nor change a file.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from taphouse.cli.inspecting.findings import Finding, problem
from taphouse.cli.inspecting.socketunits import find_socket_unit, is_systemds
from taphouse.cli.starting.reseeding import came_of
from taphouse.control import Entry, list_servers
from taphouse.daemon import resolve_identity
from taphouse.errors import (
    AddressError,
    ConfigurationError,
    NotPermittedError,
    TaphouseError,
)
from taphouse.persist import TapInfo, read_info
from taphouse.runtime import describe_path_holder, make_client_context, make_server_context, try_port

__all__ = ["look_around", "own_server"]

_LOOKS = 10
"""Before nobody is believed to listen: the kernel hands its list out page by page, and changes shift it."""


def own_server(path: str, info: TapInfo) -> Entry | None:
    """Return the server that runs on this tap, or on a state that came of this seed; None if none does."""
    for entry in list_servers():
        if entry.runs_on(path):
            return entry
        if not os.path.exists(entry.tap):
            continue
        try:
            other = read_info(entry.tap)
            # One that was merged into a state has another lineage.
            if other.lineage == info.lineage or (info.role == "seed" and came_of(other, path)):
                return entry
        except (OSError, TaphouseError):
            continue
    return None


def look_around(info: TapInfo, run_directory: str, owner: Entry | None) -> Iterator[Finding]:
    """Look at everything that the plan of a tap needs outside of the tap.

    Args:
        info: of the tap.
        run_directory: where it would run.
        owner: the server that runs on it now, whose ports are no problem.
    """
    plan = info.plan
    yield from _makers(_entries(plan, "servers"))
    yield from _account(plan, info.name)
    for entry in _entries(plan, "listeners"):
        yield _tried(lambda entry=entry: _listener(entry, run_directory, owner), entry)
    for entry in _entries(plan, "connectors"):
        if entry.get("kind") == "tls":
            yield _tried(lambda entry=entry: _client_files(entry, run_directory), entry)


def _entries(plan: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    found = plan.get(key) or []
    return [entry for entry in found if isinstance(entry, Mapping)] if isinstance(found, list) else []


def _tried(look: Any, entry: Mapping[str, Any]) -> Finding:
    try:
        return Finding(look())
    except TaphouseError as error:
        return problem(error)
    except (KeyError, TypeError, ValueError, OverflowError, OSError) as error:
        reason = f"{type(error).__name__}: {error}"
        return problem(
            ConfigurationError(f"the plan's entry {entry.get('label')!r:.60} is none: {reason:.100}")
        )


# --- makers and their options --------------------------------------------------------------------


def _makers(servers: Iterable[Mapping[str, Any]]) -> Iterator[Finding]:
    servers = list(servers)
    if not servers:
        return
    from taphouse import usage
    from taphouse.plugins import find_makers

    makers = find_makers()
    for server in servers:
        name, kind = str(server.get("name")), str(server.get("type"))
        if kind not in makers:
            origin = f"; it came with {server['distribution']}" if server.get("distribution") else ""
            yield problem(
                ConfigurationError(
                    f"server {name}: type {kind} is not installed{origin}",
                    cure="it starts, if its classes are there; mktap --update needs the type",
                )
            )
            continue
        entry = makers.get(kind)
        try:
            options = server.get("options")
            usage.from_plan(entry.load().Options, options if isinstance(options, Mapping) else {})
        except TaphouseError as error:
            yield problem(
                ConfigurationError(
                    f"server {name}: {error.message}",
                    cure=error.cure or "change its options with mktap --update",
                )
            )
        else:
            yield Finding(f"server {name}: type {kind} is {entry.origin}, and takes its options")


# --- whom to run as ------------------------------------------------------------------------------


def _account(plan: Mapping[str, Any], name: str) -> Iterator[Finding]:
    user, group = plan.get("uid"), plan.get("gid")
    try:
        identity = resolve_identity(user, group, source=f"application {name}", error=ConfigurationError)
        if identity is None:
            return
        if os.geteuid() not in (0, identity.uid):
            raise NotPermittedError(
                f"application {name} runs as user {user}, and only root can become another user",
                cure="start it as root",
            )
    except TaphouseError as error:
        yield problem(error)
    except (TypeError, ValueError, OverflowError):
        yield problem(
            ConfigurationError(f"application {name}: uid {user!r:.60} or gid {group!r:.60} is none")
        )
    else:
        yield Finding(f"runs as user {identity.name or identity.uid} ({identity.uid}), group {identity.gid}")


# --- addresses and files -------------------------------------------------------------------------


def _listener(entry: Mapping[str, Any], run_directory: str, owner: Entry | None) -> str:
    """Return what to say about a listener that a start could open.

    Raises:
        TaphouseError: if it could not.
    """
    kind, label = str(entry["kind"]), str(entry.get("label"))
    told = f"{label} for {entry.get('factory')}"
    if kind not in ("tcp", "tls", "udp", "unix"):
        raise ConfigurationError(f"listener {label}: kind {kind!r:.40} is not known")
    if kind == "tls":
        keyfile = entry.get("keyfile")
        make_server_context(
            os.path.join(run_directory, str(entry["certfile"])),
            os.path.join(run_directory, str(keyfile)) if keyfile else None,
        )
        told += f", certificate {entry['certfile']}"
    if kind == "unix":
        return _path(os.path.join(run_directory, str(entry["path"])), told, owner, entry)
    try:
        try_port("udp" if kind == "udp" else "tcp", str(entry.get("interface") or ""), int(entry["port"]))
    except AddressError as error:
        if owner is not None and f"pid {owner.pid} " in error.message:
            return f"{told}: held by this application's own server, PID {owner.pid}"
        unit = find_socket_unit(entry) if is_systemds(error.message) else ""
        if unit:
            return f"{told}: held by systemd for {unit}"
        raise
    return f"{told}: free"


def _path(path: str, told: str, owner: Entry | None, entry: Mapping[str, Any]) -> str:
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        raise ConfigurationError(f"{path}: there is no folder {folder}", cure="make it")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise NotPermittedError(f"{path}: its folder may not be written", cure="run as a user who may")
    if os.path.lexists(path):
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise AddressError(f"{path} is there, and is no socket", cure="move it away, or use another path")
        holder = describe_path_holder(path)
        if holder and owner is not None and f"pid {owner.pid} " in holder:
            return f"{told}: held by this application's own server, PID {owner.pid}"
        unit = find_socket_unit(entry) if is_systemds(holder) else ""
        if unit and _is_listened_on(path):
            return f"{told}: held by systemd for {unit}"
        if holder or _is_listened_on(path):
            raise AddressError(f"{path}: somebody listens there {holder}".rstrip(), cure="stop that process")
    return f"{told}: free"


def _is_listened_on(path: str) -> bool:
    return any(_is_listed(path) for _ in range(_LOOKS))


def _is_listed(path: str) -> bool:
    try:
        with open("/proc/net/unix", encoding="utf-8", errors="replace") as table:
            return any(line.split()[7:8] == [path] for line in table)
    except OSError:
        return False


def _client_files(entry: Mapping[str, Any], run_directory: str) -> str:
    cafile, certfile, keyfile = (
        os.path.join(run_directory, str(entry[name])) if entry.get(name) else None
        for name in ("cafile", "certfile", "keyfile")
    )
    make_client_context(cafile, certfile, keyfile)
    return f"connects to {entry.get('label')}: its files are readable"
