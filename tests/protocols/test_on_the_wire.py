"""The small services and the framing helpers on real sockets, once each."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from playground import PATIENCE_S
from taphouse import Application
from taphouse.protocols import (
    Chargen,
    ChargenUDP,
    Daytime,
    DaytimeUDP,
    Discard,
    DiscardUDP,
    Echo,
    EchoUDP,
    LineProtocol,
    Quotes,
    Time,
    TimeUDP,
)

pytestmark = pytest.mark.process


def with_server(
    declare: Callable[[Application], object], talk: Callable[[int], Awaitable[None]], kind: str = "tcp"
) -> None:
    """Run an application that remembers nothing, and talk to its only port."""

    async def session() -> None:
        app = Application("wire")
        declare(app)
        async with app.running(save=False) as server, asyncio.timeout(4 * PATIENCE_S):
            ((_, port, *_), *_) = server.addresses[f"{kind}:127.0.0.1:0"]
            await talk(port)

    asyncio.run(session())


async def ask_tcp(port: int, request: bytes = b"") -> bytes:
    """Send a request and the end of the stream, and return all that comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


async def ask_udp(port: int, *requests: bytes) -> bytes:
    """Send datagrams until one is answered, and return the answer."""

    class Client(asyncio.DatagramProtocol):
        def __init__(self) -> None:
            self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def datagram_received(self, data: bytes, addr: Any) -> None:
            if not self.answer.done():
                self.answer.set_result(data)

    transport, client = await asyncio.get_running_loop().create_datagram_endpoint(
        Client, remote_addr=("127.0.0.1", port)
    )
    try:
        for request in requests:
            transport.sendto(request)
        return await client.answer
    finally:
        transport.close()


@pytest.mark.parametrize(
    ("serving", "request_bytes", "check"),
    [
        (Echo, b"echo " * 50_000, lambda answer: answer == b"echo " * 50_000),
        (Discard, b"x" * 100_000, lambda answer: answer == b""),
        (Daytime, b"", lambda answer: answer.endswith(b"\r\n") and answer.count(b":") == 2),
        (Time, b"", lambda answer: struct.unpack("!I", answer)[0] > 0),
        (lambda: Quotes(["a quote"]), b"", lambda answer: answer == b"a quote\r\n"),
    ],
    ids=["echo", "discard", "daytime", "time", "quotes"],
)
def test_a_service_answers_over_tcp(
    serving: Any, request_bytes: bytes, check: Callable[[bytes], bool]
) -> None:
    """And closes when its RFC says so, or when the client has."""

    async def talk(port: int) -> None:
        answer = await ask_tcp(port, request_bytes)
        assert check(answer), answer[:100]

    factory = serving if isinstance(serving, type) else serving()
    with_server(lambda app: app.listenTCP(0, factory, interface="127.0.0.1"), talk)


@pytest.mark.parametrize(
    ("serving", "check"),
    [
        (EchoUDP, lambda answer: answer == b"ping"),
        (DaytimeUDP, lambda answer: answer.endswith(b"\r\n")),
        (TimeUDP, lambda answer: len(answer) == 4),
        (ChargenUDP, lambda answer: len(answer) <= 512),
        (lambda: Quotes(["a quote"]), lambda answer: answer == b"a quote\r\n"),
    ],
    ids=["echo", "daytime", "time", "chargen", "quotes"],
)
def test_a_service_answers_over_udp(serving: Any, check: Callable[[bytes], bool]) -> None:
    """One datagram for one."""

    async def talk(port: int) -> None:
        answer = await ask_udp(port, b"ping")
        assert check(answer), answer

    factory = serving if isinstance(serving, type) else serving()
    with_server(lambda app: app.listenUDP(0, factory, interface="127.0.0.1"), talk, "udp")


def test_discard_takes_datagrams_in_silence() -> None:
    """A port beside it answers later datagrams, so its silence is no slowness."""
    got: list[bytes] = []

    class Watched(DiscardUDP):
        def datagram_received(self, data: bytes, addr: Any) -> None:
            super().datagram_received(data, addr)
            got.append(data)
            if data == b"last":
                self.transport.sendto(b"seen", addr)

    async def talk(port: int) -> None:
        assert await ask_udp(port, b"one", b"last") == b"seen"
        assert got == [b"one", b"last"]

    with_server(lambda app: app.listenUDP(0, Watched, interface="127.0.0.1"), talk, "udp")


def test_chargen_fills_no_memory_for_a_client_that_does_not_read() -> None:
    """What waits for it stays near the transport's high-water mark, and others are served meanwhile."""
    made: list[Chargen] = []

    class Watched(Chargen):
        def __init__(self) -> None:
            made.append(self)

    async def talk(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while not made or made[0]._next is not None or made[0].transport.get_write_buffer_size() == 0:
            await asyncio.sleep(0)
        assert made[0].transport.get_write_buffer_size() < 200_000
        other, its_writer = await asyncio.open_connection("127.0.0.1", port)
        assert (await other.readline()).startswith(b" !\"#$%&'()*+,-./0123")
        taken = 0
        while taken < 5_000_000:
            taken += len(await reader.read(1 << 16))
        writer.close()
        its_writer.close()

    with_server(lambda app: app.listenTCP(0, Watched, interface="127.0.0.1"), talk)


def test_requests_of_a_client_that_does_not_read_are_not_taken_on() -> None:
    """It pipelines 2,000 requests for 64 KiB each; few are worked on until it reads, then all."""
    answered = 0

    class Generous(LineProtocol):
        def line_received(self, line: bytes) -> None:
            nonlocal answered
            answered += 1
            self.transport.write(line.rjust(65_536))

    async def talk(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        requests = [b"%d" % number for number in range(2_000)]
        writer.write(b"\n".join(requests) + b"\n")
        before = -1
        while answered == 0 or answered != before:
            before = answered
            await ask_nothing()
        assert answered < 500
        for request in requests:
            assert (await reader.readexactly(65_536)).strip() == request
        writer.close()

    async def ask_nothing() -> None:
        for _ in range(50):
            await asyncio.sleep(0)

    with_server(lambda app: app.listenTCP(0, Generous, interface="127.0.0.1"), talk)
