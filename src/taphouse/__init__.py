"""taphouse: servers that never lose their state.

The front door: what users type.  Everything is fetched when it is asked for,
so that a command which only reads a tap does not pay for what runs one; no
module of taphouse imports this one.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from taphouse import errors as errors
    from taphouse import usage as usage
    from taphouse.app import Application as Application
    from taphouse.app import ClientFactory as ClientFactory
    from taphouse.app import DatagramFactory as DatagramFactory
    from taphouse.app import DatagramProtocol as DatagramProtocol
    from taphouse.app import Factory as Factory
    from taphouse.app import MultiService as MultiService
    from taphouse.app import Protocol as Protocol
    from taphouse.app import Retry as Retry
    from taphouse.app import Service as Service
    from taphouse.durable import Durable as Durable
    from taphouse.durable import atomic as atomic
    from taphouse.durable import durable as durable
    from taphouse.durable import register as register

__version__ = "0.1.0"

_ROOMS = {
    "Application": "taphouse.app",
    "ClientFactory": "taphouse.app",
    "DatagramFactory": "taphouse.app",
    "DatagramProtocol": "taphouse.app",
    "Durable": "taphouse.durable",
    "Factory": "taphouse.app",
    "MultiService": "taphouse.app",
    "Protocol": "taphouse.app",
    "Retry": "taphouse.app",
    "Service": "taphouse.app",
    "atomic": "taphouse.durable",
    "durable": "taphouse.durable",
    "errors": "",
    "register": "taphouse.durable",
    "usage": "",
}

__all__ = [  # noqa: PLE0604 - the table above, so that the two cannot differ
    *_ROOMS,
    "__version__",
]


class _Composed:
    """Does what an application is told, by importing those who can when it is said."""

    def __getattr__(self, verb: str) -> Any:
        return getattr(import_module("taphouse.cli.compose"), verb)


class _Door(ModuleType):
    """A module in which ``durable`` is the decorator, not the room of the same name.

    Importing ``taphouse.durable`` makes the import system bind the room here;
    what users mean by ``from taphouse import durable`` must not depend on
    whether that has happened.
    """

    @property
    def durable(self) -> Any:
        return import_module("taphouse.durable").durable

    @durable.setter
    def durable(self, room: ModuleType) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        room = _ROOMS.get(name)
        if room is None:
            raise AttributeError(f"module 'taphouse' has no attribute {name!r}")
        if not room:
            return import_module(f"taphouse.{name}")
        module = import_module(room)
        if room == "taphouse.app":
            module.verbs.install(_Composed())
        value = getattr(module, name)
        setattr(self, name, value)
        return value

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *_ROOMS})


sys.modules[__name__].__class__ = _Door
