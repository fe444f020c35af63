"""An update rebuilds a tap: configuration is new, what the server remembers stays, no state goes unsaid."""

from __future__ import annotations

import copy
import hashlib
import itertools
import os
import sys
from collections import Counter, OrderedDict, deque
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli import updates
from cli.updates import NOTHING, Clock, Keys, Other, Quotes, Tap, Thing, application, factory, pool, told
from taphouse import MultiService
from taphouse.cli.making.asbuilt import Additions, as_built, built_entries, locate
from taphouse.cli.making.reporting import CHANGED, CONFLICT, KEPT
from taphouse.cli.making.threeway import decide
from taphouse.cli.making.updating import update_tap
from taphouse.durable import registry
from taphouse.errors import AlreadyRunningError, ConfigurationError, TapError, UsageError
from taphouse.persist import TapLock, check_integrity, read_info, replacing
from taphouse.usage import Secret

HOLD = """
import sys
from taphouse.persist import TapLock
lock = TapLock(sys.argv[1])
lock.acquire(0)
print("held", flush=True)
sys.stdin.read()
"""

digests = st.none() | st.sampled_from(["a", "b", "c"])


def set_to(**attributes: Any) -> Any:
    """Return what changes attributes of the first factory while the server runs."""

    def change(app: Any) -> None:
        for name, value in attributes.items():
            setattr(factory(app), name, value)

    return change


# --- the table --------------------------------------------------------------------------------


@given(built=digests, stored=digests, new=digests, is_config=st.booleans())
def test_the_table_gives_up_nothing_that_changed_while_it_ran(
    built: str | None, stored: str | None, new: str | None, is_config: bool
) -> None:
    decision = decide(built, stored, new, is_config=is_config)
    outcome = new if decision == CHANGED else stored
    assert outcome in (stored, new)
    if stored != built and not is_config:
        assert outcome == stored
    if stored == built or is_config:
        assert outcome == new
    assert (decision == "") == (stored == new)
    assert decision != CONFLICT or (len({built, stored, new}) == 3 and not is_config)


@pytest.mark.parametrize(
    ("built", "stored", "new", "decision"),
    [
        ("a", "a", "a", ""),
        ("a", "a", "b", CHANGED),
        ("a", "b", "a", KEPT),
        ("a", "b", "b", ""),
        ("a", "b", "c", CONFLICT),
        (None, None, "a", CHANGED),
        (None, "a", None, KEPT),
        (None, "a", "b", CONFLICT),
        ("a", None, "a", KEPT),
        ("a", "a", None, CHANGED),
        ("a", "b", None, CONFLICT),
        ("a", None, "b", CONFLICT),
        ("a", None, None, ""),
    ],
)
def test_the_table_row_by_row(built: Any, stored: Any, new: Any, decision: str) -> None:
    assert decide(built, stored, new) == decision


# --- attributes -------------------------------------------------------------------------------


def test_what_is_as_it_was_built_takes_the_new_value_and_what_changed_is_kept(tmp_path: Path) -> None:
    tap = Tap(tmp_path, application(Quotes(limit=10, given=0, size=1)))
    tap.run(set_to(given=7, size=2))
    report = tap.update(application(Quotes(limit=20, given=0, size=3)))
    found = factory(tap.thaw())
    assert (found.limit, found.given, found.size) == (20, 7, 2)
    assert told(report, CHANGED) == {"Quotes#1.limit": "10 -> 20"}
    assert told(report, KEPT) == {"Quotes#1.given": "7"}
    assert told(report, CONFLICT) == {"Quotes#1.size": "2, not 3"}
    assert list(report.lines()) == [
        "changes:",
        "  Quotes#1.limit: 10 -> 20",
        "keeps what changed while it ran:",
        "  Quotes#1.given: 7",
        "keeps, though the new build has another value:",
        "  Quotes#1.size: 2, not 3",
        f"{tap.state}: updated; as it was before it is kept as {tap.state}.1",
    ]


VALUES: list[Any] = [NOTHING, 1, [2], {"k": {3}}]


def test_every_combination_of_built_stored_and_new_comes_out_as_the_table_says(tmp_path: Path) -> None:
    """One attribute for each, in an object and in one that hangs on it."""
    combinations = {f"a{n}": row for n, row in enumerate(itertools.product(VALUES, repeat=3))}

    def attributes(of: int) -> dict[str, Any]:
        return {name: copy.deepcopy(row[of]) for name, row in combinations.items() if row[of] is not NOTHING}

    def build(of: int) -> Any:
        return application(Quotes(**attributes(of), thing=Thing(**attributes(of))))

    def change(app: Any) -> None:
        for obj in (factory(app), factory(app).thing):
            for name, (_, stored, _) in combinations.items():
                if stored is not NOTHING:
                    setattr(obj, name, copy.deepcopy(stored))
                elif hasattr(obj, name):
                    delattr(obj, name)

    tap = Tap(tmp_path, build(0))
    tap.run(change)
    report = tap.update(build(2))
    for label, obj in (("Quotes#1", factory(tap.thaw())), ("Quotes#1.thing", factory(tap.thaw()).thing)):
        for name, (built, stored, new) in combinations.items():
            expected = new if stored == built else stored
            assert getattr(obj, name, NOTHING) == expected, (name, built, stored, new)
            said = [found.kind for found in report.findings if found.what == f"{label}.{name}"]
            if stored == new:
                assert said == []
            else:
                assert said == [CHANGED if stored == built else KEPT if new == built else CONFLICT]


