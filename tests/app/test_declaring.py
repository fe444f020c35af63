"""An application is declared statement by statement; what cannot be right is refused at its statement."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from taphouse.app import (
    Application,
    DatagramProtocol,
    Factory,
    Listener,
    Protocol,
)
from taphouse.durable import Ledger, attach, raw_state
from taphouse.errors import ConfigurationError


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


def labels(app: Application) -> list[str]:
    return [listener.label for listener in app.listeners]


def test_an_application_is_a_value_that_opens_nothing(app: Application) -> None:
    """Its statements are kept in order; nobody runs it."""
    app.listenTCP(8123, Keys())
    app.listenTCP(8123, Keys(), interface="::1")
    app.listenTLS(8443, Keys(), "cert.pem", interface="127.0.0.1")
    app.listenUDP(8123, Packets)
    app.listenUNIX(Path("run/otk.sock"), Keys())
    assert labels(app) == [
        "tcp:8123",
        "tcp:[::1]:8123",
        "tls:127.0.0.1:8443",
        "udp:8123",
        "unix:run/otk.sock",
    ]
    assert not app.is_running
    assert repr(app) == "<Application otk>"
    assert repr(app.listeners[0]) == "<Listener tcp:8123>"


def test_a_listener_keeps_what_was_said(app: Application) -> None:
    """Every argument has its attribute; defaults are filled in."""
    keys = Keys()
    tls = app.listenTLS(443, keys, "c.pem", "k.pem", interface="[::1]", backlog=7, name="front")
    assert isinstance(tls, Listener)
    assert (tls.kind, tls.port, tls.interface, tls.backlog) == ("tls", 443, "::1", 7)
    assert (tls.certfile, tls.keyfile, tls.name, tls.path, tls.mode) == (
        "c.pem",
        "k.pem",
        "front",
        None,
        None,
    )
    assert tls.factory is keys
    unix = app.listenUNIX("x.sock", keys, mode=0o600)
    assert (unix.kind, unix.path, unix.mode, unix.port) == ("unix", "x.sock", 0o600, None)
    assert app.listenTCP(1, keys).backlog == 1024


@pytest.mark.parametrize("name", ["", ".x", "a/b", "a b", "x" * 65, "-f", "ü", 7, None])
def test_a_name_that_could_not_name_a_file_is_refused(name: Any) -> None:
    """It becomes file names, so the constructor checks it."""
    with pytest.raises(ConfigurationError, match="application name"):
        Application(name)


@pytest.mark.parametrize("account", [0, 1000, "nobody", None])
def test_accounts_are_kept_as_given(account: Any) -> None:
    """By name or by number, and 0 is a number like any other."""
    app = Application("otk", uid=account, gid=account)
    assert app.uid == account
    assert app.gid == account


@pytest.mark.parametrize(
    ("account", "error"),
    [(-1, ValueError), (2**32 - 1, ValueError), ("", ValueError), ("a b", ValueError), (True, TypeError),
     (1.0, TypeError)],
)  # fmt: skip
def test_an_account_that_cannot_exist_is_refused(account: Any, error: type[Exception]) -> None:
    """Said when the application is made, not when it drops privileges."""
    with pytest.raises(error, match="uid"):
        Application("otk", uid=account)
    with pytest.raises(error, match="gid"):
        Application("otk", gid=account)


@pytest.mark.parametrize(
    ("port", "error", "reason"),
    [
        (-1, ValueError, "port -1 is out of range; use 0 to 65535"),
        (65536, ValueError, "port 65536 is out of range"),
        ("8123", TypeError, "port must be an int, got '8123'"),
        ("/tmp/x", TypeError, "listenUNIX takes a path"),
        (None, TypeError, "port must be an int"),
        (True, TypeError, "port must be an int"),
        (80.0, TypeError, "port must be an int"),
    ],
)
def test_a_port_that_is_none_is_refused(
    app: Application, port: Any, error: type[Exception], reason: str
) -> None:
    """At the statement, with what is allowed; nothing is recorded."""
    for listen in (app.listenTCP, app.listenUDP):
        factory = Packets if listen == app.listenUDP else Keys()
        with pytest.raises(error, match=reason):
            listen(port, factory)
    with pytest.raises(error, match=reason):
        app.listenTLS(port, Keys(), "cert.pem")
    assert app.listeners == []


def test_other_arguments_that_cannot_be_right_are_refused(app: Application) -> None:
    """Interface, backlog, mode, paths and names, each with its reason."""
    keys = Keys()
    with pytest.raises(TypeError, match="interface must be a str"):
        app.listenTCP(1, keys, interface=None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="interface 'a b'"):
        app.listenTCP(1, keys, interface="a b")
    with pytest.raises(ValueError, match="backlog 0"):
        app.listenTCP(1, keys, backlog=0)
    with pytest.raises(TypeError, match="backlog"):
        app.listenTCP(1, keys, backlog="5")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="mode 0o1777"):
        app.listenUNIX("x", keys, mode=0o1777)
    with pytest.raises(TypeError, match="mode must be an int"):
        app.listenUNIX("x", keys, mode="0666")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="path must be a path"):
        app.listenUNIX(8123, keys)
    with pytest.raises(TypeError, match="path must be text"):
        app.listenUNIX(_BytesPath(), keys)
    with pytest.raises(ValueError, match="no file name"):
        app.listenUNIX("", keys)
    with pytest.raises(ValueError, match="too long; a socket takes 107"):
        app.listenUNIX("x" * 108, keys)
    with pytest.raises(TypeError, match="certfile must be a path"):
        app.listenTLS(1, keys, None)
    with pytest.raises(ValueError, match="name 'a#1'"):
        app.listenTCP(1, keys, name="a#1")
    with pytest.raises(TypeError, match="name must be a str"):
        app.listenTCP(1, keys, name=1)  # type: ignore[arg-type]
    assert app.listeners == []


class _BytesPath:
    def __fspath__(self) -> bytes:
        return b"x"


def test_an_address_is_listened_on_once(app: Application) -> None:
    """The second statement is refused; another interface or kind is another address, and port 0 is many."""
    app.listenTCP(8123, Keys())
    with pytest.raises(ValueError, match="tcp:8123 is listened on by an earlier statement"):
        app.listenTCP(8123, Keys())
    app.listenTCP(8123, Keys(), interface="127.0.0.1")
    app.listenUDP(8123, Packets)
    app.listenTCP(0, Keys())
    app.listenTCP(0, Keys())
    app.listenUNIX("a", Keys())
    with pytest.raises(ValueError, match="unix:a"):
        app.listenUNIX("a", Keys())
    assert len(app.listeners) == 6


def test_an_explicit_name_belongs_to_one_factory(app: Application) -> None:
    """Two listeners of one factory may share it, two factories may not."""
    keys = Keys()
    app.listenTCP(1, keys, name="keys")
    app.listenTCP(2, keys, name="keys")
    with pytest.raises(ValueError, match="name 'keys' is taken by the factory of tcp:1"):
        app.listenTCP(3, Keys(), name="keys")
    with pytest.raises(ValueError, match="taken"):
        app.connectTCP("localhost", 3, Keys(), name="keys")


def test_what_was_listened_on_can_be_taken_back(app: Application) -> None:
    """By address, each kind with its own verb, or by the listener itself."""
    tcp = app.listenTCP(1, Keys())
    app.listenTCP(1, Keys(), interface="127.0.0.1")
    tls = app.listenTLS(2, Keys(), "c")
    udp = app.listenUDP(1, Packets)
    unix = app.listenUNIX("x", Keys())
    first, second = app.listenTCP(0, Keys()), app.listenTCP(0, Keys())
    assert app.unlistenTCP(1) is tcp
    assert labels(app)[0] == "tcp:127.0.0.1:1"
    assert app.unlistenTLS(2) is tls
    assert app.unlistenUDP(1) is udp
    assert app.unlistenUNIX("x") is unix
    assert app.unlisten(second) is second
    assert app.listeners[-1] is first
    assert len(app.listeners) == 2


def test_an_address_that_is_not_listened_on_cannot_be_taken_back(app: Application) -> None:
    """The message says what is listened on."""
    with pytest.raises(KeyError, match="tcp:9 is not listened on; listeners are none"):
        app.unlistenTCP(9)
    listener = app.listenTCP(8123, Keys())
    with pytest.raises(KeyError, match="tcp:9 is not listened on; listeners are tcp:8123"):
        app.unlistenTCP(9)
    with pytest.raises(KeyError, match="udp:8123"):
        app.unlistenUDP(8123)
    with pytest.raises(KeyError, match="unix:x"):
        app.unlistenUNIX("x")
    with pytest.raises(KeyError, match="tcp:8123 is not listened on"):
        Application("other").unlisten(listener)
    assert labels(app) == ["tcp:8123"]


class Hooks:
    """A runtime that notes what it is told and may refuse."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []
        self.refusal: Exception | None = None

    def __getattr__(self, name: str) -> Any:
        def note(*what: Any) -> None:
            self.told.append((name, *what))
            if self.refusal is not None:
                raise self.refusal

        return note


