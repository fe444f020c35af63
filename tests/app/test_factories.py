"""Factories make protocols in three ways, count their users, and remember."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from taphouse.app import (
    CallableFactory,
    DatagramFactory,
    DatagramProtocol,
    Factory,
    LifecycleError,
    Protocol,
    begin_connection,
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
    factory.nextkey = 0
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
    with pytest.raises(ConfigurationError, match=r"Factory has no protocol; set .protocol, or def"):
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
        DatagramFactory().datagram_received(b"", PEER)


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

        async def stopped(self) -> None:
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

        async def started(self) -> None:
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
