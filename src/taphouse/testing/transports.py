"""Connections in memory: drive a factory's protocols without a socket.

What is sent arrives at once, what is written lies ready to be looked at.  It
must never open anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from taphouse.app import DatagramProtocol, Factory, as_factory, begin_connection

__all__ = ["MemoryDatagrams", "MemoryPeer", "MemoryTransport", "connect", "open_datagrams"]


class MemoryTransport(asyncio.Transport):
    """The server's side of a connection in memory.

    Attributes:
        written: everything the protocol wrote and its peer did not take yet.
        is_aborted: whether the protocol aborted.
    """

    def __init__(self, peername: Any, sockname: Any) -> None:
        super().__init__({"peername": peername, "sockname": sockname, "socket": None})
        self.written = bytearray()
        self.is_aborted = False
        self.ended_writing = False
        self._protocol: asyncio.BaseProtocol | None = None
        self._closing = False
        self._reading = True
        self._told = False
        self._stuck = False

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol at work."""
        return self._protocol  # type: ignore[return-value]

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand the connection to another protocol."""
        self._protocol = protocol

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send ``data``; nothing arrives after the end."""
        if self.ended_writing:
            raise RuntimeError("cannot write after write_eof()")
        if not self._told:
            self.written += data

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Send all of ``list_of_data``."""
        self.write(b"".join(list_of_data))

    def write_eof(self) -> None:
        """End our side."""
        self.ended_writing = True

    def can_write_eof(self) -> bool:
        """One side can end alone."""
        return True

    def close(self) -> None:
        """Close; the protocol is told in the same call, as there is nothing to wait for."""
        self._closing = True
        self.lose(None)

    def abort(self) -> None:
        """Close at once; what its peer did not take is lost."""
        self.is_aborted = True
        self.written.clear()
        self.close()

    def is_closing(self) -> bool:
        """Say whether it is closed."""
        return self._closing

    def pause_reading(self) -> None:
        """Take no more from the peer for now."""
        self._reading = False

    def resume_reading(self) -> None:
        """Take from the peer again."""
        self._reading = True

    def is_reading(self) -> bool:
        """Say whether it takes from the peer."""
        return self._reading

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Accept any marks: memory has room until `MemoryPeer.stop_reading`."""

    def get_write_buffer_size(self) -> int:
        """Return how many bytes the peer did not take yet, if it stopped to."""
        return len(self.written) if self._stuck else 0

    def lose(self, error: Exception | None) -> None:
        """Tell the protocol that the connection ended; once."""
        self._closing = True
        if not self._told and self._protocol is not None:
            self._told = True
            self._protocol.connection_lost(error)

    def stick(self, stuck: bool) -> None:
        """Let the peer stop reading, or read again."""
        if stuck != self._stuck and self._protocol is not None and not self._told:
            self._stuck = stuck
            if stuck:
                self._protocol.pause_writing()
            else:
                self._protocol.resume_writing()


class MemoryPeer:
    """The client's side of a connection in memory.

    Attributes:
        protocol: the server's protocol.
        transport: the server's transport.
    """

    def __init__(self, protocol: asyncio.BaseProtocol, transport: MemoryTransport) -> None:
        self.protocol = protocol
        self.transport = transport
        self._unread = bytearray()

    def send(self, data: bytes) -> None:
        """Let ``data`` arrive at the server; while it reads not, it waits here."""
        if self.is_closed:
            raise ConnectionResetError("the server has closed the connection")
        self._unread += data
        self.flush()

    def flush(self) -> None:
        """Let what waits arrive, if the server reads again."""
        while self._unread and self.transport.is_reading() and not self.is_closed:
            data = bytes(self._unread)
            self._unread.clear()
            protocol = self.transport.get_protocol()
            if isinstance(protocol, asyncio.BufferedProtocol):
                _lend(protocol, data)
            else:
                protocol.data_received(data)  # type: ignore[attr-defined]

    def receive(self) -> bytes:
        """Take what the server has written since the last time."""
        data = bytes(self.transport.written)
        self.transport.written.clear()
        return data

    def end(self) -> None:
        """End our side; a server that does not want to go on alone closes."""
        if not self.transport.get_protocol().eof_received():  # type: ignore[attr-defined]
            self.transport.close()

    def close(self, error: Exception | None = None) -> None:
        """Vanish; ``error`` is what the server's ``connection_lost`` is told."""
        self.transport.lose(error)

    def stop_reading(self) -> None:
        """Read no more: the server's protocol is told to pause."""
        self.transport.stick(True)

    def read_again(self) -> None:
        """Read again: the server's protocol is told to go on."""
        self.transport.stick(False)

    @property
    def is_closed(self) -> bool:
        """Whether the server closed."""
        return self.transport.is_closing()


