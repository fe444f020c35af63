"""Sockets that somebody else has bound: which listener each of them is for, and whether it fits.

By name first (what ``FileDescriptorName=`` says), then by address.  A socket that
nobody asked for, or that is another one than the listener describes, is refused:
a server that listens elsewhere than its tap says would be a riddle.  This module
must never bind, listen or close.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from taphouse.errors import ConfigurationError
from taphouse.names import descriptor_name

__all__ = ["assign_sockets"]

_TYPES: Final = {socket.SOCK_STREAM: "stream", socket.SOCK_DGRAM: "datagram"}


def assign_sockets(
    listeners: Iterable[Mapping[str, Any]],
    given: Sequence[tuple[str, socket.socket]],
    addresses_of: Any,
) -> dict[int, list[socket.socket]]:
    """Return position of a listener -> the sockets that it is to use.

    Args:
        listeners: the plan's entries, see `bind_plan`; a ``name`` goes before what `descriptor_name` makes
            of the label.
        given: name and socket, as they were handed over.
        addresses_of: host name or address of an interface -> its addresses.

    Raises:
        ConfigurationError: for a socket that fits no listener, or not the one that its name says.
    """
    entries = list(listeners)
    found: dict[int, list[socket.socket]] = {}
    nameless = []
    for name, sock in given:
        position = _named(entries, name, found)
        if position is None:
            nameless.append((name, sock))
            continue
        problem = _misfit(entries[position], sock, addresses_of, by_name=True)
        if problem:
            raise ConfigurationError(
                f"socket {name!r:.100} ({_shown(sock)}) {problem}",
                cure=f"let its unit and listener {entries[position].get('label')} say the same",
            )
        found.setdefault(position, []).append(sock)
    for name, sock in nameless:
        position = next(
            (at for at, entry in enumerate(entries) if not _misfit(entry, sock, addresses_of)), None
        )
        if position is None:
            names = ", ".join(_names(entry)[0] for entry in entries) or "none"
            raise ConfigurationError(
                f"socket {name!r:.100} ({_shown(sock)}) is for no listener of the tap",
                cure=f"the names of its listeners are {names}",
            )
        found.setdefault(position, []).append(sock)
    return found


def _names(entry: Mapping[str, Any]) -> list[str]:
    label = str(entry.get("label") or "")
    return [str(name) for name in (entry.get("name"), descriptor_name(label)) if name]


def _named(entries: list[Mapping[str, Any]], name: str, taken: Mapping[int, object]) -> int | None:
    """Return the listener of that name; of several with the same one, the first that has no socket yet."""
    fitting = [at for at, entry in enumerate(entries) if name in _names(entry)]
    free = [at for at in fitting if at not in taken]
    return next(iter(free or fitting), None)


def _misfit(
    entry: Mapping[str, Any], sock: socket.socket, addresses_of: Any, *, by_name: bool = False
) -> str:
    """Return why ``sock`` is none for the listener ``entry``, "" if it is."""
    kind, is_unix = str(entry["kind"]), sock.family == socket.AF_UNIX
    wanted = socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM
    if sock.type != wanted:
        return f"is no {_TYPES[wanted]} socket"
    if is_unix != (kind == "unix"):
        return "is a UNIX socket" if is_unix else "is no UNIX socket"
    if wanted == socket.SOCK_STREAM and not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return "does not listen"
    where = sock.getsockname()
    if is_unix:
        path = str(entry.get("path") or "")
        # A manager has no run directory: it cannot bind a relative path where we would.
        fits = (by_name and not path.startswith("/")) or where == path
        return "" if fits else f"is not at {path}"
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return "is no internet socket"
    if _is_connected(sock):
        return "is connected already"
    port = int(entry.get("port") or 0)
    if where[1] != port and not (by_name and port == 0):
        return f"is not on port {port}"
    interface = str(entry.get("interface") or "")
    host = ipaddress.ip_address(str(where[0]).partition("%")[0])
    if not interface:
        return "" if host.is_unspecified else "is not on all interfaces"
    wanted_hosts = {ipaddress.ip_address(str(found).partition("%")[0]) for found in addresses_of(interface)}
    return "" if host in wanted_hosts else f"is not on {interface}"


def _is_connected(sock: socket.socket) -> bool:
    try:
        sock.getpeername()
    except OSError as error:
        return error.errno != errno.ENOTCONN
    return True


def _shown(sock: socket.socket) -> str:
    """Return a socket's address in words: ``tcp 0.0.0.0:80``, ``unix /run/x``."""
    try:
        where = sock.getsockname()
    except OSError:
        return "unknown"
    if sock.family == socket.AF_UNIX:
        return f"unix {where!r}" if isinstance(where, bytes) else f"unix {where or '(no name)'}"
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return f"family {int(sock.family)}"
    kind = "udp" if sock.type == socket.SOCK_DGRAM else "tcp"
    host = f"[{where[0]}]" if ":" in where[0] else where[0]
    return f"{kind} {host}:{where[1]}"
