"""What a stored application holds was set by a statement, or it is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from taphouse import Application, ClientFactory, Factory, MultiService, Protocol, Service
from taphouse.app import find_misshapen
from taphouse.durable import raw_state


class Talk(Factory):
    protocol = Protocol


class Call(ClientFactory):
    protocol = Protocol


class Tick(Service):
    def tick(self) -> None:
        """Do nothing."""


def make() -> Any:
    app: Any = Application("whole", uid="nobody", gid=7)
    app.listenTCP(8123, Talk(), interface="[::1]", name="talk")
    app.listenTLS(0, Talk(), "cert.pem")
    app.listenUNIX("talk.sock", Talk(), mode=0o600)
    app.connectTCP("localhost", 25, Call(), timeout=3)
    tick = app.addService(Tick(), "tick")
    app.addService(MultiService("pool")).addService(Tick(), "worker")
    app.addDelayed(0, tick.tick)
    app.addPeriodic(5, tick.tick)
    return app


def test_what_statements_made_is_well() -> None:
    app = make()
    assert find_misshapen(app) == ""
    app.listeners[0].note = "an attribute of somebody's own"
    assert find_misshapen(app) == ""


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda app: raw_state(app).update(name=5), "name 5"),
        (lambda app: raw_state(app).update(uid=b"root"), "uid"),
        (lambda app: raw_state(app).update(durability=["gate"]), "durability"),
        (lambda app: raw_state(app).update(calls_made=True), "calls_made"),
        (lambda app: raw_state(app).pop("services"), "services"),
        (lambda app: raw_state(app).update(services=[]), "services of the application is list"),
        (lambda app: raw_state(app).update(listeners=None), "listeners is NoneType"),
        (lambda app: raw_state(app).update(schedule={"x": 5}), "schedule['x'] is int"),
        (lambda app: app.listeners.append("tcp:1"), "listeners[3] is str"),
        (lambda app: app.listeners.append(app.connectors[0]), "listeners[3] is Connector"),
        (lambda app: raw_state(app.listeners[0]).update(kind={}), "listeners[0] is of no kind"),
        (lambda app: raw_state(app.listeners[0]).update(port="80"), "listeners[0]: port"),
        (lambda app: raw_state(app.listeners[0]).update(port=2**40), "listeners[0]: port"),
        (lambda app: raw_state(app.listeners[0]).update(interface=b"::1"), "listeners[0]: interface"),
        (lambda app: raw_state(app.listeners[0]).update(path="x.sock"), "listeners[0].path"),
        (lambda app: raw_state(app.listeners[1]).pop("certfile"), "listeners[1]: certfile"),
        (lambda app: raw_state(app.listeners[2]).update(mode=-1), "listeners[2]: mode"),
        (lambda app: raw_state(app.listeners[2]).pop("factory"), "listeners[2] has no factory"),
        (lambda app: raw_state(app.connectors[0]).update(timeout="3"), "connectors[0]: timeout"),
        (lambda app: raw_state(app.connectors[0]).pop("server_name"), "server_name"),
        (lambda app: raw_state(app.services["tick"]).update(restart=5), "service tick: restart"),
        (lambda app: app.services["pool"].services.update(x=app.services["pool"]), "its own parent"),
        (lambda app: app.services.update({"a/b": app.services["tick"]}), "service name 'a/b'"),
        (lambda app: raw_state(app.schedule[1]).update(args=[1]), "schedule[1].args is list"),
        (lambda app: raw_state(app.schedule[1]).update(due_s=float("nan")), "schedule[1].due_s"),
        (lambda app: raw_state(app.schedule[2]).update(seconds=None), "schedule[2].seconds"),
        (lambda app: raw_state(app.schedule[2]).update(number=1), "schedule[2] is call 1"),
    ],
)
def test_what_no_statement_makes_is_told(spoil: Callable[[Any], object], says: str) -> None:
    app = make()
    spoil(app)
    assert says in find_misshapen(app)
