"""Listener: an address to listen on, as a durable value.

It opens nothing; the runtime reads it.  Must not know the application.
"""

from __future__ import annotations

from typing import Literal

from taphouse.app.addresses import address_label, check_interface, check_path, check_port
from taphouse.app.factory import Factory
from taphouse.durable import Durable

__all__ = ["DEFAULT_BACKLOG", "Listener", "ListenerKind"]

ListenerKind = Literal["tcp", "tls", "udp", "unix"]

# The kernel cuts it down to net.core.somaxconn (4096 since Linux 5.4); a queue
# this long costs nothing while it is empty and carries a burst of reconnects.
DEFAULT_BACKLOG = 1024


class Listener(Durable):
    """One address that an application listens on.

    Made by ``listenTCP`` and its family.

    Args:
        kind: ``"tcp"``, ``"tls"``, ``"udp"`` or ``"unix"``.
        factory: what serves it.
        interface: address of this machine; ``""`` is all, IPv4 and IPv6.
        port: 0 lets the system choose; ``None`` for UNIX.
        path: of the UNIX socket; ``None`` else.
        mode: permission bits of the UNIX socket; ``None`` else.
        backlog: connections the kernel queues for us; ``None`` for UDP.
        certfile: PEM file with certificate and chain (TLS), relative to the run directory.
        keyfile: PEM file with the key, if not in ``certfile``.
        name: durable identity of the factory, else type and ordinal.
    """

    def __init__(
        self,
        kind: ListenerKind,
        factory: Factory,
        *,
        interface: str = "",
        port: int | None = None,
        path: object = None,
        mode: int | None = None,
        backlog: int | None = None,
        certfile: object = None,
        keyfile: object = None,
        name: str | None = None,
    ) -> None:
        self.kind: ListenerKind = kind
        self.interface = check_interface(interface)
        self.port = None if kind == "unix" else check_port(port, ephemeral=True)
        self.path = check_path(path, socket=True) if kind == "unix" else None
        self.mode = None if mode is None else _check_mode(mode)
        self.backlog = None if backlog is None else _check_backlog(backlog)
        self.certfile = check_path(certfile, what="certfile") if kind == "tls" else None
        self.keyfile = None if keyfile is None else check_path(keyfile, what="keyfile")
        self.name = None if name is None else check_name(name)
        self.factory = factory

    @property
    def label(self) -> str:
        """Its address for logs, ``tcp:8123``; never part of durable identity."""
        return address_label(self.kind, self.interface, self.port, self.path)

    def __repr__(self) -> str:
        return f"<Listener {self.label}>"


def check_name(name: object) -> str:
    """Return ``name`` if it may be an explicit ``name=``: no ``#``, no ``/``, no space."""
    if not isinstance(name, str):
        raise TypeError(f"name must be a str, got {name!r:.80}")
    if not 1 <= len(name) <= 100 or any(c in "#/" or c.isspace() or c < " " for c in name):
        raise ValueError(f"name {name!r:.120} is not allowed: 1 to 100 characters, no '#', no '/', no space")
    return name


def _check_mode(mode: object) -> int:
    if isinstance(mode, bool) or not isinstance(mode, int):
        raise TypeError(f"mode must be an int such as 0o660, got {mode!r:.80}")
    if not 0 <= mode <= 0o777:
        raise ValueError(f"mode {mode:#o} is out of range; use 0 to 0o777")
    return mode


def _check_backlog(backlog: object) -> int:
    if isinstance(backlog, bool) or not isinstance(backlog, int):
        raise TypeError(f"backlog must be an int, got {backlog!r:.80}")
    if not 1 <= backlog <= 65535:
        raise ValueError(f"backlog {backlog} is out of range; use 1 to 65535")
    return backlog
