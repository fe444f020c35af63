"""Code goes on from its state: what was stored stays, what is new comes from the code."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from taphouse import Application, Factory, MultiService, Protocol, Service
from taphouse.cli.starting.embedding import Server
from taphouse.errors import ConfigurationError, TapError, TaphouseError, UsageError
from taphouse.persist import read_info


class Keys(Factory, config=("greeting",)):
    protocol = Protocol

    def __init__(self, **attributes: Any) -> None:
        for name, value in attributes.items():
            setattr(self, name, value)


class Other(Factory):
    protocol = Protocol


class Clock(Service):
    def __init__(self, name: str = "clock") -> None:
        super().__init__(name)
        self.ticks = 0

    def tick(self) -> None:
        self.ticks += 1


class Broken(Service):
    def start(self) -> None:
        raise RuntimeError("out of order")


class Life:
    """One run of an application after the other, in the same folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(
        self, app: Application, do: Callable[[Server], Any] = lambda server: None, **options: Any
    ) -> Application:
        async def live() -> None:
            async with app.running(run_directory=self.folder, drain_s=0.0, **options) as server:
                do(server)

        asyncio.run(live())
        return app

    def refused(self, app: Application, **options: Any) -> str:
        with pytest.raises((ConfigurationError, UsageError)) as caught:
            self.run(app, **options)
        return str(caught.value)

    def state(self, name: str = "otk") -> Path:
        return self.folder / f"{name}-shutdown.tap"


@pytest.fixture
def life(tmp_path: Path) -> Life:
    return Life(tmp_path)


def application(*factories: Factory, services: Iterable[Service] = (), name: str = "otk") -> Application:
    app = Application(name)
    for factory in factories:
        app.listenTCP(0, factory, interface="127.0.0.1")
    for service in services:
        app.addService(service)
    return app


def test_a_stored_attribute_keeps_its_value_and_a_new_one_comes_from_the_code(life: Life) -> None:
    keys = Keys(nextkey=0)
    life.run(application(keys), lambda server: setattr(keys, "nextkey", 7))
    again = Keys(nextkey=0, extra=["new"])
    life.run(application(again))
    assert (again.nextkey, list(again.extra)) == (7, ["new"])


def test_the_objects_of_the_code_are_the_ones_that_run(life: Life) -> None:
    keys = Keys(nextkey=0)
    life.run(application(keys), lambda server: setattr(keys, "nextkey", 1))
    again = Keys(nextkey=0)
    app = application(again)

    def change(server: Server) -> None:
        assert server.application is app
        assert app.listeners[0].factory is again
        again.nextkey += 1

    life.run(app, change)
    last = Keys(nextkey=0)
    life.run(application(last))
    assert last.nextkey == 2


def test_references_between_objects_lead_to_the_objects_of_the_code(life: Life) -> None:
    clock = Clock()
    life.run(application(Keys(clock=clock, seen=[]), services=[clock]))
    clock = Clock()
    keys = Keys(clock=None, seen=None)
    life.run(application(keys, services=[clock]), lambda server: keys.clock.tick())
    assert keys.clock is clock
    assert clock.ticks == 1


def test_containers_of_the_code_that_are_new_are_tracked(life: Life) -> None:
    life.run(application(Keys(nextkey=0)))
    keys = Keys(nextkey=0, log=[1])
    life.run(application(keys), lambda server: keys.log.append(2))
    last = Keys(log=[])
    life.run(application(last))
    assert list(last.log) == [1, 2]


def test_a_config_attribute_takes_the_value_of_the_code_every_time(life: Life) -> None:
    keys = Keys(greeting="hello", nextkey=0)
    life.run(application(keys), lambda server: setattr(keys, "greeting", "changed at run time"))
    again = Keys(greeting="hi", nextkey=0)
    life.run(application(again))
    assert again.greeting == "hi"


def test_a_listener_may_move_and_its_factory_is_still_the_same(life: Life) -> None:
    keys = Keys(nextkey=0)
    app = Application("otk")
    app.listenTCP(0, keys, interface="127.0.0.1")
    life.run(app, lambda server: setattr(keys, "nextkey", 3))
    again = Keys(nextkey=0)
    moved = Application("otk")
    moved.listenTCP(0, again, interface="::1")
    life.run(moved, lambda server: None)
    assert again.nextkey == 3
    assert [listener.interface for listener in moved.listeners] == ["::1"]


def test_an_object_that_the_code_no_longer_builds_stops_the_start_by_name(life: Life) -> None:
    life.run(application(Keys(nextkey=1), Other(), services=[Clock()]))
    before = life.state().read_bytes()
    message = life.refused(application(Keys(nextkey=0)))
    assert "holds Other#1, clock, which the code no longer builds" in message
    assert message.endswith("forget it with --drop Other#1 --drop clock")
    assert life.state().read_bytes() == before


def test_drop_forgets_an_object_with_its_calls(life: Life) -> None:
    clock = Clock()
    app = application(Keys(nextkey=1), services=[clock])
    app.addPeriodic(3600, clock.tick)
    life.run(app)
    app = application(Keys(nextkey=0))
    life.run(app, drop=["clock"])
    assert app.listeners[0].factory.nextkey == 1
    assert dict(app.schedule) == {}
    life.run(application(Keys(nextkey=0)))


def test_drop_of_an_object_that_the_code_still_builds_takes_the_code_s(life: Life) -> None:
    life.run(application(Keys(nextkey=5)))
    keys = Keys(nextkey=0)
    life.run(application(keys), drop=["Keys#1"])
    assert keys.nextkey == 0


