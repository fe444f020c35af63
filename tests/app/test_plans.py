"""A plan tells what an application is made of without its code; identity has no addresses in it."""

from __future__ import annotations

import asyncio
import functools
import json
import sys
import types
from typing import Any

import pytest

from taphouse.app import (
    Application,
    DatagramProtocol,
    Factory,
    MultiService,
    Protocol,
    Service,
    check_application,
    find_script,
    label_objects,
    make_plan,
    object_label,
    type_label,
    unsavable,
)
from taphouse.errors import ConfigurationError


class Line(Protocol):
    pass


class Keys(Factory):
    protocol = Line


class Clock(Service):
    def tick(self) -> None: ...


def at_module_level() -> asyncio.BaseProtocol:
    return Line()


@pytest.fixture
def app() -> Application:
    app = Application("otk", uid="nobody", gid=0)
    keys = Keys()
    app.listenTCP(8123, keys)
    app.listenTCP(8124, Keys())
    app.listenUNIX("otk.sock", keys, mode=0o600)
    app.listenTCP(8125, Line, name="line")
    app.connectTLS("example.org", 443, Line)
    pool = MultiService("pool")
    pool.addService(Clock())
    app.addService(pool)
    return app


def test_identity_is_a_name_or_type_and_ordinal(app: Application) -> None:
    """One factory of two listeners is one object; services are called by their path."""
    assert list(label_objects(app)) == ["Keys#1", "Keys#2", "line", "Line#1", "pool", "pool/Clock#1"]
    assert object_label(app, app.listeners[2].factory) == "Keys#1"
    assert object_label(app, app.getServiceNamed("pool")) == "pool"
    assert object_label(app, app) == "otk"
    assert object_label(app, Clock()) == "Clock"


def test_identity_does_not_change_with_an_address(app: Application) -> None:
    """Another port, the same factory under the same label."""
    keys = app.listeners[0].factory
    app.unlistenTCP(8123)
    app.unlistenUNIX("otk.sock")
    other = app.listeners[0].factory
    app.listenTCP(9999, keys)
    assert object_label(app, other) == "Keys#1"
    assert object_label(app, keys) == "Keys#2"


def test_a_service_and_a_factory_of_one_label_are_told_apart() -> None:
    """Nothing is lost when a service is called like a factory."""
    app = Application("otk")
    app.listenTCP(1, Keys(), name="keys")
    service = app.addService(Service("keys"))
    assert list(label_objects(app)) == ["keys", "/keys"]
    assert object_label(app, service) == "/keys"


def test_a_wrapped_callable_is_labelled_as_what_it_is() -> None:
    """Not as the factory we made of it."""
    app = Application("otk")
    for port, given in enumerate((Line, at_module_level, lambda: Line()), 1):
        app.listenTCP(port, given)
    assert list(label_objects(app)) == ["Line#1", "at_module_level#1", "lambda#1"]
    assert type_label(Keys()) == "Keys"


def test_a_plan_is_readable_json(app: Application) -> None:
    """Everything an operator asks and a binder needs, in JSON's own types."""
    plan = make_plan(app)
    assert json.loads(json.dumps(plan)) == plan
    assert (plan["name"], plan["uid"], plan["gid"]) == ("otk", "nobody", 0)
    assert plan["durability"] == "gate"
    assert plan["listeners"][0] == {
        "label": "tcp:8123",
        "kind": "tcp",
        "interface": "",
        "port": 8123,
        "path": None,
        "mode": None,
        "backlog": 1024,
        "certfile": None,
        "keyfile": None,
        "factory": "Keys#1",
        "stateless": False,
    }
    assert [entry["factory"] for entry in plan["listeners"]] == ["Keys#1", "Keys#2", "Keys#1", "line"]
    assert plan["listeners"][2]["mode"] == 0o600
    (connector,) = plan["connectors"]
    assert (connector["label"], connector["factory"]) == ("tls:example.org:443", "Line#1")
    assert plan["services"] == [
        {"name": "pool", "class": "taphouse.app.multiservice.MultiService"},
        {"name": "pool/Clock#1", "class": f"{__name__}.Clock"},
    ]
    assert plan["objects"] == {}
    assert "servers" not in plan


def test_a_plan_names_rows_if_asked(app: Application) -> None:
    """The label of each object with its number in the tap."""
    numbers: dict[int, int] = {id(obj): n for n, obj in enumerate(label_objects(app).values(), 1)}
    plan = make_plan(app, lambda obj: numbers[id(obj)])
    assert plan["objects"] == {
        "Keys#1": 1,
        "Keys#2": 2,
        "line": 3,
        "Line#1": 4,
        "pool": 5,
        "pool/Clock#1": 6,
    }


def test_a_plan_names_the_modules_its_classes_come_from(app: Application) -> None:
    """Of factories, protocols, services, callables and scheduled calls."""
    assert __name__ in make_plan(app)["modules"]
    bare = Application("otk")
    assert make_plan(bare)["modules"] == ["taphouse.app.application"]
    bare.addDelayed(1, Clock("c").tick)
    assert make_plan(bare)["modules"] == sorted([__name__, "taphouse.app.application"])
    for given in (Line, at_module_level):
        other = Application("otk")
        other.listenTCP(1, given)
        assert __name__ in make_plan(other)["modules"]
    mine = Application("otk")
    mine.listenTCP(1, Keys())
    plain = types.ModuleType("elsewhere")
    exec("import asyncio\nclass Far(asyncio.Protocol): ...", vars(plain))
    Far = vars(plain)["Far"]
    factory = Factory()
    sys.modules["elsewhere"] = plain
    try:
        factory.protocol = Far
    finally:
        del sys.modules["elsewhere"]
    mine.listenTCP(2, factory)
    assert "elsewhere" in make_plan(mine)["modules"]


