"""Bind listening sockets, from a plan or one by one, before any loop exists.

Everything that can be refused is refused here, in one line that names the port,
so that a daemon can say so while its terminal still listens.  Sockets are bound
*and listen*: who connects from now on waits in the backlog until the server
accepts.  This module must never know an application or an event loop.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

from taphouse.errors import AddressError, ConfigurationError, NotPermittedError
from taphouse.runtime.given import assign_sockets
from taphouse.runtime.tls import make_server_context
from taphouse.runtime.unixpaths import bind_path, remove_path
from taphouse.value import Value, field

__all__ = ["Address", "Bound", "Sockets", "bind_listener", "bind_plan", "try_port"]

Address = Any
"""A bound address as ``getsockname(2)`` gives it."""

_DEFAULT_BACKLOG = 1024
_SAME_PORT_TRIES = 16


class Bound(Value, frozen=False):
    """The sockets of one listener.

    Attributes:
        key: (kind, interface, port, path) as asked for; a listener is matched to its sockets by it.
        label: for messages and logs, ``tcp:8123``.
        sockets: one per address family and address.
        tls: the context of a TLS listener.
        path_identity: (device, inode) of a UNIX path, so that only our own is removed.
        backlog: connections the kernel queues.
    """

    key: tuple[str, str, int, str]
    label: str
    sockets: list[socket.socket]
    tls: ssl.SSLContext | None = None
    path_identity: tuple[int, int] | None = None
    backlog: int = _DEFAULT_BACKLOG

    def addresses(self) -> list[Address]:
        """Return what the sockets are bound to."""
        return [sock.getsockname() for sock in self.sockets]

    def close(self) -> None:
        """Close the sockets and take a UNIX path away."""
        for sock in self.sockets:
            sock.close()
        if self.path_identity is not None:
            remove_path(self.key[3], self.path_identity)


class Sockets(Value, frozen=False):
    """What was bound from a plan and waits for the listeners it belongs to."""

    bound: list[Bound] = field(default_factory=list)

    def take(self, key: tuple[str, str, int, str]) -> Bound | None:
        """Return and forget the first entry bound for ``key``; None if there is none."""
        for position, entry in enumerate(self.bound):
            if entry.key == key:
                return self.bound.pop(position)
        return None

    def addresses(self) -> dict[str, list[Address]]:
        """Return label -> addresses of what still waits."""
        return {entry.label: entry.addresses() for entry in self.bound}

    def close_others(self, labels: Container[str]) -> None:
        """Close what was bound for listeners that are not among ``labels``."""
        others = [entry for entry in self.bound if entry.label not in labels]
        self.bound = [entry for entry in self.bound if entry.label in labels]
        for entry in others:
            entry.close()

    def close(self) -> None:
        """Close what nobody took."""
        while self.bound:
            self.bound.pop().close()


def bind_plan(
    listeners: Iterable[Mapping[str, Any]], *, given: Sequence[tuple[str, socket.socket]] = ()
) -> Sockets:
    """Bind all listeners of a plan, or none.

    Args:
        listeners: the plan's entries: kind, interface, port, path, mode, backlog, certfile, keyfile, label,
            name.
        given: name and socket of what somebody else bound for us; used as it is, and ours from now on.

    Raises:
        AddressError: a port or path is busy or not of this machine (named).
        NotPermittedError: a port or path is not ours to bind (named).
        ConfigurationError: a certificate or key cannot be used, or a given socket fits no listener (named).
    """
    sockets = Sockets()
    entries = list(listeners)
    try:
        assigned = assign_sockets(entries, given, _hosts_of) if given else {}
        for position, entry in enumerate(entries):
            sockets.bound.append(bind_listener(entry, inherited=assigned.get(position)))
    except BaseException:
        sockets.close()
        for _, sock in given:
            sock.close()
        raise
    return sockets


def _hosts_of(interface: str) -> list[str]:
    return [host for _, host in _targets(interface, 0)]


def bind_listener(entry: Mapping[str, Any], *, inherited: Sequence[socket.socket] | None = None) -> Bound:
    """Bind one listener; arguments and errors as for `bind_plan`."""
    kind = str(entry["kind"])
    interface, port, path = (
        str(entry.get("interface") or ""),
        int(entry.get("port") or 0),
        str(entry.get("path") or ""),
    )
    backlog = int(entry.get("backlog") or _DEFAULT_BACKLOG)
    label = str(entry.get("label") or f"{kind}:{path or port}")
    tls = None
    if kind == "tls":
        # Before the sockets, and before privileges are dropped: the key may be root's.
        tls = make_server_context(str(entry["certfile"]), entry.get("keyfile") or None)
    bound = Bound((kind, interface, port, path), label, [], tls, backlog=backlog)
    if inherited:
        # A UNIX path stays when we go: it is not ours, so it has no identity here.
        bound.sockets.extend(inherited)
        # Who connects while we are restarted waits in this queue.
        bound.backlog = max(backlog, socket.SOMAXCONN)
        for sock in inherited:
            sock.setblocking(False)
    elif kind == "unix":
        mode = entry.get("mode")
        bound.sockets.append(bind_path(path, 0o666 if mode is None else int(mode), backlog))
        made = os.lstat(path)
        bound.path_identity = (made.st_dev, made.st_ino)
    elif kind in ("tcp", "tls", "udp"):
        bound.sockets.extend(_bind_port("udp" if kind == "udp" else "tcp", interface, port, backlog))
    else:
        raise ConfigurationError(
            f"listener {label}: kind {kind!r} is not known", cure="use tcp, tls, udp or unix"
        )
    return bound


def try_port(kind: str, interface: str, port: int) -> None:
    """Bind a port and let it go at once; nobody can connect meanwhile.

    Args:
        kind: ``tcp`` (TLS too) or ``udp``.
        interface: an address of this machine, ``""`` for all.
        port: its number.

    Raises:
        AddressError: it is busy or not of this machine (named, with its holder).
        NotPermittedError: it is not ours to bind (named).
        ConfigurationError: there is no such port.
    """
    for sock in _bind_port(kind, interface, port, 0):
        sock.close()


def _bind_port(kind: str, interface: str, port: int, backlog: int) -> list[socket.socket]:
    if not 0 <= port <= 65535:
        raise ConfigurationError(f"port {port} does not exist", cure="use 0 to 65535")
    targets = _targets(interface, port)
    for tries_left in reversed(range(_SAME_PORT_TRIES)):
        sockets: list[socket.socket] = []
        try:
            for family, host in targets:
                # Port 0: the first socket gets any free port, the others must get the same one.
                wanted = sockets[0].getsockname()[1] if sockets else port
                sock = _bind_one(
                    kind, family, host, wanted, backlog, optional=not interface and bool(sockets)
                )
                if sock is not None:
                    sockets.append(sock)
            return sockets
        except OSError as error:
            for sock in sockets:
                sock.close()
            if port == 0 and sockets and error.errno == errno.EADDRINUSE and tries_left:
                continue
            raise _explained(kind, interface, port, error) from error
    raise AssertionError("unreachable")  # pragma: no cover


def _targets(interface: str, port: int) -> list[tuple[socket.AddressFamily, str]]:
    if not interface:
        found = [(socket.AF_INET, "0.0.0.0")]
        if socket.has_ipv6:
            found.append((socket.AF_INET6, "::"))
        return found
    try:
        infos = socket.getaddrinfo(interface, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        reason = error.strerror if isinstance(error, socket.gaierror) else "not a host name"
        raise AddressError(
            f"interface {interface}: {reason}", cure="use an address of this machine"
        ) from error
    return list(dict.fromkeys((socket.AddressFamily(info[0]), str(info[4][0])) for info in infos))


def _bind_one(
    kind: str, family: socket.AddressFamily, host: str, port: int, backlog: int, *, optional: bool
) -> socket.socket | None:
    try:
        sock = socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    except OSError as error:
        if optional and error.errno == errno.EAFNOSUPPORT:
            return None  # a machine without IPv6 still listens on everything it has
        raise
    try:
        if kind == "tcp":
            # Connections of the last run in TIME_WAIT must not keep us from starting.  Not for
            # UDP: there it would let a second server steal the port.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
        if kind == "tcp" and backlog:
            sock.listen(backlog)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        if optional and error.errno == errno.EADDRNOTAVAIL:
            return None  # IPv6 compiled in but switched off
        raise
    return sock


def _explained(kind: str, interface: str, port: int, error: OSError) -> Exception:
    where = f"port {port}" + (f" on {interface}" if interface else "") + (" (udp)" if kind == "udp" else "")
    if error.errno == errno.EADDRINUSE:
        from taphouse.runtime.holders import describe_port_holder  # only somebody in trouble pays for it

        holder = describe_port_holder(kind, port)
        return AddressError(
            f"{where}: address already in use" + (f" {holder}" if holder else ""),
            cure="stop that process or choose another port",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return NotPermittedError(
            f"{where} needs root or CAP_NET_BIND_SERVICE", cure="choose a port from 1024 on or start as root"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return AddressError(f"{where}: not an address of this machine", cure="see ip address")
    return AddressError(f"{where}: {error.strerror}")
