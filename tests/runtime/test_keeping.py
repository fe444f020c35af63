"""A running application's state is on disk before the first client, and one closed file at the end."""

from __future__ import annotations

import asyncio

import pytest

from taphouse.app import Application, Factory, Protocol, Service, make_plan
from taphouse.durable import Ledger, durable, find_registered, oid_of, raw_state
from taphouse.errors import ConfigurationError, InternalError, WrongThreadError
from taphouse.persist import Freezer, NullStore, create_state, open_state, read_info, thaw, write_seed
from taphouse.runtime import Runtime, writer
from taphouse.testing import JumpingClock, settle


class Counting(Factory, name="tests.runtime.Counting"):
    protocol = Protocol

    def __init__(self):
        self.count = 0


class Adding(Service, name="tests.runtime.Adding"):
    total = 0


def build():
    app = Application("kept")
    app.listenTCP(0, Counting(), "127.0.0.1")
    return app


def runtime_of(app, store, ledger=None):
    if ledger is None:
        ledger = Ledger()
        ledger.begin(app)
    return Runtime(app, ledger, Freezer(ledger, store), store)


def again(path):
    store = open_state(path)
    thawed = thaw(store, lambda record: find_registered(record.name))
    return thawed.root, runtime_of(thawed.root, store, thawed.ledger)


def test_the_state_appears_when_the_application_is_ready_and_not_before(run_fast, tmp_path):
    path = tmp_path / "kept-shutdown.tap"
    seen = []

    class Looking(Adding, name="tests.runtime.Looking"):
        def start(self):
            seen.append(path.exists())

    async def main():
        app = build()
        app.addService(Looking())
        runtime = runtime_of(app, create_state(path, seed=None))
        await runtime.start()
        seen.append(path.exists())
        await runtime.stop()

    run_fast(main())
    assert seen == [False, True]
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_seed_that_nothing_changed_becomes_a_state_all_the_same(run_fast, tmp_path):
    seed, path = tmp_path / "kept-start.tap", tmp_path / "kept-shutdown.tap"
    app = build()
    write_seed(seed, app, lambda oids: make_plan(app, lambda thing: oids[id(thing)]))

    async def main():
        store = create_state(path, seed=seed)
        thawed = thaw(store, lambda record: find_registered(record.name))
        runtime = runtime_of(thawed.root, store, thawed.ledger)
        await runtime.start()
        assert path.exists()
        await runtime.stop()

    run_fast(main())
    assert read_info(path).role == "state"
    assert read_info(path).lineage == read_info(seed).lineage


def test_the_plan_follows_listeners_and_services_and_names_objects_by_their_rows(run_fast, tmp_path):
    path = tmp_path / "kept-shutdown.tap"

    async def main():
        app = build()
        runtime = runtime_of(app, create_state(path, seed=None))
        await runtime.start()
        app.listenTCP(0, Counting(), "127.0.0.1")
        app.addService(Adding("adding"))
        await durable.committed()
        rows = {label: oid_of(thing) for label, thing in (
            ("Counting#1", app.listeners[0].factory),
            ("Counting#2", app.listeners[1].factory),
            ("adding", app.getServiceNamed("adding")),
        )}  # fmt: skip
        await runtime.stop()
        return rows

    rows = run_fast(main())
    plan = read_info(path).plan
    assert len(plan["listeners"]) == 2
    assert plan["services"][0]["name"] == "adding"
    assert dict(plan["objects"]) == rows
    assert 0 not in rows.values()


def test_what_changed_in_the_very_last_turn_is_in_the_final_commit(run_fast, tmp_path):
    path = tmp_path / "kept-shutdown.tap"

    class Last(Adding, name="tests.runtime.Last"):
        async def stop(self):
            self.total = 42

    async def main():
        app = build()
        app.addService(Last("last"))
        runtime = runtime_of(app, create_state(path, seed=None))
        await runtime.start()
        await runtime.stop()
        with pytest.raises(InternalError, match="application kept has stopped"):
            app.listeners[0].factory.count = 1

    run_fast(main())

    async def later():
        app, runtime = again(path)
        assert app.getServiceNamed("last").total == 42
        await runtime.start()
        await runtime.stop()

    run_fast(later())


def test_only_the_thread_of_the_loop_may_change_state(run_fast, tmp_path):
    async def main():
        app = build()
        runtime = runtime_of(app, create_state(tmp_path / "kept-shutdown.tap", seed=None))
        await runtime.start()
        loop = asyncio.get_running_loop()
        with pytest.raises(WrongThreadError):
            await loop.run_in_executor(None, setattr, app.listeners[0].factory, "count", 9)
        assert app.listeners[0].factory.count == 0
        await runtime.stop()

    run_fast(main())