def test_drop_of_what_is_not_stored_is_an_error_that_lists_what_is(life: Life) -> None:
    life.run(application(Keys(nextkey=5)))
    assert "holds no such object; it holds Keys#1" in life.refused(application(Keys()), drop=["Kyes#1"])


def test_what_was_added_while_it_ran_is_there_again(life: Life) -> None:
    late = Clock("late")
    app = application(Keys(nextkey=0))

    def add(server: Server) -> None:
        app.addService(late)
        app.listenUNIX(str(life.folder / "late.sock"), app.listeners[0].factory)

    life.run(app, add)
    keys = Keys(nextkey=0)
    again = application(keys)
    seen: dict[str, Any] = {}
    life.run(again, lambda server: seen.update(server.addresses))
    assert again.getServiceNamed("late").state == "stopped"
    assert [listener.kind for listener in again.listeners] == ["tcp", "unix"]
    assert again.listeners[1].factory is keys
    assert f"unix:{life.folder / 'late.sock'}" in seen


def test_nested_services_find_their_state(life: Life) -> None:
    pool = MultiService("pool")
    inner = Clock("inner")
    pool.addService(inner)
    life.run(application(services=[pool]), lambda server: inner.tick())
    pool = MultiService("pool")
    inner = Clock("inner")
    pool.addService(inner)
    life.run(application(services=[pool]))
    assert inner.ticks == 1
    assert inner.parent is pool


def test_what_was_added_to_a_service_while_it_ran_is_there_again(life: Life) -> None:
    pool = MultiService("pool")

    def add(server: Server) -> None:
        pool.addService(late)
        late.tick()

    late = Clock("late")
    life.run(application(services=[pool]), add)
    for _ in range(2):
        pool = MultiService("pool")
        life.run(application(services=[pool]), lambda server, pool=pool: pool.getServiceNamed("late").tick())
    again = pool.getServiceNamed("late")
    assert isinstance(again, Clock)
    assert again.ticks == 3
    assert again.parent is pool


def test_a_call_that_the_code_makes_at_every_start_is_there_once(life: Life) -> None:
    for _ in range(3):
        clock = Clock()
        app = application(services=[clock])
        app.addPeriodic(3600, clock.tick)
        life.run(app)
        assert len(app.schedule) == 1


def test_a_new_call_of_the_code_is_added_and_one_it_no_longer_makes_ends(life: Life) -> None:
    clock = Clock()
    app = application(services=[clock])
    app.addPeriodic(3600, clock.tick)
    life.run(app, lambda server: app.addDelayed(1800, clock.tick))
    clock = Clock()
    app = application(services=[clock])
    app.addPeriodic(60, clock.tick)
    life.run(app)
    kinds = sorted((type(call).__name__, call.seconds) for call in app.schedule.values())
    assert kinds == [("DelayedCall", 1800.0), ("PeriodicCall", 60.0)]
    assert all(call.method.__self__ is clock for call in app.schedule.values())


def test_state_of_another_application_is_refused(life: Life) -> None:
    life.run(application(Keys()))
    message = life.refused(application(Keys(), name="other"), state="otk-shutdown.tap")
    assert "is the state of application otk, not of other" in message
    assert "--fresh" in message


def test_a_seed_is_no_state(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(life.folder)
    application(Keys()).save("start")
    assert "is a seed, which is only ever read" in life.refused(application(Keys()), state="otk-start.tap")


def test_fresh_sets_the_state_aside_and_begins_anew(life: Life) -> None:
    life.run(application(Keys(nextkey=9)))
    keys = Keys(nextkey=0)
    life.run(application(keys), fresh=True)
    assert keys.nextkey == 0
    assert read_info(life.folder / "otk-shutdown.tap.1").name == "otk"


def test_a_start_that_fails_leaves_the_state_as_it_was(life: Life) -> None:
    life.run(application(Keys(nextkey=9)))
    before = {path: path.read_bytes() for path in life.folder.iterdir()}
    with pytest.raises(TaphouseError, match="broken.*out of order"):
        life.run(application(Keys(nextkey=0), services=[Broken("broken")]), fresh=True)
    assert {path: path.read_bytes() for path in life.folder.iterdir()} == before


def test_without_saving_no_file_appears(life: Life) -> None:
    keys = Keys(nextkey=0)
    life.run(application(keys), lambda server: setattr(keys, "nextkey", 1), save=False)
    assert list(life.folder.iterdir()) == []


def test_a_class_that_changed_its_name_under_one_label_is_refused(life: Life) -> None:
    app = Application("otk")
    app.listenTCP(0, Keys(), interface="127.0.0.1", name="main")
    life.run(app)
    app = Application("otk")
    app.listenTCP(0, Other(), interface="127.0.0.1", name="main")
    with pytest.raises(
        TapError, match=r"test_code_and_state.Keys, and .*test_code_and_state.Other is to take"
    ):
        life.run(app)


def test_an_unknown_option_is_a_type_error(life: Life) -> None:
    with pytest.raises(TypeError, match="running\\(\\) has no option 'colour'"):
        life.run(application(Keys()), colour="red")


@pytest.mark.parametrize("save", [True, False])
def test_an_application_that_has_run_is_built_anew_for_another_run(life: Life, save: bool) -> None:
    app = application(Keys(nextkey=0))
    life.run(app, save=save)
    assert "has run in this process already; build it anew" in life.refused(app, save=save)
