"""Both ends of a forwarder in this process: targets that do as told, clients that look."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from makers.making import port_of
from playground import PATIENCE_S
from runtime.certificates import CERTIFICATE, KEY
from taphouse import Application
from taphouse.makers import portforward
from taphouse.makers.forwarding import Forwarder
from taphouse.runtime import make_loop

_RESET = struct.pack("ii", 1, 0)


def run_on(kind: str, main: Any) -> Any:
    """Run ``main`` on one of our loops, some minutes at most."""

    async def bounded() -> Any:
        async with asyncio.timeout(4 * PATIENCE_S):
            return await main

    with asyncio.Runner(loop_factory=lambda: make_loop(kind)) as runner:
        return runner.run(bounded())


def hear(sock: socket.socket, count: int) -> bytes:
    """Return so many bytes of a socket with a timeout, which takes no ``MSG_WAITALL``."""
    heard = b""
    while len(heard) < count:
        more = sock.recv(count - len(heard))
        assert more, f"it ended after {heard!r}"
        heard += more
    return heard


async def until(condition: Callable[[], object]) -> None:
    """Wait until something is so; who runs the loop has patience enough for all."""
    while not condition():
        await asyncio.sleep(0.002)


class Peer:
    """One end of a connection, as a stream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def hear(self, count: int) -> bytes:
        return await self.reader.readexactly(count)

    async def hear_all(self) -> bytes:
        return await self.reader.read()

    def finish(self) -> None:
        """Send no more."""
        self.writer.write_eof()

    def reset(self) -> None:
        """Break off, so that the other end sees a reset."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.writer.transport.abort()

    def close(self) -> None:
        self.writer.close()


class Target:
    """A server that hands out its connections."""

    def __init__(self) -> None:
        self.came: asyncio.Queue[Peer] = asyncio.Queue()
        self.port = 0
        self._peers: list[Peer] = []

    # No coroutine: between a connection and its task a test might end, and nobody would close it.
    def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        self._peers.append(peer)
        self.came.put_nowait(peer)

    async def peer(self) -> Peer:
        return await self.came.get()

    def close(self) -> None:
        """Close the connections that were not closed by whom they were given to."""
        for peer in self._peers:
            peer.close()


@asynccontextmanager
async def target(path: str | None = None, tls: ssl.SSLContext | None = None) -> AsyncIterator[Target]:
    """Listen at a path, or a port of 127.0.0.1."""
    made = Target()
    if path is not None:
        server = await asyncio.start_unix_server(made.take, path, ssl=tls)
    else:
        server = await asyncio.start_server(made.take, "127.0.0.1", 0, ssl=tls)
        made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        made.close()


class Forward:
    """A running forwarder."""

    def __init__(self, app: Application, server: Any, forwarder: Forwarder) -> None:
        self.app = app
        self.forwarder = forwarder
        self.port = port_of(server, "t")

    async def client(self, tls: ssl.SSLContext | None = None) -> Peer:
        """Connect to it."""
        name = "localhost" if tls is not None else None
        return Peer(*await asyncio.open_connection("127.0.0.1", self.port, ssl=tls, server_hostname=name))

    async def wait_idle(self) -> None:
        """Return when nobody is forwarded any more."""
        traffic = self.forwarder._v_traffic
        assert traffic is not None
        await until(lambda: not traffic._live)


def declare(to: str | int, **options: Any) -> Application:
    """Return an application with one forwarder, on a port of the system's choice.

    Its targets have a minute: here they are late only where the whole machine is.
    """
    app = Application("forward")
    address = f"127.0.0.1:{to}" if isinstance(to, int) else to
    chosen = {"port": 0, "to": address, "connect_timeout": 60.0, **options}
    portforward.updateApplication(app, portforward.Options(**chosen))
    return app


@asynccontextmanager
async def forwarding(
    to: str | int, *, running: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[Forward]:
    """Run a forwarder to an address, or to a port of 127.0.0.1."""
    app = declare(to, **options)
    async with app.running(**(running or {"save": False})) as server:
        (listener,) = app.listeners
        assert isinstance(listener.factory, Forwarder)
        yield Forward(app, server, listener.factory)


class Certificates:
    """A certificate for localhost with its key, as files and as contexts."""

    def __init__(self, folder: Path) -> None:
        self.certfile = folder / "cert.pem"
        self.keyfile = folder / "key.pem"
        self.certfile.write_text(CERTIFICATE)
        self.keyfile.write_text(KEY)

    def of_server(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certfile, self.keyfile)
        return context

    def of_client(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.certfile))