def test_the_next_update_compares_with_the_last_build(tmp_path: Path) -> None:
    tap = Tap(tmp_path, application(Quotes(limit=10, size=1)))
    tap.run(set_to(size=2))
    tap.update(application(Quotes(limit=20, size=3)))
    report = tap.update(application(Quotes(limit=30, size=3)))
    assert told(report, CHANGED) == {"Quotes#1.limit": "20 -> 30"}
    assert told(report, KEPT) == {"Quotes#1.size": "2"}
    tap.run(set_to(limit=31))
    report = tap.update(application(Quotes(limit=40, size=3)))
    assert told(report, CONFLICT) == {"Quotes#1.limit": "31, not 40"}


def test_attributes_come_and_go(tmp_path: Path) -> None:
    tap = Tap(tmp_path, application(Quotes(old=1, used=1, kept=1)))

    def change(app: Any) -> None:
        factory(app).used = 2
        factory(app).late = "added"
        del factory(app).kept

    tap.run(change)
    report = tap.update(application(Quotes(fresh=[1], kept=1)))
    found = factory(tap.thaw())
    assert not hasattr(found, "old") and not hasattr(found, "kept")
    assert (found.used, found.late, list(found.fresh)) == (2, "added", [1])
    assert told(report, CHANGED) == {"Quotes#1.old": "1 -> nothing", "Quotes#1.fresh": "nothing -> [1]"}
    assert told(report, KEPT) == {"Quotes#1.late": "'added'", "Quotes#1.kept": "nothing"}
    assert told(report, CONFLICT) == {"Quotes#1.used": "2, not nothing"}


def test_configuration_always_takes_the_new_value(tmp_path: Path) -> None:
    tap = Tap(tmp_path, application(Quotes(greeting="hello", n=0)))
    tap.run(set_to(greeting="changed while it ran", n=1))
    report = tap.update(application(Quotes(greeting="hi", n=0)))
    assert factory(tap.thaw()).greeting == "hi"
    assert told(report, CHANGED) == {"Quotes#1.greeting": "'changed while it ran' -> 'hi'"}


def test_containers_count_by_what_is_in_them(tmp_path: Path) -> None:
    def build(*words: str) -> Any:
        return application(
            Quotes(
                words=list(words),
                table=dict.fromkeys(words, 0),
                queue=deque(words, maxlen=5),
                seen=set(words),
                order=OrderedDict.fromkeys(words),
                counts=Counter(words),
                nested={"a": [{"b": (words, [1])}]},
            )
        )

    tap = Tap(tmp_path, build("x"))

    def change(app: Any) -> None:
        factory(app).table["x"] += 1
        factory(app).nested["a"][0]["b"][1].append(2)
        factory(app).seen.add("y")
        factory(app).seen.discard("y")

    tap.run(change)
    report = tap.update(build("x", "z"))
    found = factory(tap.thaw())
    assert list(found.words) == list(found.queue) == list(found.order) == ["x", "z"]
    assert found.seen == {"x", "z"} and found.counts["z"] == 1
    assert dict(found.table) == {"x": 1}
    assert list(found.nested["a"][0]["b"][1]) == [1, 2]
    assert set(told(report, CONFLICT)) == {"Quotes#1.table", "Quotes#1.nested"}


def test_a_container_of_the_new_build_is_tracked_and_keeps_no_row_of_its_own(tmp_path: Path) -> None:
    tap = Tap(tmp_path, application(Quotes(words=["x"])))
    tap.update(application(Quotes(words=["y"])))
    tap.run(lambda app: factory(app).words.append("z"))
    assert list(factory(tap.thaw()).words) == ["y", "z"]
    assert read_info(tap.state).counts["objects"] == 3  # application, listener, factory


def test_a_big_container_that_changed_is_kept_operations_and_all(tmp_path: Path) -> None:
    tap = Tap(tmp_path, application(Quotes(table={n: n for n in range(3000)}, limit=1)))
    tap.run(lambda app: factory(app).table.update({7: "seven"}))
    tap.update(application(Quotes(table={n: n for n in range(3000)}, limit=2)))
    found = factory(tap.thaw())
    assert (found.table[7], found.table[2999], found.limit) == ("seven", 2999, 2)
    check_integrity(tap.state)


# --- objects ----------------------------------------------------------------------------------


