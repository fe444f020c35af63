"""Factories make protocols in three ways, count their users, and remember."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from taphouse.app import (
    CallableFactory,
    ClientFactory,
    DatagramFactory,
    DatagramProtocol,
    Factory,
    LifecycleError,
    Protocol,
    Service,
    StreamProtocol,
    as_factory,
    begin_connection,
    config_attributes,
    has_serve,
    start_factory,
    stop_factory,
)
from taphouse.errors import ConfigurationError

PEER = ("127.0.0.1", 40000)


class Line(Protocol):
    pass


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


def test_the_classic_spelling_still_works() -> None:
    """``f = Factory(); f.protocol = OneTimeKey; f.nextkey = 0``."""
    factory = Factory()
    factory.protocol = Line
    factory.nextkey = 0  # type: ignore[attr-defined]
    one, two = factory.build_protocol(PEER), factory.build_protocol(PEER)
    assert isinstance(one, Line)
    assert one is not two
    assert one.factory is factory


def test_a_factory_may_choose_by_peer_or_hang_up() -> None:
    """build_protocol(addr) returns a protocol or None."""

    class Choosy(Factory):
        def build_protocol(self, addr: Any) -> asyncio.BaseProtocol | None:
            return Line() if addr[0] == "127.0.0.1" else None

    assert isinstance(Choosy().build_protocol(PEER), Line)
    assert Choosy().build_protocol(("10.0.0.1", 1)) is None


def test_a_factory_without_a_protocol_says_what_to_write() -> None:
    """One line with the three ways."""
    with pytest.raises(
        ConfigurationError, match=r"Factory has no protocol; set .protocol, or define build_prot"
    ):
        Factory().build_protocol(PEER)


def test_streams_and_datagrams_can_come_from_one_factory() -> None:
    """datagram_protocol serves UDP listeners; without one, protocol does."""

    class Packets(DatagramProtocol):
        pass

    class Both(Factory):
        protocol = Line
        datagram_protocol = Packets

    class OnlyPackets(Factory):
        protocol = Packets

    both = Both()
    assert isinstance(both.build_protocol(PEER), Line)
    assert isinstance(both.build_datagram_protocol(), Packets)
    assert isinstance(OnlyPackets().build_datagram_protocol(), Packets)


def test_a_datagram_server_fits_in_one_class() -> None:
    """What datagram_received of the factory returns goes back to the sender; None is no answer."""

    class Counter(DatagramFactory):
        def __init__(self) -> None:
            self.count = 0

        def datagram_received(self, data: bytes, addr: Any) -> bytes | None:
            self.count += len(data)
            return b"%d" % self.count if data else None

    class Port(asyncio.DatagramTransport):
        sent: list[Any]

        def sendto(self, data: Any, addr: Any = None) -> None:
            self.sent.append((data, addr))

    port = Port()
    port.sent = []
    factory = Counter()
    protocol = factory.build_datagram_protocol()
    assert isinstance(protocol, DatagramProtocol)
    begin_connection(protocol, port)
    protocol.datagram_received(b"abc", PEER)
    protocol.datagram_received(b"", PEER)
    protocol.datagram_received(b"de", PEER)
    assert port.sent == [(b"3", PEER), (b"5", PEER)]
    with pytest.raises(NotImplementedError, match="DatagramFactory defines no datagram_received"):
        DatagramFactory().build_datagram_protocol().datagram_received(b"", PEER)  # type: ignore[attr-defined]


async def talk(factory: Factory, data: bytes) -> tuple[Transport, Any]:
    """Connect to a coroutine factory, send ``data`` and the end, and wait for its close."""
    protocol = factory.build_protocol(PEER)
    assert isinstance(protocol, StreamProtocol)
    transport = Transport()
    begin_connection(protocol, transport)
    protocol.data_received(data)
    protocol.eof_received()
    await asyncio.wait_for(transport.closed.wait(), 5)
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
    """Forgetting ``async`` would serve nobody."""

    class Forgetful(Factory):
        def serve(self, reader: Any, writer: Any) -> None: ...

    with pytest.raises(
        ConfigurationError, match="Forgetful.serve is not a coroutine function; write async def"
    ):
        has_serve(Forgetful())


def drive(coroutine: Any) -> Any:
    """Run a coroutine that never waits, without a loop."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waited")