def connect(
    server: Any, *, peername: Any = ("127.0.0.1", 50000), sockname: Any = ("127.0.0.1", 8123)
) -> MemoryPeer:
    """Connect to a factory, or whatever a listen statement takes, in memory.

    Args:
        server: a `Factory`, a protocol class, a callable that returns a protocol, or a coroutine
            function ``(reader, writer)`` (the coroutine styles need a running loop).
        peername: the address we come from.
        sockname: the address we come to.

    Raises:
        ConnectionRefusedError: if ``build_protocol`` returned None.
    """
    factory: Factory = as_factory(server)
    protocol = factory.build_protocol(peername)
    if protocol is None:
        raise ConnectionRefusedError("build_protocol() returned None")
    transport = MemoryTransport(peername, sockname)
    transport.set_protocol(protocol)
    begin_connection(protocol, transport)
    return MemoryPeer(protocol, transport)


class MemoryDatagrams(asyncio.DatagramTransport):
    """A UDP port in memory: ``send`` a datagram to it, find its answers in ``sent``.

    Attributes:
        sent: (datagram, address) of everything the server sent.
    """

    def __init__(self, sockname: Any) -> None:
        super().__init__({"sockname": sockname, "socket": None})
        self.sent: list[tuple[bytes, Any]] = []
        self._protocol: asyncio.DatagramProtocol | None = None
        self._closing = False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand the port to another protocol."""
        self._protocol = protocol  # type: ignore[assignment]

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol at work."""
        return self._protocol  # type: ignore[return-value]

    def send(self, data: bytes, address: Any = ("127.0.0.1", 50000)) -> None:
        """Let a datagram arrive."""
        if self._protocol is not None and not self._closing:
            self._protocol.datagram_received(data, address)

    def sendto(self, data: bytes | bytearray | memoryview, addr: Any = None) -> None:
        """Send one datagram: the server's side."""
        self.sent.append((bytes(data), addr))

    def close(self) -> None:
        """Close the port."""
        if not self._closing:
            self._closing = True
            if self._protocol is not None:
                self._protocol.connection_lost(None)

    def abort(self) -> None:
        """Close the port."""
        self.close()

    def is_closing(self) -> bool:
        """Say whether it is closed."""
        return self._closing


def open_datagrams(server: Any, *, sockname: Any = ("127.0.0.1", 8123)) -> MemoryDatagrams:
    """Open a UDP port in memory for whatever ``listenUDP`` takes."""
    factory: Factory = as_factory(server, datagram=True)
    protocol = factory.build_datagram_protocol()
    transport = MemoryDatagrams(sockname)
    transport.set_protocol(protocol)
    if isinstance(protocol, DatagramProtocol):
        protocol.transport = transport
    begin_connection(protocol, transport)
    return transport


def _lend(protocol: asyncio.BufferedProtocol, data: bytes) -> None:
    while data:
        buffer = memoryview(protocol.get_buffer(len(data)))
        count = min(len(buffer), len(data))
        buffer[:count] = data[:count]
        protocol.buffer_updated(count)
        data = data[count:]