def test_objects_that_hang_on_others_are_merged_attribute_by_attribute(tmp_path: Path) -> None:
    def build(step: int) -> Any:
        return application(Quotes(counter=Thing(n=0, step=step, inner=Thing(deep=0, step=step))))

    tap = Tap(tmp_path, build(1))

    def change(app: Any) -> None:
        factory(app).counter.n = 5
        factory(app).counter.inner.deep = 6

    tap.run(change)
    report = tap.update(build(2))
    counter = factory(tap.thaw()).counter
    assert (counter.n, counter.step, counter.inner.deep, counter.inner.step) == (5, 2, 6, 2)
    assert told(report, CHANGED) == {
        "Quotes#1.counter.step": "1 -> 2",
        "Quotes#1.counter.inner.step": "1 -> 2",
    }
    assert told(report, KEPT) == {"Quotes#1.counter.n": "5", "Quotes#1.counter.inner.deep": "6"}


def test_objects_in_containers_are_a_part_of_the_attribute(tmp_path: Path) -> None:
    def build(limit: int) -> Any:
        return application(
            Quotes(users={"ann": Thing(n=0, limit=limit)}, idle={"ann": Thing(n=0, limit=limit)})
        )

    tap = Tap(tmp_path, build(1))
    tap.run(lambda app: setattr(factory(app).users["ann"], "n", 1))
    report = tap.update(build(2))
    found = factory(tap.thaw())
    assert (found.users["ann"].n, found.users["ann"].limit, found.idle["ann"].limit) == (1, 1, 2)
    assert set(told(report, CONFLICT)) == {"Quotes#1.users"}


def test_references_lead_to_the_one_object_whoever_has_changed(tmp_path: Path) -> None:
    def build(limit: int) -> Any:
        thing, clock = Thing(n=0, limit=limit), Clock("clock", n=0)
        clock.things = [thing]
        return application(Quotes(thing=thing, clock=clock, call=clock.tick, all=[thing]), services=[clock])

    tap = Tap(tmp_path, build(1))

    def change(app: Any) -> None:
        factory(app).thing.n = 3
        factory(app).seen = {"it": factory(app).thing}
        app.getServiceNamed("clock").n = 4

    tap.run(change)
    tap.update(build(2))
    app = tap.thaw()
    found, clock = factory(app), app.getServiceNamed("clock")
    assert found.thing is clock.things[0] is found.all[0] is found.seen["it"]
    assert (found.thing.n, found.thing.limit) == (3, 2)
    assert found.clock is clock is found.call.__self__
    assert clock.parent is app


def test_circles_are_merged(tmp_path: Path) -> None:
    def build(limit: int) -> Any:
        first, second = Thing(limit=limit, n=0), Thing(limit=limit, n=0)
        first.next, second.next, second.table = second, first, {"all": [first, second]}
        return application(Quotes(first=first))

    tap = Tap(tmp_path, build(1))
    tap.run(lambda app: setattr(factory(app).first.next, "n", 9))
    tap.update(build(2))
    first = factory(tap.thaw()).first
    assert first.next.next is first
    assert (first.limit, first.next.limit, first.next.n) == (2, 2, 9)
    assert first.next.table["all"][0] is first


def test_circles_that_go_leave_no_rows(tmp_path: Path) -> None:
    first, second = Thing(), Thing()
    first.next, second.next = second, first
    tap = Tap(tmp_path, application(Quotes(first=first)))
    tap.update(application(Quotes(first=None)))
    assert read_info(tap.state).counts["objects"] == 3  # application, listener, factory


def test_what_the_new_build_lacks_goes_if_it_is_as_it_was_built(tmp_path: Path) -> None:
    tap = Tap(tmp_path, application(Quotes(n=0), Keys(n=0), services=[Clock("clock", n=0)]))
    report = tap.update(application(Quotes(n=0)))
    app = tap.thaw()
    assert [x.label for x in app.listeners] == ["tcp:1717"] and not app.services
    assert told(report, CHANGED) == {
        "Keys#1": "no longer listens on tcp:1718",
        "clock": "goes, as it was built",
    } | {"Keys#1": told(report, CHANGED)["Keys#1"]}
    assert "Keys#1: goes, as it was built" in "\n".join(report.lines())
    assert read_info(tap.state).counts["objects"] == 3


def test_what_changed_and_is_lacking_stops_the_update_by_name(tmp_path: Path) -> None:
    tap = Tap(tmp_path, application(Quotes(n=0), Keys(n=0), services=[Clock("clock", n=0)]))

    def change(app: Any) -> None:
        factory(app, 1).n = 1
        app.getServiceNamed("clock").extra = 1

    tap.run(change)
    before = contents(tmp_path)
    with pytest.raises(ConfigurationError) as caught:
        tap.update(application(Quotes(n=0)))
    assert "what has changed since it was built: Keys#1 (n), clock (extra)" in caught.value.message
    assert caught.value.cure.endswith("--drop Keys#1 --drop clock")
    assert contents(tmp_path) == before
    report = tap.update(application(Quotes(n=0)), drop=["Keys#1", "clock"])
    assert told(report, CHANGED)["clock"] == "is forgotten (--drop)"
    assert read_info(tap.state).counts["objects"] == 3


