"""One stream connection: the object between a real transport and a user's protocol.

Towards the loop a `Connection` is the protocol, towards the user's protocol it
is the transport.  Everything that leaves through a stream passes its methods,
everything that arrives bypasses it: ``data_received`` is a slot that holds the
user's own bound method, so a read costs no call of ours (uvloop caches exactly
this attribute in ``set_protocol``; asyncio looks it up per read, which a slot
serves as fast as a method).

It must never know what a factory, a tap or an epoch is: its `Owner` admits it
and is told when it is lost, the owner's `Gate` says whether output has to wait.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from taphouse.runtime.context import on_behalf
from taphouse.runtime.gate import OPEN, Gate
from taphouse.runtime.outbound import Outbound

__all__ = ["Connection", "Owner", "Peer"]

Peer = Any
"""The address of the other side as ``getpeername(2)`` gives it: tuple, str, or None when unknown."""

_log = logging.getLogger("taphouse.runtime")


class Owner:
    """Whoever answers for a group of connections: a listening port, a connector, the loop itself."""

    def __init__(self, gate: Gate = OPEN) -> None:
        # A dict and not a set: 30 bytes an entry instead of 105 at 5,000.
        self.live: dict[Connection, None] = {}
        self.gate = gate

    def admit(self, connection: Connection) -> asyncio.BaseProtocol | None:
        """Return the protocol of a new connection, or None to turn it away."""
        self.live[connection] = None
        return connection.protocol

    def replaced(self, connection: Connection) -> None:
        """The connection talks to another protocol from now on (``set_protocol``)."""

    def lost(self, connection: Connection, exc: Exception | None) -> None:
        """The connection is gone; called once for each that was admitted, after its protocol was told."""
        self.live.pop(connection, None)

    def touched(self, connection: Connection) -> None:
        """Something was sent or received; only called when ``watches_activity``."""

    watches_activity = False

    def label(self, connection: Connection) -> str:
        """Return how log lines of this connection are marked."""
        return "-"


def _nothing(data: Any) -> None:
    """Swallow what arrives when no protocol is there to take it."""


def _feed(protocol: asyncio.BufferedProtocol, data: bytes) -> None:
    """Hand ``data`` to a protocol that lends a buffer to read into (asyncio.BufferedProtocol)."""
    rest = memoryview(data)
    while rest:
        buffer = memoryview(protocol.get_buffer(len(rest))).cast("B")
        if not len(buffer):
            raise RuntimeError("get_buffer() returned an empty buffer")
        count = min(len(buffer), len(rest))
        buffer[:count] = rest[:count]
        protocol.buffer_updated(count)
        rest = rest[count:]


class Connection(Outbound, asyncio.BaseProtocol):
    """A stream connection of an application, or one that its code opened.

    Attributes:
        protocol: the user's protocol; None before it is made and after the loss.
        owner: who admitted it.
        serial: number of the connection among those of its owner, from 1; 0 if not counted.
        host: the peer's host, shared between connections; None for UNIX sockets.
    """

    __slots__ = ("data_received", "serial")

    data_received: Callable[[Any], None]
    _start_tls_compatible = True  # asyncio's own loops ask for this before they put TLS on top of us

    def __init__(self, owner: Owner, protocol: asyncio.BaseProtocol | None = None) -> None:
        super().__init__(owner, protocol)
        self.serial = 0
        self.host = None
        self.data_received = _nothing

    @property
    def host(self) -> str | None:
        """The peer's host; kept in asyncio's own slot for extra info, which would stay empty."""
        return self._extra

    @host.setter
    def host(self, host: str | None) -> None:
        self._extra = host

    def __repr__(self) -> str:
        state = "not connected" if self._raw is None else "closing" if self.is_closing() else "open"
        return f"<Connection {self.owner.label(self)} {state}>"

    def log_label(self) -> str:
        """Return how log lines of this connection are marked: ``Keys,3,127.0.0.1``."""
        return str(self.owner.label(self))

    # -- the loop's side: called by the real transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over from the loop: ask the owner for a protocol and tell it."""
        self._raw = transport  # type: ignore[assignment]  # uvloop's transports register no base class
        try:
            protocol = self.owner.admit(self)
        except Exception:
            _log.exception("a connection was refused: its protocol could not be made")
            protocol = None
        if protocol is None:
            self.reset()
            return
        self._adopt(protocol)
        try:
            with on_behalf(self):  # a task that is made here logs as this connection
                protocol.connection_made(self)
        except Exception:
            # asyncio would leave the peer waiting on a protocol that never began.
            _log.exception("connection_made failed; the connection is dropped")
            self.reset()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the protocol, then the owner, and let go of both."""
        protocol = self.protocol
        if protocol is None:
            return
        try:
            protocol.connection_lost(exc)
        except Exception:
            _log.exception("connection_lost failed")
        finally:
            self.forget_kept()
            self.owner.lost(self, exc)
            # Break the ring protocol -> transport -> data_received -> protocol here: otherwise
            # every connection is left to the cycle collector.
            self.protocol = None
            self.data_received = _nothing

    def eof_received(self) -> bool | None:
        """Pass on that the peer sends no more."""
        protocol = self.protocol
        if protocol is None:
            return None
        # A protocol that has closed already hears no more, but what it said last must still leave.
        stay = False if self.is_closing() else protocol.eof_received()  # type: ignore[attr-defined]
        if stay or not self.is_keeping:
            return stay
        # The loop would close now, before what is kept has left; TLS knows no other end than that.
        self.owner.gate.end_turn()
        if not self.is_keeping:
            return None
        self.close()
        return True

    def _adopt(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol
        receive: Callable[[Any], None]
        if isinstance(protocol, asyncio.BufferedProtocol):
            receive = partial(_feed, protocol)
        else:
            receive = protocol.data_received  # type: ignore[attr-defined]
        if self.owner.watches_activity:
            receive = partial(self._receive_watched, receive)
        self.data_received = receive
        raw = self._raw
        if raw is not None and not raw.is_closing():
            raw.set_protocol(self)  # makes uvloop look at data_received again

    def ignore_input(self) -> None:
        """Hand nothing that arrives to the protocol any more, but read it."""
        self.data_received = _nothing
        self.raw.set_protocol(self)  # see _adopt

    def _receive_watched(self, receive: Callable[[Any], None], data: Any) -> None:
        self.owner.touched(self)
        receive(data)

    # -- the user's side: asyncio.Transport

    async def start_tls(self, secure: Callable[[], Awaitable[asyncio.Transport]]) -> None:
        """Go on over what ``secure()`` returns, the TLS side of what was plain until now.

        What arrives before that waits: an answer to it must not leave in plain text.
        """
        early: list[Any] = []
        self.data_received = early.append
        try:
            if self.is_keeping:
                # The peer begins its handshake as soon as it hears what is kept: that is for TLS to read.
                self.raw.pause_reading()
                await self.owner.gate.wait_released()
            self._raw = await secure()
        finally:
            if self.protocol is not None:
                self._adopt(self.protocol)
        for data in early:
            self.data_received(data)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand the connection to another protocol."""
        self._adopt(protocol)
        self.owner.replaced(self)
