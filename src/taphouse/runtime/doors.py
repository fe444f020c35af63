"""Doors: all ways in and out of a running application.

Its ports, its links, the crowd of each factory, and how they open, close and
drain.  It must never know state, services or schedules.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from taphouse.app import Application, Connector, Factory, Listener, object_label
from taphouse.runtime.binding import Address, Sockets, bind_listener
from taphouse.runtime.clock import Clock
from taphouse.runtime.connection import Connection, Owner
from taphouse.runtime.crowd import Crowd
from taphouse.runtime.gate import Gate
from taphouse.runtime.idle import IdleWatch
from taphouse.runtime.limits import Gatekeeper, Limits
from taphouse.runtime.links import Link
from taphouse.runtime.ports import TURNS_TO_BEGIN, Port, UdpPort, open_port

__all__ = ["Doors"]

_log = logging.getLogger("taphouse.runtime")
_FLUSH_S = 1.0


class Doors:
    """The ports and links of one application."""

    def __init__(
        self,
        app: Application,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        limits: Limits,
        gatekeeper: Gatekeeper,
        gate: Gate,
    ) -> None:
        self._app = app
        self._loop = loop
        self._clock = clock
        self._limits = limits
        self._gatekeeper = gatekeeper
        self._gate = gate
        self._idle = IdleWatch(limits.idle_timeout_s, clock) if limits.idle_timeout_s else None
        self._ports: list[tuple[Listener, Port | UdpPort]] = []
        self._links: list[tuple[Connector, Link]] = []
        self._crowds: dict[int, Crowd] = {}
        self._users: dict[int, Crowd] = {}  # id of each port and connector whose factory is started for it
        self._starting = self.is_accepting = self._connecting = False

    # -- opening

    def bind(self, sockets: Sockets) -> None:
        """Make a port for each listener, from what is bound already or anew."""
        for listener in self._app.listeners:
            self.add_port(listener, sockets)

    def add_port(self, listener: Listener, sockets: Sockets | None = None) -> Port | UdpPort:
        """Bind one listener.

        Raises:
            AddressError, NotPermittedError, ConfigurationError: naming the port or path.
        """
        entry = _entry(listener)
        key = (entry["kind"], entry["interface"] or "", entry["port"] or 0, entry["path"] or "")
        bound = sockets.take(key) if sockets is not None else None
        if bound is None:
            bound = bind_listener(entry)
        port = open_port(bound, self._crowd(listener.factory), self._gatekeeper, self._gate, self._idle)
        self._ports.append((listener, port))
        return port

    async def start_factories(self) -> None:
        """Say what starts, and call ``started()`` of each factory once."""
        self._starting = True
        await self.advance()

    async def accept(self) -> None:
        """Let clients in."""
        self.is_accepting = True
        await self.advance()

    def connect(self) -> None:
        """Begin to connect each connector."""
        self._connecting = True
        for connector in self._app.connectors:
            self.add_link(connector)

    async def advance(self) -> None:
        """Bring every port and connector to where the doors are by now."""
        if self._starting:
            for _, port in list(self._ports):
                if id(port) not in self._users:
                    port.log_start()
                    await self._use(port, port.crowd)
            for connector in list(self._app.connectors):
                if id(connector) not in self._users:
                    await self._use(connector, self._crowd(connector.factory))
        if self.is_accepting:
            new = [port for _, port in self._ports if not port.is_accepting]
            for port in new:
                await port.accept(self._loop, self._limits.tls_handshake_s)
            if new:
                self._gatekeeper.count_descriptors()

    def add_link(self, connector: Connector) -> None:
        """Connect ``connector``, if it is time to and not done yet."""
        if self._connecting and not any(candidate is connector for candidate, _ in self._links):
            link = Link(connector, self._crowd(connector.factory), self._gate, self._clock)
            self._links.append((connector, link))
            link.start(self._loop)

    async def close_removed(self, listener: Listener) -> None:
        """Close a listener that is none any more; its connections go on."""
        for position, (candidate, port) in enumerate(self._ports):
            if candidate is listener:
                del self._ports[position]
                port.close()
                await self._release(port)
                return

    async def disconnect_removed(self, connector: Connector) -> None:
        """Close the connection of a connector that is none any more."""
        for position, (candidate, link) in enumerate(self._links):
            if candidate is connector:
                del self._links[position]
                await link.close()
                break
        await self._release(connector)

    async def _use(self, user: object, crowd: Crowd) -> None:
        self._users[id(user)] = crowd
        try:
            await crowd.use()
        except BaseException:
            del self._users[id(user)]
            raise

    async def _release(self, user: object) -> None:
        crowd = self._users.pop(id(user), None)
        if crowd is not None:
            await crowd.release()

    # -- closing

    async def close(self) -> None:
        """Accept until the backlogs are empty, then close the ports."""
        for _, port in self._ports:
            await port.empty_backlog()
        for _, port in self._ports:
            port.close()
        self._ports.clear()

    async def drain(self, hurry: asyncio.Event) -> None:
        """Ask accepted connections to end, and wait until they have, within the limit.

        Args:
            hurry: when it is set, the limit is the shorter one.
        """
        for crowd in self._crowds.values():
            crowd.drain()
        if await self._wait_empty(self._limits.drain_s, hurry):
            await self._wait_empty(self._limits.hurried_drain_s, None)

    async def _wait_empty(self, limit_s: float, hurry: asyncio.Event | None) -> bool:
        """Wait, and say whether ``hurry`` cut it short."""
        count = self._gatekeeper.total
        if not count:
            return False
        _log.info("waiting up to %g s for %d connection%s to end", limit_s, count, "s"[: count > 1])
        waits = [self._gatekeeper.wait_empty(), self._clock.sleep(limit_s)]
        tasks = [self._loop.create_task(wait) for wait in waits]
        if hurry is not None:
            tasks.append(self._loop.create_task(hurry.wait()))  # type: ignore[arg-type]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        return hurry is not None and hurry.is_set() and self._gatekeeper.total > 0

    async def close_connections(self) -> None:
        """Close links and what is left of connections, and end their coroutines."""
        for _, link in self._links:
            await link.close()
        self._links.clear()
        tasks = [task for crowd in self._crowds.values() for task in crowd.running_tasks()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_FLUSH_S)
        for connection in self._live():
            connection.close()
        until = self._loop.time() + _FLUSH_S
        while self._live() and self._loop.time() < until:
            await asyncio.sleep(0.005)
        for connection in self._live():
            connection.abort()
        await asyncio.sleep(0)
        if self._idle is not None:
            self._idle.close()

    async def stop_factories(self) -> None:
        """Count out every listener and connector; the last one of each factory stops it."""
        for crowd in reversed(list(self._users.values())):
            await crowd.release()
        self._users.clear()

    def abort(self) -> None:
        """Reset every connection, let nobody in and end every coroutine at once; then, `wait_aborted`."""
        self._gatekeeper.is_shut = True
        for _, link in self._links:
            link.abort()
        for crowd in self._crowds.values():
            for task in crowd.running_tasks():
                task.cancel()
        for _, port in self._ports:
            port.stop_accepting(self._loop)
        guests = getattr(self._loop, "guests", None)
        others = list(guests.live) if isinstance(guests, Owner) and guests.gate is self._gate else []
        for connection in self._live() + others:
            connection.reset()

    async def wait_aborted(self) -> None:
        """After an abort, close the ports; before and after it, let who was accepted come up, to be reset."""
        if not self._gatekeeper.is_shut:
            return
        for _ in range(TURNS_TO_BEGIN):
            await asyncio.sleep(0)
        for _, port in self._ports:
            port.close()
        self._ports.clear()
        for _ in range(TURNS_TO_BEGIN):
            await asyncio.sleep(0)

    # -- what there is

    def addresses(self) -> dict[str, list[Address]]:
        """Return label -> addresses of each open listener."""
        found: dict[str, list[Address]] = {}
        for listener, port in self._ports:
            found.setdefault(listener.label, []).extend(port.addresses)
        return found

    def accepted(self) -> int:
        """Return how many connections there were since the start."""
        return sum(crowd.accepted for crowd in self._crowds.values())

    def _crowd(self, factory: Factory) -> Crowd:
        crowd = self._crowds.get(id(factory))
        if crowd is None:
            crowd = self._crowds[id(factory)] = Crowd(factory, object_label(self._app, factory))
        return crowd

    def _live(self) -> list[Connection]:
        return [connection for crowd in self._crowds.values() for connection in crowd.live]


def _entry(listener: Listener) -> dict[str, Any]:
    names = ("kind", "interface", "port", "path", "mode", "backlog", "certfile", "keyfile", "label")
    return {name: getattr(listener, name) for name in names}