@pytest.mark.parametrize("given", [True, False])
def test_without_durability_everything_else_is_the_same_and_nobody_waits(run_fast, tmp_path, given):
    async def main():
        app = build()
        ledger = Ledger()
        ledger.begin(app)
        store = NullStore()
        runtime = Runtime(app, ledger, Freezer(ledger, store), store if given else None)
        await runtime.start()
        app.listeners[0].factory.count = 1
        await durable.committed()
        loop = asyncio.get_running_loop()
        assert await loop.run_in_executor(None, durable.call, lambda: app.listeners[0].factory.count) == 1
        with pytest.raises(WrongThreadError):
            await loop.run_in_executor(None, setattr, app.listeners[0].factory, "count", 9)
        await asyncio.sleep(0)
        assert not ledger.is_dirty
        await runtime.stop()
        assert runtime.exit_code == 0

    run_fast(main())
    assert list(tmp_path.iterdir()) == []


def test_a_start_that_fails_before_the_first_commit_leaves_no_file(run_fast, tmp_path):
    class Broken(Adding, name="tests.runtime.Broken"):
        def start(self):
            self.total = 1
            raise LookupError("no")

    async def main():
        app = build()
        app.addService(Broken())
        runtime = runtime_of(app, create_state(tmp_path / "kept-shutdown.tap", seed=None))
        with pytest.raises(InternalError):
            await runtime.start()

    run_fast(main())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("word", "mode"), [(None, "gate"), ("exit", "exit")])
def test_a_tap_of_a_time_without_durabilities_means_the_gate(run_fast, tmp_path, word, mode):
    path = tmp_path / "kept-start.tap"
    app = build()
    if word is None:
        del app.durability
        assert "durability" not in raw_state(app)
    else:
        app.durability = word
    plan = make_plan(app)
    write_seed(path, app, lambda oids: {name: part for name, part in plan.items() if name != "durability"})

    async def main():
        store = create_state(tmp_path / "kept-shutdown.tap", seed=path)
        thawed = thaw(store, lambda record: find_registered(record.name))
        runtime = runtime_of(thawed.root, store, thawed.ledger)
        await runtime.start()
        assert runtime.statistics().epochs.mode == mode
        await runtime.stop()

    run_fast(main())


def test_a_durability_that_is_assigned_counts_from_the_next_start(run_fast, tmp_path):
    path = tmp_path / "kept-shutdown.tap"

    async def main():
        app = build()
        runtime = runtime_of(app, create_state(path, seed=None))
        await runtime.start()
        app.durability = "interval"
        await durable.committed()
        assert app.statistics().epochs.mode == "gate"
        assert read_info(path).plan["durability"] == "interval"
        await runtime.stop()

    async def later():
        app, runtime = again(path)
        await runtime.start()
        assert app.statistics().epochs.mode == "interval"
        await runtime.stop()

    run_fast(main())
    run_fast(later())


def test_a_tap_with_a_durability_that_there_is_not_does_not_start(run_fast, tmp_path):
    async def main():
        app = build()
        raw_state(app)["durability"] = "often"
        with pytest.raises(ConfigurationError, match="'often' is not known; use --durability gate"):
            runtime_of(app, create_state(tmp_path / "kept-shutdown.tap", seed=None))

    run_fast(main())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("durability", "at_first", "later"), [("gate", 3, 3), ("interval", 1, 2), ("exit", 1, 1)]
)
def test_scheduled_calls_and_late_listeners_are_committed_at_the_application_s_pace(
    run_fast, tmp_path, monkeypatch, durability, at_first, later
):
    monkeypatch.setattr(writer, "FORCED_PATH", "inline")
    path = tmp_path / "kept-shutdown.tap"

    class Striking(Adding, name=f"tests.runtime.Striking.{durability}"):
        def strike(self):
            self.total += 1

    async def main():
        app = build()
        striking = app.addService(Striking("striking"))
        app.durability = durability
        app.addDelayed(5, striking.strike)
        ledger = Ledger()
        ledger.begin(app)
        store, clock = create_state(path, seed=None), JumpingClock()
        runtime = Runtime(app, ledger, Freezer(ledger, store), store, clock=clock)
        await runtime.start()
        assert app.statistics().epochs.commits == 1
        await clock.jump(5)
        app.listenTCP(0, Counting(), "127.0.0.1")
        await settle()
        assert striking.total == 1
        assert app.statistics().epochs.commits == at_first
        await clock.jump(1)
        assert app.statistics().epochs.commits == later
        await runtime.stop()

    run_fast(main())
    root = thaw(open_state(path), lambda record: find_registered(record.name)).root
    assert (root.getServiceNamed("striking").total, len(root.listeners), root.schedule) == (1, 2, {})
