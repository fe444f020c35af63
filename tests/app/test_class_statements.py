"""What a class statement may say, and what it may not."""

from __future__ import annotations

from typing import Any

import pytest

from taphouse.app import (
    Application,
    ClientFactory,
    DatagramProtocol,
    Factory,
    Protocol,
    Service,
    config_attributes,
)


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
        type("Mine", (base,), {old: print, "__module__": __name__})
    assert f"Mine.{old} is never called; write " in str(refused.value)
    assert new in str(refused.value)


def test_a_class_says_which_attributes_are_configuration() -> None:
    """``config=`` in the class statement; subclasses add to it."""

    class Quotes(Factory, config=("quotes",)):
        pass

    class Loud(Quotes, config=["volume"]):
        pass

    ours = config_attributes(Factory)
    assert config_attributes(Quotes) - ours == {"quotes"}
    assert config_attributes(Loud) - ours == {"quotes", "volume"}
    assert config_attributes(Protocol) == frozenset()


@pytest.mark.parametrize(
    ("cls", "names"),
    [
        (Factory, {"protocol", "datagram_protocol", "stateless", "stream_limit_bytes"}),
        (Service, {"name", "parent", "restart"}),
        (Application, {"name", "uid", "gid", "durability", "listeners", "connectors", "services"}),
    ],
)
def test_what_says_how_to_serve_is_configuration(cls: type, names: set[str]) -> None:
    """Not what was remembered: it is the code's wherever code builds the application."""
    assert config_attributes(cls) == names


@pytest.mark.parametrize("config", ["quotes", ("a b",), (1,)])
def test_a_config_declaration_that_names_no_attributes_is_refused(config: Any) -> None:
    """A bare string would declare its letters."""
    with pytest.raises(TypeError, match="config takes attribute names"):

        class Wrong(Factory, config=config):
            pass
