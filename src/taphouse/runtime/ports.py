"""A port: one listener of a running application.

Lets connections in, counts them, and closes.  It knows the loop and its crowd;
it must never bind: sockets are handed to it.
"""

from __future__ import annotations

import asyncio
import logging
import select
import sys
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVar

from taphouse.app import DatagramProtocol, Protocol
from taphouse.runtime.accepting import accept_on
from taphouse.runtime.binding import Address, Bound
from taphouse.runtime.connection import Connection, Owner
from taphouse.runtime.crowd import Crowd
from taphouse.runtime.datagrams import Endpoint
from taphouse.runtime.gate import OPEN, Gate
from taphouse.runtime.idle import IdleWatch
from taphouse.runtime.limits import Gatekeeper

__all__ = ["TURNS_TO_BEGIN", "CrowdOwner", "Port", "UdpPort", "open_port"]

_log = logging.getLogger("taphouse.runtime")
_T = TypeVar("_T")
_BACKLOG_TURNS = 1000
TURNS_TO_BEGIN = 5
"""Turns of the loop from accept(2) to connection_made, at most; asyncio needs three."""


class CrowdOwner(Owner):
    """An owner whose connections belong to a factory; base of ports and connectors."""

    def __init__(self, crowd: Crowd, gate: Gate) -> None:
        super().__init__(OPEN if crowd.factory.stateless else gate)
        self.crowd = crowd
        self.live = crowd.live

    def admit(self, connection: Connection) -> asyncio.BaseProtocol | None:
        """Ask the factory for a protocol, and count the connection in."""
        peer = connection.get_extra_info("peername")
        if isinstance(peer, tuple):
            connection.host = sys.intern(peer[0])
        protocol = self.crowd.factory.build_protocol("" if peer is None else peer)
        if protocol is None:
            return None
        connection.serial = self.crowd.next_serial()
        if isinstance(protocol, Protocol):
            protocol.transport = connection
        self.live[connection] = None
        return protocol

    def lost(self, connection: Connection, exc: Exception | None) -> None:
        """Count the connection out."""
        super().lost(connection, exc)
        self.crowd.keep_task(connection.protocol)

    def label(self, connection: Connection) -> str:
        """Return ``Keys,3,127.0.0.1``."""
        return f"{self.crowd.name},{connection.serial},{connection.host or 'unix'}"


