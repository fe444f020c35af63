"""Each way out that docs/durability.md names is held by the gate, or is not, as the page says."""

from __future__ import annotations

import asyncio
import io
import os
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from gatebench import GateBench

pytestmark = pytest.mark.process

Receive = Callable[[], bytes]
Say = Callable[[], Awaitable[None]]

WORD = b"word"


class Place:
    """A folder, and sockets that are closed in the end."""

    def __init__(self, folder: Path, closing: ExitStack) -> None:
        self.folder = folder
        self._closing = closing

    def keep(self, sock: socket.socket) -> socket.socket:
        return self._closing.enter_context(sock)

    def socket(self, family: int = socket.AF_UNIX, kind: int = socket.SOCK_STREAM) -> socket.socket:
        return self.keep(socket.socket(family, kind))

    def pair(self) -> tuple[socket.socket, socket.socket]:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        return self.keep(ours), self.keep(theirs)

    async def accepted(self) -> tuple[Any, Receive]:
        ours, theirs = self.pair()
        transport, _ = await asyncio.get_running_loop().connect_accepted_socket(asyncio.Protocol, ours)
        return transport, quiet(theirs)


Way = Callable[[Place], Awaitable[tuple[Say, Receive]]]
"""Opens a way out while the gate is open: returns what says a word through it, and what has arrived."""


def quiet(peer: socket.socket) -> Receive:
    peer.setblocking(False)

    def receive() -> bytes:
        with suppress(BlockingIOError):
            return peer.recv(100)
        return b""

    return receive


async def write(place: Place) -> tuple[Say, Receive]:
    transport, receive = await place.accepted()

    async def say() -> None:
        transport.write(WORD)

    return say, receive


async def sendfile(place: Place) -> tuple[Say, Receive]:
    transport, receive = await place.accepted()
    loop = asyncio.get_running_loop()

    async def say() -> None:
        await loop.sendfile(transport, io.BytesIO(WORD))

    return say, receive


