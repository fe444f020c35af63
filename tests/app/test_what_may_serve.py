"""A listen statement takes a factory, a protocol class or a callable; what only looks like one is refused."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from taphouse.app import Application, CallableFactory, DatagramFactory, DatagramProtocol, Factory, Protocol


class Line(Protocol):
    """A protocol at the top of a module, as savable ones are."""


class Packets(DatagramProtocol):
    """A datagram protocol."""


class Keys(Factory):
    protocol = Line

    def __init__(self) -> None:
        self.nextkey = 0


@pytest.fixture
def app() -> Application:
    return Application("otk")


def test_a_factory_class_in_place_of_a_factory_is_an_error_that_says_the_cure(app: Application) -> None:
    """The commonest slip of all."""
    with pytest.raises(TypeError, match=r"Keys is a class; pass an instance, Keys\(\)"):
        app.listenTCP(8123, Keys)
    with pytest.raises(TypeError, match=r"Keys\(\)"):
        app.connectTCP("localhost", 8123, Keys)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (Line(), "a Line serves one connection; pass the class, Line"),
        (8123, "need a Factory, a protocol class or a callable, got int"),
        (dict, "dict is neither a Factory nor an asyncio protocol class"),
        (Packets, "Packets serves datagrams; use listenUDP"),
    ],
)
def test_what_is_no_factory_is_refused(app: Application, given: Any, reason: str) -> None:
    """With the mistake named."""
    with pytest.raises(TypeError, match=reason):
        app.listenTCP(8123, given)


def test_streams_and_datagrams_are_not_mixed_up(app: Application) -> None:
    """A stream protocol on UDP and the reverse fail at the statement, not at the first packet."""
    with pytest.raises(TypeError, match="Line serves connections; UDP needs a DatagramProtocol"):
        app.listenUDP(53, Line)
    with pytest.raises(TypeError, match="Line serves connections"):
        app.listenUDP(53, Keys())
    app.listenUDP(53, DatagramFactory())
    factory = Factory()
    factory.protocol = Packets
    with pytest.raises(TypeError, match="Packets serves datagrams"):
        app.listenTCP(53, factory)


def test_any_asyncio_protocol_class_or_callable_will_do(app: Application) -> None:
    """It is wrapped in a factory without state."""

    class Plain(asyncio.Protocol):
        pass

    class Duck:
        def connection_made(self, transport: object) -> None: ...

    for number, given in enumerate((Plain, Duck, lambda: Plain(), Line), 1):
        listener = app.listenTCP(number, given)
        assert isinstance(listener.factory, CallableFactory)
        made = listener.factory.build_protocol(("127.0.0.1", 1))
        assert made is not None
        assert isinstance(made, Line) == (given is Line)
        assert isinstance(made, Line) or not hasattr(made, "factory")
        assert not listener.factory.stateless
    assert made.factory is listener.factory  # type: ignore[union-attr]


def test_a_stateless_protocol_class_says_so_for_its_factory(app: Application) -> None:
    """Only a literal True counts."""

    class Literal(asyncio.Protocol):
        stateless = True

    class Truthy(asyncio.Protocol):
        stateless = 1

    assert app.listenTCP(1, Literal).factory.stateless is True
    assert app.listenTCP(2, Truthy).factory.stateless is False
