"""Maker kv: a small server that speaks Redis's protocol.

``requests`` turns bytes into words, ``commands`` is the table of what can be said, ``strings``, ``hashes``,
``lists``, ``sets``, ``keys``, ``auth`` and ``server`` say what happens then, ``replies`` turns it into bytes.
A ``Session`` is one connection; a ``Keyspace`` with its databases is all that is remembered.  This door must
not import them: they need hiredis, which is an extra.
"""

from __future__ import annotations

import ipaddress
from importlib.util import find_spec

from taphouse import usage
from taphouse.app import Application
from taphouse.errors import ConfigurationError
from taphouse.makers.listening import ListeningOptions

__all__ = ["Options", "description", "updateApplication"]

description = "Remember values by their keys, for clients of Redis"


class Options(ListeningOptions):
    """Remember values by their keys, for clients of Redis."""

    examples = "mktap kv --interface 0.0.0.0 --password-file password"

    port = 6379
    interface: str = usage.option("127.0.0.1", help="address to listen on; '' is all of this machine's")
    password: usage.Secret | None = usage.option(None, help="what clients have to say first (AUTH)")
    protected_mode: bool = usage.option(True, help="without a password, listen to this machine only")

    def post_options(self) -> None:
        """Do not open what has no lock to the world by mistake."""
        super().post_options()
        if self.protected_mode and self.password is None and not _is_loopback(self.interface):
            raise usage.UsageError(
                f"--interface {self.interface or repr('')} is open to others, and there is no password",
                cure="give --password-file FILE, or --no-protected-mode",
            )


def _is_loopback(interface: str) -> bool:
    try:
        return ipaddress.ip_address(interface).is_loopback
    except ValueError:
        return interface == "localhost"


def updateApplication(app: Application, config: Options) -> None:
    """Add the server to ``app``.

    Raises:
        ConfigurationError: if hiredis is not installed.
    """
    if find_spec("hiredis") is None:
        raise ConfigurationError("kv needs hiredis, which is not installed", cure="pip install taphouse[kv]")
    from taphouse.makers.kv.caretaker import Caretaker
    from taphouse.makers.kv.keyspace import Keyspace

    keyspace = Keyspace(config.password)
    app.addService(Caretaker(keyspace, _free_name(app, "caretaker")))
    app.listenTCP(config.port, keyspace, interface=config.interface)


def _free_name(app: Application, name: str) -> str:
    """Return ``name`` if no service has it, else ``name-2``, ``name-3``, ..."""
    number, free = 1, name
    while free in app.services:
        number += 1
        free = f"{name}-{number}"
    return free
