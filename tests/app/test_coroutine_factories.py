"""Coroutines serve connections: one task each, closed at its end, bugs reported, vanished peers not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from playground import PATIENCE_S
from taphouse.app import Factory, StreamProtocol, as_factory, begin_connection, has_serve

PEER = ("127.0.0.1", 40000)


class Transport(asyncio.Transport):
    """Remembers what was written and whether it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.closed = asyncio.Event()

    def write(self, data: Any) -> None:
        self.sent += bytes(data)

    def close(self) -> None:
        self.closed.set()

    def is_closing(self) -> bool:
        return self.closed.is_set()


async def talk(factory: Factory, data: bytes) -> tuple[Transport, Any]:
    """Connect to a coroutine factory, send ``data`` and the end, and wait for its close."""
    protocol = factory.build_protocol(PEER)
    assert isinstance(protocol, StreamProtocol)
    transport = Transport()
    begin_connection(protocol, transport)
    protocol.data_received(data)
    protocol.eof_received()
    await asyncio.wait_for(transport.closed.wait(), PATIENCE_S)
    return transport, protocol


class Shout(Factory):
    """Answers a line in capitals; knows some bad words."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        if line == b"bug\n":
            raise ZeroDivisionError("in a handler")
        if line == b"gone\n":
            raise ConnectionResetError
        if line == b"short\n":
            await reader.readexactly(10)
        writer.write(line.upper())


def test_a_coroutine_serves_a_connection_which_closes_when_it_returns() -> None:
    """``async def serve(self, reader, writer)`` is all that is needed."""

    async def session() -> None:
        factory = Shout()
        transport, protocol = await talk(factory, b"hello\n")
        assert transport.sent == b"HELLO\n"
        assert protocol.factory is factory
        assert protocol.task.done()

    asyncio.run(session())


def test_a_coroutine_function_can_be_listened_with_directly() -> None:
    """``listenTCP(port, handler)`` with asyncio's own signature."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read())[::-1])

    async def session() -> None:
        transport, _ = await talk(as_factory(handler), b"abc")
        assert transport.sent == b"cba"

    asyncio.run(session())


@pytest.mark.parametrize(("line", "reported"), [(b"bug\n", True), (b"gone\n", False), (b"short\n", False)])
def test_a_bug_in_a_coroutine_is_reported_and_a_vanished_peer_is_not(line: bytes, reported: bool) -> None:
    """Either way its connection is closed."""
    reports: list[dict[str, Any]] = []

    async def session() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
        await talk(Shout(), line)
        await asyncio.sleep(0)

    asyncio.run(session())
    assert [report["message"] for report in reports] == (
        ["Shout.serve failed; its connection is closed"] if reported else []
    )
    assert all(isinstance(report["exception"], ZeroDivisionError) for report in reports)


def test_a_serve_that_is_no_coroutine_is_refused() -> None:
    """Forgetting ``async`` would serve nobody, so the class statement fails; inherited ones count."""
    with pytest.raises(TypeError, match="Forgetful.serve is not a coroutine function; write async def serve"):

        class Forgetful(Factory):
            def serve(self, reader: Any, writer: Any) -> None: ...

    class Mixin:
        async def serve(self, reader: Any, writer: Any) -> None: ...

    class Mixed(Mixin, Factory):
        pass

    assert has_serve(Mixed())
    assert not has_serve(Factory())
