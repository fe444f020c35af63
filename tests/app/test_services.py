"""Services nest, have names, are started and stopped in order, and their stop tells what became of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from taphouse.app import (
    TRANSITIONS,
    Application,
    LifecycleError,
    MultiService,
    Outcome,
    Service,
    has_run,
    iter_services,
    start_service,
    stop_service,
)

notes: list[str] = []


@pytest.fixture(autouse=True)
def clean_notes() -> None:
    notes.clear()


class Noted(Service):
    """Notes what is done with it."""

    def start(self) -> None:
        notes.append(f"start {self.path}")

    def stop(self) -> Any:
        notes.append(f"stop {self.path}")


class Coroutines(Noted):
    """The same with coroutines, and a run()."""

    async def start(self) -> None:  # type: ignore[override]
        Noted.start(self)

    async def stop(self) -> Any:
        Noted.stop(self)
        return "bye"

    async def run(self) -> None:
        notes.append("run")


class Failing(Noted):
    """Fails at its start or stop."""

    def __init__(self, name: str, at: str) -> None:
        super().__init__(name)
        self.at = at

    def start(self) -> None:
        super().start()
        if self.at == "start":
            raise OSError("no start")

    def stop(self) -> Any:
        super().stop()
        if self.at == "stop":
            raise OSError("no stop")


class Supervisor:
    """Notes what a runtime would be told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Service]] = []

    def service_started(self, service: Service) -> None:
        self.told.append(("started", service))
        notes.append(f"begin run of {service.path}")

    async def service_stopping(self, service: Service) -> None:
        self.told.append(("stopping", service))
        notes.append(f"end run of {service.path}")

    def service_added(self, service: Service) -> None:
        self.told.append(("added", service))

    def service_removed(self, service: Service) -> None:
        self.told.append(("removed", service))


