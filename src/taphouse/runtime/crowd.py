"""A crowd: the live connections of one factory, and the factory's own life.

One for each factory of a running application, shared by all its listeners and
connectors.  It knows the shape of a factory and must never know how a
connection came to be.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Any

from taphouse.app import CallableFactory, Factory, callable_name, start_factory, stop_factory
from taphouse.names import qualified_name
from taphouse.runtime.connection import Connection

__all__ = ["Crowd", "Connections"]

_log = logging.getLogger("taphouse.runtime")


class Connections(AbstractSet[asyncio.BaseProtocol]):
    """The protocols of a factory's live connections; ``factory.connections``.

    A view, and not a set of its own: that would cost 100 bytes more a connection.
    Iterating goes over those there are when it begins, so a broadcast may lose some on its way.
    """

    def __init__(self, live: dict[Connection, None]) -> None:
        self._live = live

    @classmethod
    def _from_iterable(cls, it: Any) -> set[asyncio.BaseProtocol]:  # type: ignore[override]
        return set(it)

    def __contains__(self, protocol: object) -> bool:
        return any(connection.protocol is protocol for connection in self._live)

    def __iter__(self) -> Iterator[asyncio.BaseProtocol]:
        return iter([connection.protocol for connection in self._live if connection.protocol is not None])

    def __len__(self) -> int:
        return len(self._live)

    def __repr__(self) -> str:
        return f"<{len(self)} connections>"


class Crowd:
    """The live connections of one factory.

    Args:
        factory: the factory.
        label: its durable identity, for log lines: ``Keys#1``.
    """

    def __init__(self, factory: Factory, label: str) -> None:
        self.factory = factory
        self.label = label
        if isinstance(factory, CallableFactory):
            self.name = callable_name(factory.target)
            self.full_name = f"{getattr(factory.target, '__module__', '?')}.{self.name}"
        else:
            self.name = type(factory).__name__
            self.full_name = qualified_name(type(factory))
        self.live: dict[Connection, None] = {}
        self.accepted = 0
        self.tasks: set[asyncio.Task[Any]] = set()
        """Coroutines of connections that are lost already and still run."""
        factory._v_connections = Connections(self.live)

    def next_serial(self) -> int:
        """Return the number of the next connection, from 1."""
        self.accepted += 1
        return self.accepted

    def keep_task(self, protocol: object) -> None:
        """Remember the coroutine of a lost connection until it ends, so that a stop can end it."""
        task = getattr(protocol, "task", None)
        if isinstance(task, asyncio.Task) and not task.done():
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    def running_tasks(self) -> list[asyncio.Task[Any]]:
        """Return the coroutines that serve connections, or did."""
        found = list(self.tasks)
        for connection in self.live:
            task = getattr(connection.protocol, "task", None)
            if isinstance(task, asyncio.Task) and not task.done():
                found.append(task)
        return found

    async def use(self) -> None:
        """Count one more listener or connector; the first one starts the factory."""
        if not self.factory._v_uses:
            _log.info("Starting factory <%s>", self.label)
        await start_factory(self.factory)

    def drain(self) -> None:
        """Let the factory ask its connections to end; its errors are logged."""
        if not self.factory._v_uses:
            return
        try:
            self.factory.draining()
        except Exception:
            _log.exception("factory <%s>: draining() failed", self.label)

    async def release(self) -> None:
        """Count one less; the last one stops the factory, whose errors are logged."""
        if self.factory._v_uses == 1:
            _log.info("Stopping factory <%s>", self.label)
        try:
            await stop_factory(self.factory)
        except Exception:
            _log.exception("factory <%s>: stopped() failed", self.label)