def test_an_object_on_a_path_is_not_lost_either(tmp_path: Path) -> None:
    def build(thing: Any) -> Any:
        return application(Quotes(thing=thing))

    tap = Tap(tmp_path, build(Thing(n=0)))
    tap.run(lambda app: setattr(factory(app).thing, "n", 1))
    for thing in (None, Other(n=0)):
        with pytest.raises(ConfigurationError, match=r"Quotes#1\.thing \(n\)"):
            tap.update(build(thing))
    tap.update(build(Other(n=5)), drop=["Quotes#1.thing"])
    found = factory(tap.thaw()).thing
    assert (type(found), found.n) == (Other, 5)


def test_an_object_that_came_while_it_ran_stays_where_it_is(tmp_path: Path) -> None:
    tap = Tap(tmp_path, application(Quotes(thing=None, limit=1)))
    tap.run(lambda app: setattr(factory(app), "thing", Thing(n=4)))
    report = tap.update(application(Quotes(thing=Other(n=0), limit=2)))
    assert factory(tap.thaw()).thing.n == 4
    assert told(report, CONFLICT) == {"Quotes#1.thing": "a Thing, not a Other"}


def test_dropping_what_is_still_built_takes_all_of_the_new_build(tmp_path: Path) -> None:
    tap = Tap(tmp_path, application(Quotes(n=0, thing=Thing(n=0))))

    def change(app: Any) -> None:
        factory(app).n = factory(app).thing.n = 1

    tap.run(change)
    tap.update(application(Quotes(n=0, thing=Thing(n=0))), drop=["Quotes#1"])
    found = factory(tap.thaw())
    assert (found.n, found.thing.n) == (0, 0)


def test_dropping_what_is_not_there_is_an_error_that_lists_what_is(tmp_path: Path) -> None:
    tap = Tap(tmp_path, application(Quotes(n=0)))
    with pytest.raises(UsageError, match="--drop Kyes#1: .* holds no such object; it holds Quotes#1"):
        tap.update(application(Quotes(n=0)), drop=["Kyes#1"])


def test_new_objects_are_added(tmp_path: Path) -> None:
    tap = Tap(tmp_path, application(Quotes(n=0)))
    tap.run(set_to(n=3))
    clock = Clock("clock", n=0)
    report = tap.update(application(Quotes(n=0, thing=Thing(n=1)), Keys(clock=clock), services=[clock]))
    app = tap.thaw()
    assert (factory(app).n, factory(app).thing.n) == (3, 1)
    assert factory(app, 1).clock is app.getServiceNamed("clock")
    assert {"Keys#1": "is new", "clock": "is new"}.items() <= told(report, CHANGED).items()
    info = read_info(tap.state)
    assert set(info.plan["objects"]) == {"Quotes#1", "Keys#1", "clock"} and all(info.plan["objects"].values())


def test_objects_of_classes_that_are_gone_are_kept_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tap = Tap(tmp_path, application(Quotes(n=0)))
    tap.run(lambda app: setattr(factory(app), "old", [updates.Gone(what="kept")]))
    gone = updates.Gone
    with monkeypatch.context() as away:
        away.delattr(updates, "Gone")
        away.delitem(registry._by_name, "cli.updates.Gone")
        report = tap.update(application(Quotes(n=1)))
        assert any("class cli.updates.Gone" in note for note in report.notes)
    found = factory(tap.thaw())
    assert (found.n, type(found.old[0]), found.old[0].what) == (1, gone, "kept")


def test_a_class_of_a_newer_version_is_upgraded_on_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tap = Tap(tmp_path, application(Quotes(thing=updates.Gone(seconds=60, n=0))))
    tap.run(lambda app: setattr(factory(app).thing, "n", 3))
    with monkeypatch.context() as away:
        away.delitem(registry._by_name, "cli.updates.Gone")

        class Newer(Thing, version=2):
            __module__, __qualname__ = "cli.updates", "Gone"

            def upgrade_from_1(self, state: dict[str, Any]) -> dict[str, Any]:
                state["minutes"] = state.pop("seconds") / 60
                return state

        away.setattr(updates, "Gone", Newer)
        report = tap.update(application(Quotes(thing=Newer(minutes=1.0, n=0))))
        thing = factory(tap.thaw()).thing
        assert (type(thing), thing.minutes, thing.n) == (Newer, 1.0, 3)
        assert not hasattr(thing, "seconds")
        assert set(told(report, KEPT)) == {"Quotes#1.thing.n"}


# --- two of a type, and what came while it ran ------------------------------------------------