class Port(CrowdOwner):
    """A listener on stream sockets."""

    def __init__(
        self, bound: Bound, crowd: Crowd, gatekeeper: Gatekeeper, gate: Gate, idle: IdleWatch | None
    ) -> None:
        super().__init__(crowd, gate)
        self.bound = bound
        self.addresses: list[Address] = bound.addresses()
        self.watches_activity = idle is not None
        self._gatekeeper = gatekeeper
        self._idle = idle
        self._servers: list[Any] = []
        self.is_accepting = False

    @property
    def where(self) -> str:
        """The port number or path, for log lines."""
        return self.bound.key[3] or str(self.addresses[0][1])

    def log_start(self) -> None:
        """Say what starts where."""
        _log.info("%s starting on %s", self.crowd.full_name, self.where)

    def _make(self) -> Connection:
        return Connection(self)

    async def accept(self, loop: asyncio.AbstractEventLoop, tls_handshake_s: float) -> None:
        """Begin to accept; until now connections waited in the backlog."""
        self.is_accepting = True
        for sock in self.bound.sockets:
            tls: dict[str, Any] = {}
            if self.bound.tls is not None:
                tls.update(ssl=self.bound.tls, ssl_handshake_timeout=tls_handshake_s or None)
            accepting = accept_on(loop, self._make, sock, self.bound.backlog, **tls)
            await _open(loop, accepting, self._servers.extend)

    def admit(self, connection: Connection) -> asyncio.BaseProtocol | None:
        """Let the connection in, unless there are too many."""
        peer = connection.get_extra_info("peername")
        host = sys.intern(peer[0]) if isinstance(peer, tuple) else None
        if not self._gatekeeper.enter(host):
            return None
        protocol = None
        try:
            protocol = super().admit(connection)
        finally:
            if protocol is None:
                self._gatekeeper.leave(host)
        if protocol is not None and self._idle is not None:
            self._idle.add(connection)
        return protocol

    def touched(self, connection: Connection) -> None:
        """Note that the connection is not idle."""
        if self._idle is not None:
            self._idle.touch(connection)

    def lost(self, connection: Connection, exc: Exception | None) -> None:
        """Count the connection out."""
        super().lost(connection, exc)
        self._gatekeeper.leave(connection.host)
        if self._idle is not None:
            self._idle.forget(connection)

    async def empty_backlog(self) -> None:
        """Accept until the kernel has no finished connection left for us."""
        poll = select.poll()
        for sock in self.bound.sockets:
            if sock.fileno() >= 0:
                poll.register(sock.fileno(), select.POLLIN)
        quiet = 0
        for _ in range(_BACKLOG_TURNS):
            quiet = 0 if poll.poll(0) else quiet + 1
            if quiet > TURNS_TO_BEGIN:
                return
            await asyncio.sleep(0)

    def stop_accepting(self, loop: asyncio.AbstractEventLoop) -> None:
        """Accept nobody any more, if the loop can; it is to be closed some turns later.

        asyncio forgets a connection, without closing it, whose server closes before it has a transport.
        """
        for sock in self.bound.sockets:
            if sock.fileno() >= 0:
                loop.remove_reader(sock)

    def close(self) -> None:
        """Stop accepting; live connections go on."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        self.bound.close()
        _log.info("(Port %s Closed)", self.where)


class UdpPort:
    """A listener on datagram sockets: one protocol for each."""

    def __init__(self, bound: Bound, crowd: Crowd, gate: Gate) -> None:
        self.bound = bound
        self.crowd = crowd
        self.addresses: list[Address] = bound.addresses()
        self._gate = OPEN if crowd.factory.stateless else gate
        self._endpoints: list[Endpoint] = []
        self.is_accepting = False

    @property
    def where(self) -> str:
        """The port number, for log lines."""
        return str(self.addresses[0][1])

    def log_start(self) -> None:
        """Say what starts where."""
        _log.info("%s starting on %s", self.crowd.full_name, self.where)

    def _make(self) -> Endpoint:
        protocol = self.crowd.factory.build_datagram_protocol()
        endpoint = Endpoint(protocol, self._gate, label=f"{self.crowd.name} (UDP)")  # type: ignore[arg-type]
        if isinstance(protocol, DatagramProtocol):
            protocol.transport = endpoint
        return endpoint

    async def accept(self, loop: asyncio.AbstractEventLoop, tls_handshake_s: float) -> None:
        """Begin to receive."""
        self.is_accepting = True
        for sock in self.bound.sockets:
            endpoint = self._make()
            made = loop.create_datagram_endpoint(lambda endpoint=endpoint: endpoint, sock=sock)  # type: ignore[misc]
            await _open(loop, made, lambda _, endpoint=endpoint: self._endpoints.append(endpoint))  # type: ignore[misc]

    async def empty_backlog(self) -> None:
        """Datagrams have no backlog of promises: nothing to do."""

    def stop_accepting(self, loop: asyncio.AbstractEventLoop) -> None:
        """Receive nothing any more."""
        for endpoint in self._endpoints:
            endpoint.close()
        self._endpoints.clear()

    def close(self) -> None:
        """Stop receiving."""
        for endpoint in self._endpoints:
            endpoint.close()
        self._endpoints.clear()
        self.bound.close()
        _log.info("(Port %s Closed)", self.where)


async def _open(
    loop: asyncio.AbstractEventLoop, opening: Coroutine[Any, Any, _T], keep: Callable[[_T], object]
) -> None:
    """Await ``opening`` and keep what it returns, to be closed, also if a stop cancels us meanwhile."""
    # In a fresh context: what a client causes is not what the runtime does.
    task = loop.create_task(opening, context=Context())
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])  # what is half open nobody could close
        raise
    finally:
        if not task.cancelled() and task.exception() is None:
            keep(task.result())


def open_port(
    bound: Bound, crowd: Crowd, gatekeeper: Gatekeeper, gate: Gate, idle: IdleWatch | None
) -> Port | UdpPort:
    """Return the port for what was bound."""
    if bound.key[0] == "udp":
        return UdpPort(bound, crowd, gate)
    return Port(bound, crowd, gatekeeper, gate, idle)