def as_main(path: str | None) -> types.ModuleType:
    main = types.ModuleType("__main__")
    if path is not None:
        main.__file__ = path
    return main


def test_a_plan_records_the_script_that_built_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Classes of ``__main__`` are recorded under the script's importable name, with its folder."""
    main = as_main("/srv/tap/otk.py")
    monkeypatch.setitem(sys.modules, "__main__", main)
    exec(
        "class Mine(Factory):\n    protocol = Line",
        {"__name__": "__main__", "Factory": Factory, "Line": Line},
        vars(main),
    )
    app = Application("otk")
    app.listenTCP(1, main.Mine())
    plan = make_plan(app)
    assert plan["script"] == {"module": "otk", "folder": "/srv/tap"}
    assert "otk" in plan["modules"]
    assert "__main__" not in plan["modules"]
    given = {"module": "other", "folder": "/x"}
    assert make_plan(app, script=given)["script"] == given


def test_a_plan_without_classes_of_the_script_has_no_script(app: Application) -> None:
    """What comes from installed modules needs no folder."""
    assert make_plan(app)["script"] is None


@pytest.mark.parametrize("path", [None, "/srv/my-server.py", "/usr/bin/python"])
def test_a_script_that_cannot_be_imported_is_none(monkeypatch: pytest.MonkeyPatch, path: str | None) -> None:
    """A prompt, a name with a dash, a command."""
    monkeypatch.setitem(sys.modules, "__main__", as_main(path))
    assert find_script() is None


def test_an_application_that_could_serve_nobody_is_refused() -> None:
    """With the listener named and the cure, before anything is bound or saved."""
    app = Application("otk")
    app.listenTCP(8123, Factory())
    with pytest.raises(ConfigurationError, match="tcp:8123: Factory has no protocol; set .protocol"):
        make_plan(app)
    app = Application("otk")
    app.connectTCP("localhost", 1, Factory())
    with pytest.raises(ConfigurationError, match="tcp:localhost:1: Factory has no protocol"):
        check_application(app)
    app = Application("otk")
    app.listenUDP(53, Factory())
    with pytest.raises(ConfigurationError, match="udp:53: Factory has no protocol for datagrams"):
        check_application(app)


def test_a_name_that_was_changed_to_a_hostile_one_is_refused() -> None:
    """The attribute can be assigned; a file name is made of it later."""
    app = Application("otk")
    app.name = "../../etc/otk"
    with pytest.raises(ConfigurationError, match="application name"):
        make_plan(app)


def test_each_way_to_serve_is_enough() -> None:
    """protocol set after the statement, build_protocol, serve, or a datagram protocol."""

    class Builds(Factory):
        def build_protocol(self, addr: Any) -> asyncio.BaseProtocol | None:
            return Line()

    class Serves(Factory):
        async def serve(self, reader: Any, writer: Any) -> None: ...

    class Packets(DatagramProtocol):
        pass

    class Sends(Factory):
        datagram_protocol = Packets

    app = Application("otk")
    late = Factory()
    app.listenTCP(1, late)
    late.protocol = Line
    app.listenTCP(2, Builds())
    app.listenTCP(3, Serves())
    app.listenUDP(4, Sends())
    app.listenTCP(5, lambda: Line())
    check_application(app)


def test_what_factories_import_by_name_is_in_the_plan() -> None:
    """Modules among the others, and the folders to look in."""

    class Imports(Factory):
        protocol = Line

        def __init__(self, *pairs: tuple[str, str]) -> None:
            self.pairs = pairs

        def imports(self) -> tuple[tuple[str, str], ...]:
            return self.pairs

    app = Application("shop")
    app.listenTCP(1, Line)
    assert "folders" not in make_plan(app)
    app.listenTCP(2, Imports(("shop.web", "/srv/shop"), ("till", "/srv/till")))
    app.listenTCP(3, Imports(("shop.api", "/srv/shop"), ("installed", "")))
    plan = make_plan(app)
    assert {"shop.web", "till", "shop.api", "installed"} <= set(plan["modules"])
    assert plan["folders"] == ["/srv/shop", "/srv/till"]


def test_what_cannot_be_saved_is_listed_with_its_listener() -> None:
    """A lambda, a class and a function inside of a function, an odd callable."""

    class Inner(Protocol):
        pass

    def inner() -> asyncio.BaseProtocol:
        return Line()

    class Callable:
        def __call__(self) -> asyncio.BaseProtocol:
            return Line()

        def __repr__(self) -> str:
            return "<odd>"

    app = Application("otk")
    app.listenTCP(1, Line)
    app.listenTCP(2, lambda: Line())
    app.listenTCP(3, Inner)
    app.connectTCP("localhost", 4, inner)
    app.listenUNIX("x", Callable())
    app.listenTCP(5, functools.partial(Line))
    name = "test_what_cannot_be_saved_is_listed_with_its_listener.<locals>"
    cure = "cannot be saved; give a class or a function of a module"
    assert unsavable(app) == [
        f"tcp:2: a lambda {cure}",
        f"tcp:3: {name}.Inner, a class inside of a function, {cure}",
        f"unix:x: {name}.Callable <odd> {cure}",
        f"tcp:5: partial functools.partial(<class '{__name__}.Line'>) {cure}",
        f"tcp:localhost:4: {name}.inner, a function inside of a function, {cure}",
    ]