def test_two_servers_of_a_type_keep_their_own_state(tmp_path: Path) -> None:
    def build(*limits: int) -> Any:
        return application(*(Quotes(limit=limit, n=0) for limit in limits))

    tap = Tap(tmp_path, build(1, 2))

    def change(app: Any) -> None:
        factory(app, 0).n, factory(app, 1).n = 10, 20

    tap.run(change)
    tap.update(build(1, 3))
    app = tap.thaw()
    assert [(factory(app, k).limit, factory(app, k).n) for k in (0, 1)] == [(1, 10), (3, 20)]


def test_a_listener_that_was_closed_while_it_ran_does_not_mix_up_its_neighbours(tmp_path: Path) -> None:
    """The second of a type has become the first by its ordinal; its row says who it is."""

    def build(*limits: int) -> Any:
        return application(*(Quotes(limit=limit, n=0) for limit in limits))

    tap = Tap(tmp_path, build(1, 2))

    def change(app: Any) -> None:
        factory(app, 1).n = 20
        app.unlistenTCP(1717)

    tap.run(change)
    assert list(read_info(tap.state).plan["objects"]) == ["Quotes#1"]
    tap.update(build(1, 3))
    app = tap.thaw()
    assert [(factory(app, k).limit, factory(app, k).n) for k in (0, 1)] == [(1, 0), (3, 20)]


def test_what_was_added_while_it_ran_stays(tmp_path: Path) -> None:
    tap = Tap(tmp_path, application(Quotes(n=0), services=[pool(Clock("one", n=0))]))

    def change(app: Any) -> None:
        app.listenTCP(1800, factory(app))
        app.listenTCP(1801, Quotes(n=5))
        app.addService(Clock("late", n=6))
        app.getServiceNamed("pool").addService(Clock("two", n=7))

    tap.run(change)
    tap.update(application(Quotes(n=0), port=1718, services=[pool(Clock("one", n=0))]))
    app = tap.thaw()
    assert [x.label for x in app.listeners] == ["tcp:1718", "tcp:1800", "tcp:1801"]
    assert factory(app, 0) is factory(app, 1)
    assert factory(app, 2).n == 5
    assert app.getServiceNamed("late").n == 6
    assert app.getServiceNamed("late").parent is app
    assert {name: child.n for name, child in app.getServiceNamed("pool").services.items()} == {
        "one": 0,
        "two": 7,
    }
    assert app.getServiceNamed("pool").getServiceNamed("two").parent is app.getServiceNamed("pool")


def test_a_factory_that_was_added_is_not_taken_for_a_new_one_of_its_type(tmp_path: Path) -> None:
    tap = Tap(tmp_path, application(Quotes(n=0)))
    tap.run(lambda app: app.listenTCP(1900, Quotes(n=99)))
    tap.update(application(Quotes(n=0), Quotes(n=1)))
    app = tap.thaw()
    assert [(x.port, x.factory.n) for x in app.listeners] == [(1717, 0), (1718, 1), (1900, 99)]


def test_a_service_of_another_class_does_not_take_the_place_of_one_that_was_added(tmp_path: Path) -> None:
    tap = Tap(tmp_path, application(Quotes(n=0)))
    tap.run(lambda app: app.addService(Clock("late", n=1)))
    with pytest.raises(ConfigurationError, match=r"late \(added while it ran\)"):
        tap.update(application(Quotes(n=0), services=[MultiService("late")]))
    tap.update(application(Quotes(n=0), services=[Clock("late", n=0)]))
    assert tap.thaw().getServiceNamed("late").n == 1


def test_a_service_that_was_added_to_one_that_goes_is_not_lost(tmp_path: Path) -> None:
    tap = Tap(tmp_path, application(Quotes(n=0), services=[pool(Clock("one", n=0))]))
    tap.run(lambda app: app.getServiceNamed("pool").addService(Clock("two", n=7)))
    with pytest.raises(ConfigurationError, match="pool/two"):
        tap.update(application(Quotes(n=0)))


def test_what_was_taken_out_while_it_ran_is_there_again_and_that_is_said(tmp_path: Path) -> None:
    def build() -> Any:
        return application(Quotes(n=0), Keys(n=0), services=[pool(Clock("one", n=0))])

    tap = Tap(tmp_path, build())

    def change(app: Any) -> None:
        app.getServiceNamed("pool").removeService("one")
        app.unlistenTCP(1718)

    tap.run(change)
    report = tap.update(build())
    assert {"Keys#1", "pool/one"} <= set(tap.thaw_labels())
    again = [found.what for found in report.of(CHANGED) if "there again" in found.text]
    assert again == ["Keys#1", "pool/one"]


