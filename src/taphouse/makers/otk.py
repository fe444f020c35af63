"""Maker otk: one-time keys, the server of the HOWTO.

It must not know what the keys are for.
"""

from __future__ import annotations

import asyncio

from taphouse import usage
from taphouse.app import Application, Factory, Protocol
from taphouse.makers.listening import ListeningOptions

__all__ = ["Keys", "OneTimeKey", "Options", "description", "updateApplication"]

description = "Give everybody a number that nobody got before"


class Options(ListeningOptions):
    """Give everybody a number that nobody got before."""

    examples = "mktap otk --first 1000"

    port = 8123
    first: int = usage.option(0, help="the first key", ge=0)


class OneTimeKey(Protocol):
    """Says one key and closes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say it: it leaves when the next one is on disk."""
        super().connection_made(transport)
        key = self.factory.nextkey
        self.factory.nextkey += 1
        print("giving key", key)  # noqa: T201 - it goes to the log, as in the HOWTO
        self.transport.write(b"%d\n" % key)
        self.transport.close()


class Keys(Factory, name="taphouse.otk.Keys"):
    """Knows which key is next.

    Args:
        first: the first key, from 0.

    Attributes:
        nextkey: the key that the next client gets; durable.
    """

    protocol = OneTimeKey

    def __init__(self, first: int = 0) -> None:
        self.nextkey = first


def updateApplication(app: Application, config: Options) -> None:
    """Add the server to ``app``."""
    app.listenTCP(config.port, Keys(config.first), interface=config.interface)