async def unix_server(place: Place) -> tuple[Say, Receive]:
    made: list[Any] = []

    class Made(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            made.append(transport)

    server = await asyncio.get_running_loop().create_unix_server(Made, str(place.folder / "s"))
    peer = place.socket()
    peer.connect(str(place.folder / "s"))
    while not made:
        await asyncio.sleep(0)

    async def say() -> None:
        made[0].write(WORD)
        server.close()

    return say, quiet(peer)


async def unix_client(place: Place) -> tuple[Say, Receive]:
    listening = place.socket()
    listening.bind(str(place.folder / "s"))
    listening.listen()
    _, writer = await asyncio.open_unix_connection(str(place.folder / "s"))

    async def say() -> None:
        writer.write(WORD)

    peer = place.keep(listening.accept()[0])
    return say, quiet(peer)


async def sock_sendall(place: Place) -> tuple[Say, Receive]:
    ours, theirs = place.pair()
    return lambda: asyncio.get_running_loop().sock_sendall(ours, WORD), quiet(theirs)


async def sock_sendto(place: Place) -> tuple[Say, Receive]:
    ours, theirs = (place.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    ours.setblocking(False)
    theirs.bind(("127.0.0.1", 0))

    async def say() -> None:
        await asyncio.get_running_loop().sock_sendto(ours, WORD, theirs.getsockname())

    return say, quiet(theirs)


async def sock_sendfile(place: Place) -> tuple[Say, Receive]:
    ours, theirs = place.pair()
    (place.folder / "file").write_bytes(WORD)

    async def say() -> None:
        with (place.folder / "file").open("rb") as file:
            await asyncio.get_running_loop().sock_sendfile(ours, file)

    return say, quiet(theirs)


async def descriptor(place: Place) -> tuple[Say, Receive]:
    ours, theirs = place.pair()

    async def say() -> None:
        os.write(ours.fileno(), WORD)

    return say, quiet(theirs)


async def add_writer(place: Place) -> tuple[Say, Receive]:
    ours, theirs = place.pair()
    loop = asyncio.get_running_loop()

    def ready() -> None:
        loop.remove_writer(ours)
        ours.send(WORD)

    async def say() -> None:
        loop.add_writer(ours, ready)

    return say, quiet(theirs)


async def thread(place: Place) -> tuple[Say, Receive]:
    ours, theirs = place.pair()

    async def say() -> None:
        await asyncio.to_thread(ours.sendall, WORD)

    return say, quiet(theirs)


async def subprocess(place: Place) -> tuple[Say, Receive]:
    copy = "import os, sys; open('part', 'wb').write(sys.stdin.buffer.read()); os.rename('part', 'got')"
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", copy, stdin=asyncio.subprocess.PIPE, cwd=place.folder
    )

    async def say() -> None:
        assert child.stdin is not None
        child.stdin.write(WORD)
        child.stdin.write_eof()
        await child.wait()

    def receive() -> bytes:
        with suppress(FileNotFoundError):
            data = (place.folder / "got").read_bytes()
            (place.folder / "got").unlink()
            return data
        return b""

    return say, receive


async def said_through(way: Way, folder: Path) -> tuple[bytes, bytes]:
    """Return what has arrived before the commit landed, and in all."""
    loop: Any = asyncio.get_running_loop()
    bench = GateBench()
    loop.use_gate(bench.epochs)
    with ExitStack() as closing:
        return await said_and_landed(loop, bench, way, Place(folder, closing))


async def said_and_landed(loop: Any, bench: GateBench, way: Way, place: Place) -> tuple[bytes, bytes]:
    say, receive = await way(place)
    bench.counter.n = 1
    saying = asyncio.ensure_future(say())
    while not bench.landings:
        await asyncio.sleep(0)
    if way in HELD:
        for _ in range(50):
            await asyncio.sleep(0)
        before = receive()
    else:
        while not (before := receive()):
            await asyncio.sleep(0)
    data = before
    while data != WORD or not saying.done():
        if saying.done():
            saying.result()
        if bench.landings:
            bench.land()
        await asyncio.sleep(0)
        data += receive()
    await saying
    for connection in list(loop.guests.live):
        connection.abort()
    while loop.guests.live:
        await asyncio.sleep(0)
    return before, data


HELD: list[Way] = [write, sendfile, unix_server, unix_client, sock_sendall, sock_sendto, sock_sendfile]
NOT_HELD: list[Way] = [descriptor, add_writer, thread, subprocess]


@pytest.mark.parametrize("way", HELD, ids=lambda way: way.__name__)
def test_what_is_said_in_this_way_waits_for_the_commit(run, way, tmp_path):
    with suppress(NotImplementedError):  # uvloop has no sock_sendto and no sock_sendfile at all
        assert run(said_through(way, tmp_path)) == (b"", WORD)


@pytest.mark.parametrize("way", NOT_HELD, ids=lambda way: way.__name__)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_what_is_said_in_this_way_does_not_wait(run, way, tmp_path):
    assert run(said_through(way, tmp_path)) == (WORD, WORD)


def test_an_endpoint_that_has_dropped_datagrams_closes_all_the_same(run):
    async def main():
        loop: Any = asyncio.get_running_loop()
        bench = GateBench()
        loop.use_gate(bench.epochs)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind(("127.0.0.1", 0))
            endpoint, _ = await loop.create_datagram_endpoint(
                asyncio.DatagramProtocol, remote_addr=peer.getsockname()
            )
            bench.counter.n = 1
            with pytest.raises(TypeError):
                endpoint.sendto(17)  # type: ignore[arg-type]
            for _ in range(10_001):
                endpoint.sendto(WORD)
            endpoint.close()
            while not bench.landings:
                await asyncio.sleep(0)
            bench.land()
            while not endpoint.raw.is_closing():
                await asyncio.sleep(0)
            await asyncio.sleep(0)

    run(main())