def test_a_plan_that_does_not_say_what_was_built_loses_nothing(tmp_path: Path) -> None:
    tap = Tap(tmp_path, application(Quotes(n=0, limit=1), Keys(n=0)))
    tap.run(set_to(n=3), keeps=["servers"])
    with pytest.raises(ConfigurationError, match=r"Keys#1 \(n\)"):
        tap.update(application(Quotes(n=0, limit=2)))
    report = tap.update(application(Quotes(n=0, limit=2), Keys(n=0)))
    assert (factory(tap.thaw()).n, factory(tap.thaw()).limit) == (3, 1)
    assert told(report, CONFLICT) == {"Quotes#1.n": "3, not 0", "Quotes#1.limit": "1, not 2"}


def test_calls_follow_the_build_and_those_made_while_it_ran_stay(tmp_path: Path) -> None:
    def build(period: float) -> Any:
        clock = Clock("clock", n=0)
        app = application(Quotes(n=0), services=[clock])
        clock.handle = app.addPeriodic(period, clock.tick)
        app.addPeriodic(3600, clock.tick)
        return app

    tap = Tap(tmp_path, build(60))

    def change(app: Any) -> None:
        for call in app.schedule.values():
            call.due_s = 1e9
        app.addDelayed(77, app.getServiceNamed("clock").tick)

    tap.run(change)
    tap.update(build(30))
    app = tap.thaw()
    clock = app.getServiceNamed("clock")
    calls = {call.seconds: call for call in app.schedule.values()}
    assert sorted(calls) == [30, 77, 3600]
    assert calls[3600].due_s == 1e9 and calls[30].due_s is None
    assert clock.handle is calls[30]
    assert all(call.method.__self__ is clock and call.schedule is app.schedule for call in calls.values())
    tap.update(build(30), options={"again": 1})
    app = tap.thaw()
    assert app.getServiceNamed("clock").handle in app.schedule.values() and len(app.schedule) == 3


def test_a_handle_that_is_new_in_the_build_is_that_of_the_call_that_goes_on(tmp_path: Path) -> None:
    def build(name: str) -> Any:
        clock = Clock("clock", n=0)
        app = application(Quotes(n=0), services=[clock])
        setattr(clock, name, app.addPeriodic(60, clock.tick))
        return app

    tap = Tap(tmp_path, build("old"))
    tap.run(lambda app: setattr(app.schedule[1], "due_s", 1e9))
    tap.update(build("new"))
    app = tap.thaw()
    assert list(app.schedule.values()) == [app.getServiceNamed("clock").new]
    assert app.schedule[1].due_s == 1e9


# --- listeners and what else is configuration -------------------------------------------------


def test_listeners_are_told_in_words(tmp_path: Path) -> None:
    tap = Tap(tmp_path, application(Quotes(n=0)), port=1717)
    tap.run(set_to(n=2))
    report = tap.update(application(Quotes(n=0), port=1718), options={"port": 1718})
    assert list(report.lines())[:3] == [
        "changes:",
        "  quotes: --port 1717 -> 1718",
        "  Quotes#1: listens on tcp:1717 -> tcp:1718",
    ]
    info = read_info(tap.state)
    assert [entry["label"] for entry in info.plan["listeners"]] == ["tcp:1718"]
    assert info.plan["servers"][0]["options"] == {"port": 1718}
    assert factory(tap.thaw()).n == 2


def test_what_else_a_listener_has_is_told_too(tmp_path: Path) -> None:
    def build(backlog: int) -> Any:
        app = application()
        app.listenTCP(1717, Quotes(n=0), backlog=backlog)
        return app

    tap = Tap(tmp_path, build(10))
    report = tap.update(build(20))
    assert told(report, CHANGED) == {"tcp:1717 backlog": "10 -> 20"}
    assert tap.thaw().listeners[0].backlog == 20


def test_attributes_of_the_application_are_merged_as_well(tmp_path: Path) -> None:
    tap = Tap(tmp_path, application(Quotes(), authorizer=Thing(users=["ann"], rule=1)))
    tap.run(lambda app: app.authorizer.users.append("bob"))
    report = tap.update(application(Quotes(), authorizer=Thing(users=["ann"], rule=2)))
    authorizer = tap.thaw().authorizer
    assert (list(authorizer.users), authorizer.rule) == (["ann", "bob"], 2)
    assert told(report, CHANGED) == {"the application.authorizer.rule": "1 -> 2"}


# --- the file ---------------------------------------------------------------------------------


