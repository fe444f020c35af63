"""Connector: a peer to stay connected to, as a durable value.

It connects to nothing; the runtime reads it.  Must not know the application.
"""

from __future__ import annotations

import math
from typing import Literal

from taphouse.app.addresses import address_label, check_host, check_path, check_port
from taphouse.app.client import retry_of
from taphouse.app.factory import Factory
from taphouse.app.listener import check_name
from taphouse.app.retry import Retry
from taphouse.durable import Durable

__all__ = ["Connector", "ConnectorKind", "check_seconds"]

ConnectorKind = Literal["tcp", "tls", "unix"]


class Connector(Durable):
    """One connection that an application keeps up.

    Made by ``connectTCP`` and its family.

    Args:
        kind: ``"tcp"``, ``"tls"`` or ``"unix"``.
        factory: makes the protocol of each connection.
        host: name or address; ``None`` for UNIX.
        port: 1 to 65535; ``None`` for UNIX.
        path: of the UNIX socket; ``None`` else.
        timeout: seconds an attempt may take.
        cafile: PEM file of the authorities to trust (TLS); ``None`` trusts the system's.
        certfile: PEM file of our own certificate, if the peer wants one.
        keyfile: PEM file with its key, if not in ``certfile``.
        server_name: name the peer's certificate must carry; ``None`` is ``host``.
        name: durable identity of the factory, else type and ordinal.
    """

    def __init__(
        self,
        kind: ConnectorKind,
        factory: Factory,
        *,
        host: str | None = None,
        port: int | None = None,
        path: object = None,
        timeout: float = 30.0,
        cafile: object = None,
        certfile: object = None,
        keyfile: object = None,
        server_name: str | None = None,
        name: str | None = None,
    ) -> None:
        self.kind: ConnectorKind = kind
        self.host = None if kind == "unix" else check_host(host)
        self.port = None if kind == "unix" else check_port(port, ephemeral=False)
        self.path = check_path(path, socket=True) if kind == "unix" else None
        self.timeout = check_seconds(timeout, "timeout", zero=False)
        self.cafile = None if cafile is None else check_path(cafile, what="cafile")
        self.certfile = None if certfile is None else check_path(certfile, what="certfile")
        self.keyfile = None if keyfile is None else check_path(keyfile, what="keyfile")
        self.server_name = None if server_name is None else check_host(server_name)
        self.name = None if name is None else check_name(name)
        self.factory = factory

    @property
    def label(self) -> str:
        """Its address for logs, ``tcp:example.org:25``."""
        return address_label(self.kind, self.host or "", self.port, self.path)

    @property
    def retry(self) -> Retry | None:
        """When to try again: its factory's policy."""
        return retry_of(self.factory)

    def __repr__(self) -> str:
        return f"<Connector {self.label}>"


def check_seconds(seconds: object, what: str, *, zero: bool) -> float:
    """Return ``seconds`` as a float if it is a finite duration.

    Args:
        what: how a message calls it.
        zero: whether 0 is allowed.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError(f"{what} must be a number of seconds, got {seconds!r:.80}")
    if seconds < 0 or (seconds == 0 and not zero) or not math.isfinite(seconds):
        raise ValueError(f"{what} {seconds!r} is not possible; use seconds {'from' if zero else 'above'} 0")
    return float(seconds)