def test_a_running_application_tells_its_runtime_of_every_change(app: Application) -> None:
    """Late additions and removals reach whoever runs it, after they were recorded."""
    hooks = Hooks()
    app._v_runtime = hooks
    assert app.is_running
    listener = app.listenTCP(1, Keys())
    app.unlisten(listener)
    connector = app.connectTCP("localhost", 1, Line)
    app.disconnect(connector)
    assert hooks.told == [
        ("listener_added", listener),
        ("listener_removed", listener),
        ("connector_added", connector),
        ("connector_removed", connector),
    ]


def test_an_addition_the_runtime_refuses_is_not_recorded(app: Application) -> None:
    """The port was busy, say: the error reaches the statement and the application is as before."""
    hooks = Hooks()
    hooks.refusal = OSError("busy")
    app._v_runtime = hooks
    with pytest.raises(OSError, match="busy"):
        app.listenTCP(1, Keys())
    with pytest.raises(OSError, match="busy"):
        app.connectTCP("localhost", 1, Keys())
    assert app.listeners == []
    assert app.connectors == []


def test_an_application_says_how_durable_it_is() -> None:
    """Gate if it says nothing; what there is not is refused where it is assigned, and nothing changes."""
    app = Application("otk")
    assert app.durability == "gate"
    app.durability = "interval"
    for wrong in ("often", "", None, 1, ["gate"], "GATE"):
        with pytest.raises(ValueError, match="is not known; use gate, interval or exit"):
            app.durability = wrong  # type: ignore[assignment]
    assert app.durability == "interval"
    with pytest.raises(ValueError, match="use gate, interval or exit"):
        Application("otk", durability="always")


def test_a_durability_is_tracked_like_any_attribute() -> None:
    """It belongs to the state of a server that builds its application from a tap."""
    app = Application("otk", durability="exit")
    ledger = Ledger()
    ledger.begin(app)
    attach(app, ledger, ledger.new_oid())
    ledger.drain()
    app.durability = "gate"
    assert ledger.drain().dirty == [app]
    assert raw_state(app)["durability"] == "gate"


def test_statistics_are_those_of_a_run(app: Application) -> None:
    """Asked for without one, the application says so."""
    with pytest.raises(RuntimeError, match="application otk does not run"):
        app.statistics()