def contents(folder: Path) -> dict[str, str]:
    """Return a digest of each file, hidden ones too."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_it_is_the_same_tap_one_epoch_later(tmp_path: Path) -> None:
    tap = Tap(tmp_path, application(Quotes(n=0)))
    tap.run(set_to(n=1))
    before, old = read_info(tap.state), tap.state.read_bytes()
    tap.update(application(Quotes(n=0, m=1)))
    after = read_info(tap.state)
    assert (after.lineage, after.role, after.base_epoch) == (before.lineage, "state", before.base_epoch)
    assert after.epoch == before.epoch + 1
    assert (tmp_path / "quotes-shutdown.tap.1").read_bytes() == old
    check_integrity(tap.state)


def test_through_a_link_the_tap_is_updated_where_it_lies(tmp_path: Path) -> None:
    tap = Tap(tmp_path, application(Quotes(n=0)))
    (tmp_path / "other").mkdir()
    link = tmp_path / "other" / "link.tap"
    link.symlink_to(tap.state)
    report = tap.update(application(Quotes(n=1)), path=link)
    assert link.is_symlink() and factory(tap.thaw()).n == 1
    assert report.kept_as == f"{tap.state}.1"
    assert os.listdir(tmp_path / "other") == ["link.tap"]


def test_a_rehearsal_says_the_same_and_writes_nothing(tmp_path: Path) -> None:
    tap = Tap(tmp_path, application(Quotes(limit=1, n=0)))
    tap.run(set_to(n=1))
    before, names = contents(tmp_path), sorted(os.listdir(tmp_path))
    rehearsal = tap.update(application(Quotes(limit=2, n=0)), dry_run=True)
    assert (contents(tmp_path), sorted(os.listdir(tmp_path))) == (before, names)
    assert rehearsal.findings == tap.update(application(Quotes(limit=2, n=0))).findings
    assert list(rehearsal.lines()) == [
        "would change:",
        "  Quotes#1.limit: 1 -> 2",
        "would keep what changed while it ran:",
        "  Quotes#1.n: 1",
        f"{tap.state}: nothing was written (--dry-run)",
    ]


def test_a_rehearsal_needs_no_permission_to_write(tmp_path: Path) -> None:
    tap = Tap(tmp_path, application(Quotes(limit=1)))
    lock = TapLock(tap.state)
    lock.acquire(0)
    assert tap.update(application(Quotes(limit=2)), dry_run=True).findings
    lock.release()


def test_nothing_to_change_writes_nothing(tmp_path: Path) -> None:
    tap = Tap(tmp_path, application(Quotes(limit=1, n=0)))
    tap.run(set_to(n=1))
    before = contents(tmp_path)
    report = tap.update(application(Quotes(limit=1, n=0)))
    assert not report.is_written and contents(tmp_path) == before
    assert list(report.lines())[-1] == f"{tap.state}: nothing to change, nothing was written"
    rehearsal = tap.update(application(Quotes(limit=1, n=0)), dry_run=True)
    assert list(rehearsal.lines()) == list(report.lines())


def test_options_that_change_nothing_else_are_noted(tmp_path: Path) -> None:
    tap = Tap(tmp_path, application(Quotes(limit=1)), colour="red", sub_options={"a": 1})
    report = tap.update(application(Quotes(limit=1)), options={"colour": "blue", "sub_options": {"a": 1}})
    assert told(report, CHANGED) == {"quotes": "--colour 'red' -> 'blue'"}
    assert read_info(tap.state).plan["servers"][0]["options"]["colour"] == "blue"


def test_a_seed_is_made_anew(tmp_path: Path) -> None:
    tap = Tap(tmp_path, application(Quotes(limit=1, words=["a"])))
    tap.seed.chmod(0o640)
    lineage = read_info(tap.seed).lineage
    report = tap.update(application(Quotes(limit=2, words=["b"]), port=1718), path=tap.seed)
    info = read_info(tap.seed)
    assert (info.role, info.epoch, info.lineage) == ("seed", 0, lineage)
    assert tap.seed.stat().st_mode & 0o777 == 0o640
    app = tap.thaw(tap.seed)
    assert (factory(app).limit, list(factory(app).words), app.listeners[0].port) == (2, ["b"], 1718)
    assert set(told(report, CHANGED)) == {"Quotes#1", "Quotes#1.limit", "Quotes#1.words"}
    assert any(f"{tap.state} is not changed" in line for line in report.lines())
    assert not report.kept_as and sorted(os.listdir(tmp_path)) == ["quotes-shutdown.tap", "quotes.tap"]
    # And again: what was built last is known of a seed too.
    assert set(
        told(tap.update(application(Quotes(limit=3, words=["b"]), port=1718), path=tap.seed), CHANGED)
    ) == {"Quotes#1.limit"}


def test_a_tap_that_code_has_made_says_how_it_is_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    application(Quotes(n=0)).save("start")
    with pytest.raises(ConfigurationError, match="was built by code, not by mktap, so it has no options"):
        update_tap("quotes-start.tap", None, None)


def test_a_tap_that_is_missing_or_damaged_is_refused(tmp_path: Path) -> None:
    tap = Tap(tmp_path, application(Quotes(limit=0)))
    with pytest.raises(TapError, match="does not exist"):
        tap.update(application(Quotes(n=0)), path=tmp_path / "none.tap")
    whole = bytearray(tap.state.read_bytes())
    at = whole.index(b"limit")
    whole[at] ^= 0xFF
    tap.state.write_bytes(whole)
    before = contents(tmp_path)
    with pytest.raises(TapError, match="quotes-shutdown.tap: .*damaged"):
        tap.update(application(Quotes(n=1)))
    assert contents(tmp_path) == before


def test_one_that_is_in_use_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taphouse.cli.starting.owning._HOLDER_WAIT_S", 0.0)
    tap = Tap(tmp_path, application(Quotes(n=0)))
    with Popen([sys.executable, "-c", HOLD, str(tap.state)], stdin=PIPE, stdout=PIPE) as process:
        assert process.stdout is not None and process.stdin is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(AlreadyRunningError, match=rf"process {process.pid} uses it .*tap stop"):
            tap.update(application(Quotes(n=1)))
        process.stdin.close()


def test_a_failure_in_the_middle_leaves_the_tap_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    tap = Tap(tmp_path, application(Quotes(n=0)))
    before = contents(tmp_path)
    monkeypatch.setattr(replacing, "publish", fails)
    with pytest.raises(Exception, match="No space left"):
        tap.update(application(Quotes(n=1)))
    assert contents(tmp_path) == before


# --- secrets ----------------------------------------------------------------------------------


def test_a_secret_that_only_the_tap_holds_is_taken_from_there(tmp_path: Path) -> None:
    def build(secret: Secret, limit: int) -> Any:
        return application(Quotes(door=Thing(key=secret), all={"of": [(secret, limit)]}, limit=limit))

    tap = Tap(tmp_path, build(Secret("swordfish"), 1))
    for path in (tap.state, tap.seed):
        report = tap.update(build(Secret.kept(), 2), path=path)
        found = factory(tap.thaw(path))
        assert found.door.key.reveal() == found.all["of"][0][0].reveal() == "swordfish"
        assert found.limit == 2
        assert "Quotes#1.door.key" not in told(report, CHANGED)
        assert "swordfish" not in "\n".join(report.lines())


def test_a_new_secret_replaces_the_old_one_and_neither_is_shown(tmp_path: Path) -> None:
    tap = Tap(tmp_path, application(Quotes(key=Secret("swordfish"))))
    report = tap.update(application(Quotes(key=Secret("tuna"))))
    assert factory(tap.thaw()).key.reveal() == "tuna"
    assert told(report, CHANGED) == {"Quotes#1.key": "takes the new build's"}
    assert "tuna" not in read_info(tap.state).plan_text


def test_a_digest_of_a_secret_tells_nothing_about_it() -> None:
    """Else whoever reads the plan could try words until one fits."""
    ways = (Secret("swordfish"), Secret("tuna"), Secret.from_file("/a"), Secret.from_file("/b"))
    found = [as_built(application(Quotes(key=secret, all=[secret])))["Quotes#1"] for secret in ways]
    assert found[0] == found[1]
    assert found[0] != found[2] != found[3]


def test_a_new_secret_beside_what_changed_is_not_taken_and_that_is_said(tmp_path: Path) -> None:
    tap = Tap(tmp_path, application(Quotes(door=[Secret("swordfish"), 0])))
    tap.run(lambda app: factory(app).door.append(1))
    report = tap.update(application(Quotes(door=[Secret("tuna"), 0])))
    assert factory(tap.thaw()).door[0].reveal() == "swordfish"
    assert set(told(report, CONFLICT)) == {"Quotes#1.door"}


def test_a_secret_that_is_nowhere_is_asked_for(tmp_path: Path) -> None:
    tap = Tap(tmp_path, application(Quotes(n=0)))
    with pytest.raises(ConfigurationError, match=r"Quotes#1\.key: the secret .*; give it anew"):
        tap.update(application(Quotes(n=0, key=Secret.kept())))


# --- what the plan says of what was added -----------------------------------------------------


def test_a_server_that_is_added_to_a_tap_counts_as_built_and_what_came_while_it_ran_does_not() -> None:
    quotes = Quotes(n=0)
    app = application(quotes)
    plan = built_entries(app)
    quotes.n = 1
    app.listenTCP(1800, quotes)
    additions = Additions(app, plan)
    app.listenTCP(1900, Keys(n=5))
    extended = additions.entries()
    assert extended["built"]["listeners"] == ["tcp:1717", "tcp:1900"]
    assert extended["built"]["objects"] == ["Quotes#1", "Keys#1"]
    assert extended["as_built"]["Quotes#1"] == plan["as_built"]["Quotes#1"]
    assert set(extended["as_built"]) == {"the application", "Quotes#1", "Keys#1"}


def test_labels_are_paths_of_attributes_up_to_a_depth() -> None:
    inner = Thing(n=0)
    top = Thing(next=inner, twice=inner)
    for _ in range(20):
        inner.next = Thing(n=0)
        inner = inner.next
    labels = list(locate(application(Quotes(chain=top, hidden=[Thing()]))))
    assert labels[:4] == ["the application", "Quotes#1", "Quotes#1.chain", "Quotes#1.chain.next"]
    assert len(labels) == 10 and not any("hidden" in label or "twice" in label for label in labels)