def drive(coroutine: Any) -> Any:
    """Run a coroutine that never waits, without a loop."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waited")


def tree() -> MultiService:
    """A pool of two, one of them a pool."""
    pool = MultiService("pool")
    pool.addService(Noted("a"))
    inner = MultiService("inner")
    inner.addService(Coroutines("b"))
    pool.addService(inner)
    pool.addService(Noted("c"))
    return pool


def test_parents_start_before_their_children_and_stop_after_them() -> None:
    """In order of addition, and back in reverse; coroutines and plain methods alike."""
    pool = tree()
    drive(start_service(pool))
    assert notes == ["start pool/a", "start pool/inner/b", "start pool/c"]
    assert all(service.is_running for service in iter_services(pool))
    notes.clear()
    drive(stop_service(pool))
    assert notes == ["stop pool/c", "stop pool/inner/b", "stop pool/a"]
    assert {service.state for service in iter_services(pool)} == {"stopped"}


def test_the_stop_of_a_multiservice_maps_each_child_to_its_outcome() -> None:
    """A child that fails, one that returns nothing and one that returns something; all are stopped."""
    pool = MultiService("pool")
    silent = pool.addService(Noted("silent"))
    failing = pool.addService(Failing("failing", "stop"))
    speaking = pool.addService(Coroutines("speaking"))
    drive(start_service(pool))
    outcomes = drive(pool.stop())
    assert list(outcomes) == [speaking, failing, silent]
    assert outcomes[silent] == Outcome(True, None)
    assert outcomes[speaking] == Outcome(True, "bye")
    assert not outcomes[failing].ok
    assert str(outcomes[failing].error) == "no stop"


def test_an_empty_multiservice_stops_with_an_empty_map() -> None:
    """It completes, with nothing to report."""
    pool = MultiService("pool")
    drive(start_service(pool))
    assert drive(pool.stop()) == {}
    assert drive(stop_service(pool)) == Outcome(True, {})


def test_an_outcome_lists_every_failure_of_the_tree() -> None:
    """With the service it happened to, however deep."""
    pool, inner = MultiService("pool"), MultiService("inner")
    deep = inner.addService(Failing("deep", "stop"))
    pool.addService(inner)
    drive(start_service(pool))
    outcome = drive(stop_service(pool))
    assert outcome.ok
    assert [(who, str(error)) for who, error in outcome.failures] == [(deep, "no stop")]
    single = Failing("single", "stop")
    drive(start_service(single))
    ((who, _),) = drive(stop_service(single)).failures
    assert who is None


def test_a_start_that_fails_stops_those_before_it() -> None:
    """Last first; the one that failed is not stopped, and all of it can be started again."""
    pool = MultiService("pool")
    pool.addService(Noted("one"))
    pool.addService(Noted("two"))
    failing = Failing("three", "start")
    pool.addService(failing)
    pool.addService(Noted("four"))
    with pytest.raises(OSError, match="no start"):
        drive(start_service(pool))
    assert notes == ["start pool/one", "start pool/two", "start pool/three", "stop pool/two", "stop pool/one"]
    assert {service.state for service in iter_services(pool)} == {"stopped"}
    failing.at = "never"
    drive(start_service(pool))
    assert all(service.is_running for service in iter_services(pool))


def test_children_start_and_stop_although_a_subclass_forgot_super() -> None:
    """Overriding start, stop or __init__ of a MultiService does not orphan its children."""

    class Forgetful(MultiService):
        def __init__(self) -> None:
            notes.append("init")

        async def start(self) -> None:
            notes.append("own start")

        async def stop(self) -> Any:
            notes.append("own stop")

    pool = Forgetful()
    child = pool.addService(Noted("child"))
    drive(start_service(pool))
    outcome = drive(stop_service(pool))
    assert notes == ["init", "own start", "start Forgetful/child", "stop Forgetful/child", "own stop"]
    assert list(outcome.children) == [child]


def test_a_supervisor_runs_what_has_a_run() -> None:
    """It is told after start(), and after stop() to end it, for the whole tree."""
    pool = tree()
    supervisor = Supervisor()
    drive(start_service(pool, supervisor))
    assert notes[:2] == ["start pool/a", "begin run of pool/a"]
    assert [service.path for what, service in supervisor.told if has_run(service)] == ["pool/inner/b"]
    notes.clear()
    drive(stop_service(pool))
    assert notes[-3:] == ["stop pool/a", "end run of pool/a", "end run of pool"]


def test_a_service_is_not_started_twice_nor_stopped_when_it_does_not_run() -> None:
    """The first is an error that names it; the second has nothing to do."""
    service = Noted("once")
    drive(start_service(service))
    with pytest.raises(LifecycleError, match="service once is running: 'start' is not possible now"):
        drive(start_service(service))
    drive(stop_service(service))
    assert drive(stop_service(service)) == Outcome(True)
    assert notes == ["start once", "stop once"]


def test_a_service_whose_run_was_given_up_is_stopped_like_any_other() -> None:
    """Its start() returned, so what it made must be given back."""
    pool = MultiService("pool")
    service = pool.addService(Noted("tired"))
    drive(start_service(pool))
    for event in ("died", "restarted", "died", "error"):
        service.move(event)
    assert service.state == "failed"
    assert not service.is_running
    drive(stop_service(pool))
    assert notes == ["start pool/tired", "stop pool/tired"]


def test_every_state_can_be_left_and_every_life_ends_stopped() -> None:
    """The table has no trap: from each state some events lead back to stopped."""
    states = {state for state, _ in TRANSITIONS} | set(TRANSITIONS.values())
    reach = {"stopped"}
    for _ in states:
        reach |= {state for (state, _), after in TRANSITIONS.items() if after in reach}
    assert reach == states


def test_the_life_of_a_service_is_not_saved() -> None:
    """After a thaw everything is stopped: the state lies under volatile names."""
    service = Noted("s")
    drive(start_service(service, Supervisor()))
    assert {name for name in vars(service) if not name.startswith("_v_")} <= {"name", "parent"}


def test_a_running_multiservice_has_additions_started_and_removals_stopped() -> None:
    """By its supervisor; before its start and after its stop nobody is told."""
    pool = MultiService("pool")
    supervisor = Supervisor()
    early = pool.addService(Noted("early"))
    drive(start_service(pool, supervisor))
    late = pool.addService(Noted("late"))
    pool.removeService(early)
    assert ("added", late) in supervisor.told
    assert ("removed", early) in supervisor.told
    told = len(supervisor.told)
    pool.removeService(late)  # was never started by this supervisor that only notes
    assert len(supervisor.told) == told


def test_a_running_multiservice_without_a_supervisor_takes_only_running_children() -> None:
    """Nobody would start the new one, so it is an error that says what to do, and it is not added."""
    pool = MultiService("pool")
    drive(start_service(pool))
    child = Noted("child")
    with pytest.raises(LifecycleError, match=r"pool runs outside of an application; start the new one"):
        pool.addService(child)
    assert pool.services == {}
    assert child.parent is None
    drive(start_service(child))
    pool.addService(child)
    assert drive(pool.stop())[child].ok


def test_a_running_application_has_additions_started_and_removals_stopped() -> None:
    """Through the runtime's hooks."""
    app = Application("otk")
    supervisor = Supervisor()
    app._v_runtime = supervisor  # type: ignore[assignment]
    service = app.addService(Noted("late"))
    app.removeService(service)
    assert supervisor.told == [("added", service), ("removed", service)]


def test_the_documentation_shows_the_table_that_is_used() -> None:
    """Row by row, in the order of the code."""
    document = Path(__file__).parents[2] / "docs" / "reference-api.md"
    _, _, rest = document.read_text().partition("| state | event | next |\n| --- | --- | --- |\n")
    table, _, _ = rest.partition("\n\n")
    shown = [tuple(cell.strip() for cell in row.strip("|").split("|")) for row in table.splitlines()]
    assert shown == [(state, event, after) for (state, event), after in TRANSITIONS.items()]
