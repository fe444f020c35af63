"""One stream connection: the object between a real transport and a user's protocol.

Towards the loop a `Connection` is the protocol, towards the user's protocol it
is the transport.  Everything that leaves through a stream passes its methods,
everything that arrives bypasses it: ``data_received`` is a slot that holds the
user's own bound method, so a read costs no call of ours (uvloop caches exactly
this attribute in ``set_protocol``; asyncio looks it up per read, which a slot
serves as fast as a method).

It must never know what a factory, a tap or an epoch is: its `Owner` admits it
and is told when it is lost, its `OutputWatch` is told of output.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any

from taphouse.runtime.context import on_behalf

__all__ = ["Connection", "OutputWatch", "Owner", "Peer"]

Peer = Any
"""The address of the other side as ``getpeername(2)`` gives it: tuple, str, or None when unknown."""

_log = logging.getLogger("taphouse.runtime")
_RESET = struct.pack("ii", 1, 0)  # struct linger: on, zero seconds; socket(7)


class OutputWatch:
    """Is told that bytes leave the process, as long as it wants to know.

    ``wants_output`` is False for an application with nothing to compare, and
    then a write costs one attribute test.
    """

    __slots__ = ("wants_output",)

    def __init__(self) -> None:
        self.wants_output = False

    def output(self) -> None:
        """Output was written in this turn of the loop."""


class Owner:
    """Whoever answers for a group of connections: a listening port, a connector, the loop itself."""

    def __init__(self, watch: OutputWatch | None = None) -> None:
        # A dict and not a set: 30 bytes an entry instead of 105 at 5,000.
        self.live: dict[Connection, None] = {}
        self.watch = watch if watch is not None else OutputWatch()

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


class Connection(asyncio.Transport, asyncio.BaseProtocol):
    """A stream connection of an application, or one that its code opened.

    Attributes:
        protocol: the user's protocol; None before it is made and after the loss.
        owner: who admitted it.
        serial: number of the connection among those of its owner, from 1; 0 if not counted.
        host: the peer's host, shared between connections; None for UNIX sockets.
    """

    __slots__ = ("_raw", "data_received", "host", "owner", "protocol", "serial")

    data_received: Callable[[Any], None]
    _start_tls_compatible = True  # asyncio's own loops ask for this before they put TLS on top of us

    def __init__(self, owner: Owner, protocol: asyncio.BaseProtocol | None = None) -> None:
        # Not asyncio.Transport.__init__: its extra-info dict costs 64 bytes a connection and stays empty.
        self.owner = owner
        self.protocol = protocol
        self.serial = 0
        self.host: str | None = None
        self._raw: asyncio.Transport | None = None
        self.data_received = _nothing

    def __repr__(self) -> str:
        state = "not connected" if self._raw is None else "closing" if self.is_closing() else "open"
        return f"<Connection {self.owner.label(self)} {state}>"

    def log_label(self) -> str:
        """Return how log lines of this connection are marked: ``Keys,3,127.0.0.1``."""
        return self.owner.label(self)

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
            self.owner.lost(self, exc)
            # Break the ring protocol -> transport -> data_received -> protocol here: otherwise
            # every connection is left to the cycle collector.
            self.protocol = None
            self.data_received = _nothing

    def eof_received(self) -> bool | None:
        """Pass on that the peer sends no more."""
        protocol = self.protocol
        return None if protocol is None else protocol.eof_received()  # type: ignore[attr-defined]

    def pause_writing(self) -> None:
        """Pass on that the peer does not read."""
        if self.protocol is not None:
            self.protocol.pause_writing()

    def resume_writing(self) -> None:
        """Pass on that there is room again."""
        if self.protocol is not None:
            self.protocol.resume_writing()

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

    def _receive_watched(self, receive: Callable[[Any], None], data: Any) -> None:
        self.owner.touched(self)
        receive(data)

    # -- the user's side: asyncio.Transport

    @property
    def raw(self) -> asyncio.Transport:
        """The loop's transport underneath."""
        if self._raw is None:
            raise RuntimeError("the connection is not made yet")
        return self._raw

    async def start_tls(self, secure: Callable[[], Awaitable[asyncio.Transport]]) -> None:
        """Go on over what ``secure()`` returns, the TLS side of what was plain until now.

        What arrives before that waits: an answer to it must not leave in plain text.
        """
        early: list[Any] = []
        self.data_received = early.append
        try:
            self._raw = await secure()
        finally:
            if self.protocol is not None:
                self._adopt(self.protocol)
        for data in early:
            self.data_received(data)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the user's protocol."""
        return self.protocol  # type: ignore[return-value]

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand the connection to another protocol."""
        self._adopt(protocol)
        self.owner.replaced(self)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the transport underneath knows."""
        return default if self._raw is None else self._raw.get_extra_info(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send ``data``."""
        self._raw.write(data)  # type: ignore[union-attr]
        owner = self.owner
        if owner.watch.wants_output:
            owner.watch.output()
        if owner.watches_activity:
            owner.touched(self)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Send all of ``list_of_data``."""
        self.write(b"".join(list_of_data))

    def write_eof(self) -> None:
        """Send what is written, then end our side."""
        self.raw.write_eof()
        if self.owner.watch.wants_output:
            self.owner.watch.output()

    def can_write_eof(self) -> bool:
        """Say whether one side can end alone."""
        return self.raw.can_write_eof()

    def close(self) -> None:
        """Send what is written, then close."""
        self.raw.close()
        if self.owner.watch.wants_output:
            self.owner.watch.output()

    def abort(self) -> None:
        """Close at once; what is not sent is lost."""
        self.raw.abort()

    def reset(self) -> None:
        """Close at once so that the peer sees a reset and no orderly end (RST instead of FIN)."""
        raw = self.raw
        sock = raw.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            try:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            except OSError:
                pass  # the peer was faster
        raw.abort()

    def is_closing(self) -> bool:
        """Say whether it is closed or about to be."""
        return self._raw is None or self._raw.is_closing()

    def pause_reading(self) -> None:
        """Take no more from the peer for now."""
        self.raw.pause_reading()

    def resume_reading(self) -> None:
        """Take from the peer again."""
        self.raw.resume_reading()

    def is_reading(self) -> bool:
        """Say whether it takes from the peer."""
        return self.raw.is_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the marks of flow control, in bytes."""
        self.raw.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait to be sent."""
        return self.raw.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the marks of flow control, (low, high)."""
        return self.raw.get_write_buffer_limits()