def test_a_factory_is_started_by_its_first_listener_and_stopped_by_its_last() -> None:
    """Shared by several, it is started once a start and stopped once a stop."""

    class Noted(Factory):
        def __init__(self) -> None:
            self.notes: list[str] = []

        def started(self) -> None:
            self.notes.append("started")

        async def stopped(self) -> None:  # type: ignore[override]
            self.notes.append("stopped")

    factory = Noted()
    assert [drive(start_factory(factory)) for _ in range(3)] == [True, False, False]
    assert [drive(stop_factory(factory)) for _ in range(3)] == [False, False, True]
    assert factory.notes == ["started", "stopped"]
    with pytest.raises(LifecycleError, match="Noted is stopped more often than started"):
        drive(stop_factory(factory))


def test_a_factory_that_fails_to_start_can_be_started_again() -> None:
    """A failure is not counted."""

    class Failing(Factory):
        def __init__(self) -> None:
            self.failures_left = 1

        async def started(self) -> None:  # type: ignore[override]
            if self.failures_left:
                self.failures_left -= 1
                raise OSError("not yet")

    factory = Failing()
    with pytest.raises(OSError, match="not yet"):
        drive(start_factory(factory))
    assert drive(start_factory(factory)) is True
    assert drive(stop_factory(factory)) is True


def test_connections_belong_to_one_factory_and_are_no_state() -> None:
    """A live set of its own for each factory, under a volatile name."""
    one, two = Factory(), Factory()
    one.connections.add(Line())
    assert len(one.connections) == 1
    assert two.connections == set()
    assert not any("connections" in name for name in vars(one) if not name.startswith("_v_"))


@pytest.mark.parametrize(
    ("base", "old", "new"),
    [
        (Protocol, "dataReceived", "data_received(self, data)"),
        (Protocol, "connectionMade", "connection_made(self, transport)"),
        (Protocol, "connectionLost", "connection_lost(self, exc)"),
        (Protocol, "lineReceived", "LineProtocol"),
        (DatagramProtocol, "datagramReceived", "datagram_received(self, data, addr)"),
        (DatagramProtocol, "startProtocol", "connection_made(self, transport)"),
        (Factory, "buildProtocol", "build_protocol(self, addr)"),
        (Factory, "startFactory", "started(self)"),
        (Factory, "stopFactory", "stopped(self)"),
        (ClientFactory, "clientConnectionLost", "connect_lost(self, connector, error)"),
        (Service, "startService", "start(self)"),
        (Service, "stopService", "stop(self)"),
    ],
)
def test_a_classic_spelling_is_refused_with_the_new_one(base: type, old: str, new: str) -> None:
    """When the class is created: a method nobody calls is the quietest of bugs."""
    with pytest.raises(TypeError) as refused:
        type("Mine", (base,), {old: lambda self: None, "__module__": __name__})
    assert f"Mine.{old} is never called; write " in str(refused.value)
    assert new in str(refused.value)


def test_a_protocol_has_its_transport_before_its_first_callback() -> None:
    """Also when its connection_made does not call the base class, and a foreign one is left alone."""
    seen: list[Any] = []

    class Mine(Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            seen.append(self.transport)

    class Foreign(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            seen.append(transport)

    transport = Transport()
    begin_connection(Mine(), transport)
    foreign = Foreign()
    begin_connection(foreign, transport)
    assert seen == [transport, transport]
    assert not hasattr(foreign, "transport")
    plain = Protocol()
    plain.connection_made(transport)
    assert plain.transport is transport


def test_a_class_says_which_attributes_are_configuration() -> None:
    """``config=`` in the class statement; subclasses add to it."""

    class Quotes(Factory, config=("quotes",)):
        pass

    class Loud(Quotes, config=["volume"]):
        pass

    assert config_attributes(Quotes) == {"quotes"}
    assert config_attributes(Loud) == {"quotes", "volume"}
    assert config_attributes(Factory) == frozenset()


@pytest.mark.parametrize("config", ["quotes", ("a b",), (1,)])
def test_a_config_declaration_that_names_no_attributes_is_refused(config: Any) -> None:
    """A bare string would declare its letters."""
    with pytest.raises(TypeError, match="config takes attribute names"):

        class Wrong(Factory, config=config):
            pass


def test_what_cannot_be_found_again_is_kept_aside() -> None:
    """A lambda runs; a class of a module is state."""
    savable = CallableFactory(Line)
    aside = CallableFactory(lambda: Line())
    assert savable.is_savable
    assert vars(savable)["make"] is Line
    assert not aside.is_savable
    assert isinstance(aside.build_datagram_protocol(), Line)
    assert all(name.startswith("_v_") for name in vars(aside))


def test_a_lambda_of_another_process_is_missed_with_a_cure() -> None:
    """What a thawed factory without its callable says."""
    thawed = CallableFactory(lambda: Line())
    del thawed._v_make
    with pytest.raises(ConfigurationError, match="no tap can hold; start its script again"):
        thawed.build_protocol(PEER)
