"""Maker portforward: connections to a port of this machine go on to another address.

It checks what it is told; `taphouse.makers.forwarding` does the forwarding.  It must not know what passes.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator

from taphouse import usage
from taphouse.app import Application, Listener
from taphouse.makers.forwarding import Forwarder
from taphouse.runtime import make_client_context, make_server_context

__all__ = ["Options", "description", "updateApplication"]

description = "Forward connections to another address, with TLS on either side"

_ANY = ("", "0.0.0.0", "::")


class Options(usage.Options):
    """Forward connections to another address."""

    examples = (
        "mktap portforward --port 5432 --to db.example.org:5432",
        "mktap portforward --port 443 --bind 0.0.0.0 --certfile cert.pem --to 127.0.0.1:8080",
        "mktap portforward --port 6667 --to-tls --to irc.example.org:6697",
    )

    port: int = usage.option(6666, "-p", help="TCP port to listen on", ge=0, le=65535)
    bind: str = usage.option("127.0.0.1", help="address to listen on; '' is all of this machine's")
    to: usage.Address = usage.option(help="where connections go on to: HOST:PORT or unix:/PATH")
    certfile: usage.ExistingFile | None = usage.option(
        None, help="speak TLS to clients, with the certificate and chain in this PEM file"
    )
    keyfile: usage.ExistingFile | None = usage.option(
        None, help="PEM file of its private key, if that is not in the same file"
    )
    to_tls: bool = usage.option(False, help="speak TLS to the target")
    to_cafile: usage.ExistingFile | None = usage.option(
        None, help="PEM file of the authorities to trust there, instead of the system's"
    )
    to_server_name: str | None = usage.option(
        None, help="name that the target's certificate must carry, if it is not HOST"
    )
    to_insecure: bool = usage.option(False, help="take any certificate of the target, whoever is there")
    connect_timeout: usage.Duration = usage.option(
        "10s", help="how long connecting to the target may take", gt=0
    )
    idle_timeout: usage.Duration = usage.option(
        0.0, help="close a connection through which nothing has passed for so long; 0 is never", ge=0
    )

    def post_options(self) -> None:
        """Refuse what contradicts itself, and what would only fail when it is needed."""
        if self.to.port == 0 and not self.to.is_unix:
            raise usage.UsageError(f"--to {self.to}: nobody can be reached at port 0", cure="use 1 to 65535")
        if self.keyfile is not None and self.certfile is None:
            raise usage.UsageError("--keyfile is of no use without --certfile")
        for option, value in (
            ("--to-cafile", self.to_cafile),
            ("--to-server-name", self.to_server_name),
            ("--to-insecure", self.to_insecure),
        ):
            if value and not self.to_tls:
                raise usage.UsageError(f"{option} is of no use without --to-tls")
            if value and self.to_insecure and option != "--to-insecure":
                raise usage.UsageError(f"{option} contradicts --to-insecure", cure="leave one of them out")
        if self.to_tls and not (self.to.host or self.to_server_name or self.to_insecure):
            raise usage.UsageError(
                f"--to-tls with --to {self.to}: no name to look for in its certificate",
                cure="add --to-server-name NAME",
            )


def updateApplication(app: Application, config: Options) -> None:
    """Add the server to ``app``.

    Raises:
        UsageError: if connections would come back to where they came from.
        ConfigurationError: if a certificate, key or file of authorities cannot be used.
    """
    certfile, keyfile, cafile = (
        None if path is None else str(path) for path in (config.certfile, config.keyfile, config.to_cafile)
    )
    # Now, and not when the server is started somewhere by somebody.
    if certfile is not None:
        make_server_context(certfile, keyfile)
    if cafile is not None:
        make_client_context(cafile)
    forwarder = Forwarder(
        # An address without a host, as in --to :80, is this machine's.
        "" if config.to.is_unix else config.to.host or "localhost",
        config.to.port,
        to_path=config.to.path,
        to_tls=config.to_tls,
        to_cafile=cafile,
        to_server_name=config.to_server_name,
        to_insecure=config.to_insecure,
        connect_timeout_s=config.connect_timeout,
        idle_timeout_s=config.idle_timeout,
    )
    if certfile is None:
        listener = app.listenTCP(config.port, forwarder, interface=config.bind)
    else:
        listener = app.listenTLS(config.port, forwarder, certfile, keyfile, interface=config.bind)
    _refuse_circle(app, listener)


def _refuse_circle(app: Application, first: Listener) -> None:
    passed: list[Listener] = []
    for listener in _way(app, first):
        if listener in passed:
            where = " to ".join(f"port {each.port}" for each in [*passed, listener])
            raise usage.UsageError(
                f"--to {first.factory.to_host}:{first.factory.to_port} leads back to itself: {where}"  # type: ignore[attr-defined]
            )
        passed.append(listener)


def _way(app: Application, listener: Listener | None) -> Iterator[Listener]:
    """Yield the listeners that a connection passes, for ever if it goes round."""
    while listener is not None:
        yield listener
        forwarder = listener.factory
        if not isinstance(forwarder, Forwarder) or forwarder.to_path:
            return
        host, port = forwarder.to_host, forwarder.to_port
        listener = next(
            (each for each in app.listeners if each.port == port and _listens_at(each.interface, host)), None
        )


def _listens_at(interface: str, host: str) -> bool:
    """Say whether who listens at ``interface`` is reached at ``host``."""
    ours, theirs = _addresses(interface), _addresses(host)
    if theirs & {ipaddress.ip_address(each) for each in _ANY if each}:
        theirs = _addresses("localhost") | _addresses("127.0.0.1")  # connecting to it means this machine
    if interface in _ANY:
        return any(_is_of_this_machine(str(address)) for address in theirs)
    return bool(ours & theirs)


def _addresses(host: str) -> set[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    try:
        found = socket.getaddrinfo(host or "0.0.0.0", None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return set()  # not known here; it is looked up anew for each connection
    return {ipaddress.ip_address(str(info[4][0]).partition("%")[0]) for info in found}


def _is_of_this_machine(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True
