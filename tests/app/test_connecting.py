"""Connections to others are declared like listeners."""

from __future__ import annotations

import pytest

from taphouse.app import Application, ClientFactory, Connector, Protocol, Retry


class Line(Protocol):
    """A protocol at the top of a module, as savable ones are."""


@pytest.fixture
def app() -> Application:
    return Application("otk")


def test_connectors_are_declared_like_listeners(app: Application) -> None:
    """Every argument has its attribute, and a connector can be taken back."""
    factory = ClientFactory()
    factory.protocol = Line
    tcp = app.connectTCP("example.org", 25, factory)
    tls = app.connectTLS("::1", 443, factory, 5, cafile="ca", certfile="c", keyfile="k", server_name="x.org")
    unix = app.connectUNIX("x", Line)
    assert isinstance(tcp, Connector)
    assert [connector.label for connector in app.connectors] == [
        "tcp:example.org:25",
        "tls:[::1]:443",
        "unix:x",
    ]
    assert (tcp.timeout, tls.timeout, tls.server_name, tls.cafile) == (30.0, 5.0, "x.org", "ca")
    assert (tls.certfile, tls.keyfile, unix.path, unix.host) == ("c", "k", "x", None)
    assert tcp.retry is factory.retry
    assert unix.retry == Retry()
    assert repr(unix) == "<Connector unix:x>"
    assert app.disconnect(tls) is tls
    assert app.connectors == [tcp, unix]
    with pytest.raises(
        KeyError, match=r"tls:\[::1\]:443 is not connected to; there is tcp:example.org:25, unix:x"
    ):
        app.disconnect(tls)


def test_a_connector_that_could_never_connect_is_refused(app: Application) -> None:
    """Port 0, no host, no time."""
    with pytest.raises(ValueError, match="port 0 is out of range; use 1 to 65535"):
        app.connectTCP("localhost", 0, Line)
    with pytest.raises(ValueError, match="host is empty"):
        app.connectTCP("", 1, Line)
    for timeout in (0, -1, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="timeout"):
            app.connectTCP("localhost", 1, Line, timeout)
    with pytest.raises(TypeError, match="timeout must be a number"):
        app.connectTCP("localhost", 1, Line, "30")  # type: ignore[arg-type]
