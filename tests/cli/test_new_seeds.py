"""A state meets a new seed: what nobody has touched is new, what was learnt stays."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli import updates
from cli.updates import Clock, Keys, Quotes, Tap, Thing, application, factory, pool, server, told
from taphouse import MultiService
from taphouse.app import make_plan
from taphouse.cli.carrying.carrying import Carried, carry_over
from taphouse.cli.carrying.options import merge_servers
from taphouse.cli.making.asbuilt import built_entries
from taphouse.cli.making.reporting import CHANGED, CONFLICT, KEPT, Report
from taphouse.cli.starting.loading import ModuleLoader
from taphouse.cli.starting.reseeding import find_new_seed, foresee_plan, merge_listeners, record_seed
from taphouse.durable import oid_of
from taphouse.errors import ConfigurationError, TapError, UsageError
from taphouse.persist import (
    Freezer,
    NullStore,
    RenewedStore,
    TapLock,
    check_integrity,
    read_info,
    write_seed,
)

KEPT_ENTRIES = ("built", "as_built", "servers", "seed")


class Grown(Tap):
    """A state that a server of code has grown, and seeds of newer versions.

    Args:
        folder: where they are put.
        app: the build that the state begins with.
        options: of its one server; none means that code has built it.
    """

    def __init__(self, folder: Path, app: Any, **options: Any) -> None:
        super().__init__(folder, app, **options)
        self._is_code = not options
        self.edition = 0
        seed = self.new_seed(app, **options)  # the same content, in another file
        self.begun_with = seed
        self.note(record_seed(str(seed), read_info(seed).plan))

    def new_seed(self, app: Any, **options: Any) -> Path:
        """Write a seed, as `app.save` or `mktap` does."""
        self.edition += 1
        path = self.folder / f"quotes-{self.edition}.tap"
        servers = {"servers": server(**options)} if options else {}

        def plan(numbers: Any) -> dict[str, Any]:
            def row(thing: object) -> int:
                return numbers[id(thing)]

            return {**make_plan(app, row), **built_entries(app, row), **servers}

        write_seed(path, app, plan)
        return path

    def note(self, record: dict[str, Any] | None) -> None:
        """Let the state say which seed it came of; None: an older version has begun it."""
        info = read_info(self.state)
        kept = {name: info.plan[name] for name in KEPT_ENTRIES if name in info.plan}
        if self._is_code:
            kept.pop("servers")
        kept.pop("seed", None)
        plan = {**kept, **({"seed": record} if record else {})}
        self._plan = plan
        self.run(keeps=())

    def _live(self, store: Any, change: Callable[[Any], object], keeps: Iterable[str] = ()) -> None:
        plan = getattr(self, "_plan", None)
        if plan is None:
            super()._live(store, change, updates.BUILT)
            return
        lock = TapLock(self.state)
        lock.acquire(0)
        thawed = updates.thaw(store, updates.find)
        freezer = Freezer(thawed.ledger, store, thawed.chunk_bytes)
        change(thawed.root)
        for obj in updates.label_objects(thawed.root).values():
            if not oid_of(obj):
                updates.attach(obj, thawed.ledger, thawed.ledger.new_oid())
                thawed.ledger.mark(obj)
        self.edition += 1
        store.commit(freezer.freeze({**make_plan(thawed.root, oid_of), **plan, "run": self.edition}))
        store.close()
        lock.release()

    def meet(self, seed: Path, *, drop: Iterable[str] = ()) -> Carried | None:
        """Merge a seed as a start does, commit, and end; None if there is nothing to merge."""
        lock = TapLock(self.state)
        lock.acquire(0)
        store = RenewedStore(self.state)
        try:
            info = read_info(self.state)
            new = find_new_seed(str(seed), info)
            if new is None or new.is_known:
                if new is not None:
                    self._plan = {**self._plan, "seed": new.record}
                return None
            loader = ModuleLoader(str(self.state), run_directory=str(self.folder), allowed=["cli"])
            carried = carry_over(info, new, [NullStore(self.state), store], loader, drop=drop)
            store.renews = carried.has_changes
            freezer = Freezer(carried.thawed.ledger, store, carried.thawed.chunk_bytes)
            turn = freezer.freeze({**make_plan(carried.application, oid_of), **carried.plan})
            assert turn is not None
            store.commit(turn)
            self._plan = carried.plan
            return carried
        finally:
            store.close()
            lock.release()
            check_integrity(self.state)

    @property
    def plan(self) -> Any:
        """The plan of the state."""
        return read_info(self.state).plan

    @property
    def ports(self) -> list[int]:
        """Where the state listens, by its objects; its plan says the same."""
        ports = [listener.port for listener in self.thaw().listeners]
        assert [entry["port"] for entry in self.plan["listeners"]] == ports
        return ports


def said(carried: Carried | None, kind: str) -> dict[str, str]:
    """Return what a merge has found of one kind."""
    assert carried is not None
    return told(Report("", tuple(carried.findings)), kind)


def set_to(**attributes: Any) -> Callable[[Any], None]:
    def change(app: Any) -> None:
        for name, value in attributes.items():
            setattr(factory(app), name, value)

    return change


# --- when ---------------------------------------------------------------------------------------------------


def test_the_seed_that_it_came_of_is_nothing_new_wherever_it_lies_and_whatever_its_name(
    tmp_path: Path,
) -> None:
    tap = Grown(tmp_path, application(Quotes(n=0)))
    (tmp_path / "elsewhere").mkdir()
    other = tmp_path / "elsewhere" / "renamed.tap"
    other.write_bytes(tap.begun_with.read_bytes())
    tap.run(set_to(n=3))
    before = tap.state.read_bytes()
    assert tap.meet(other) is None
    assert tap.meet(tmp_path / "gone.tap") is None
    assert tap.meet(tap.state) is None
    assert tap.state.read_bytes() == before


def test_a_seed_is_merged_once(tmp_path: Path) -> None:
    tap = Grown(tmp_path, application(Quotes(n=0, size=1)))
    seed = tap.new_seed(application(Quotes(n=0, size=2)))
    assert tap.meet(seed) is not None
    assert tap.meet(seed) is None
    assert sorted(path.name for path in tmp_path.glob("quotes-shutdown*")) == [
        "quotes-shutdown.tap",
        "quotes-shutdown.tap.1",
    ]


def test_a_seed_with_nothing_new_is_only_noted(tmp_path: Path) -> None:
    tap = Grown(tmp_path, application(Quotes(n=0)))
    tap.run(set_to(n=3))
    seed = tap.new_seed(application(Quotes(n=0)))
    carried = tap.meet(seed)
    assert carried is not None
    assert not carried.has_changes
    assert factory(tap.thaw()).n == 3
    assert tap.meet(seed) is None
    assert not (tmp_path / "quotes-shutdown.tap.1").exists()


def test_an_older_seed_again_takes_back_what_nobody_has_touched_since(tmp_path: Path) -> None:
    tap = Grown(tmp_path, application(Quotes(n=0, size=1, limit=5)))
    tap.run(set_to(n=3))
    tap.meet(tap.new_seed(application(Quotes(n=0, size=2, limit=5))))
    tap.run(set_to(limit=6))
    tap.meet(tap.begun_with)
    found = factory(tap.thaw())
    assert (found.n, found.size, found.limit) == (3, 1, 6)


def test_a_seed_of_another_application_is_refused(tmp_path: Path) -> None:
    tap = Grown(tmp_path, application(Quotes()))
    other = application(Quotes())
    other.name = "others"
    with pytest.raises(TapError, match="is the state of application quotes, but .* holds others"):
        tap.meet(tap.new_seed(other))


# --- attributes ---------------------------------------------------------------------------------------------


def test_what_is_as_it_was_built_takes_the_new_value_and_what_was_learnt_stays(tmp_path: Path) -> None:
    tap = Grown(tmp_path, application(Quotes(limit=10, given=0, size=1, greeting="hello")))
    tap.run(set_to(given=7, size=2))
    old = tap.state.read_bytes()
    carried = tap.meet(tap.new_seed(application(Quotes(limit=20, given=0, size=3, greeting="hi", more=[4]))))
    found = factory(tap.thaw())
    assert (found.limit, found.given, found.size, found.greeting, found.more) == (20, 7, 2, "hi", [4])
    assert told_of_attributes(said(carried, CHANGED)) == {
        "limit": "10 -> 20",
        "greeting": "'hello' -> 'hi'",
        "more": "nothing -> [4]",
    }
    assert told_of_attributes(said(carried, KEPT)) == {"given": "7"}
    assert told_of_attributes(said(carried, CONFLICT)) == {"size": "2, not 3"}
    assert (tmp_path / "quotes-shutdown.tap.1").read_bytes() == old
    # What was refused once is no conflict with a seed that says the same again.
    carried = tap.meet(tap.new_seed(application(Quotes(limit=20, given=0, size=3, greeting="hi", more=[4]))))
    assert carried is not None
    assert not carried.has_changes


def told_of_attributes(found: dict[str, str]) -> dict[str, str]:
    return {what.removeprefix("Quotes#1."): text for what, text in found.items()}


def test_containers_and_objects_of_the_seed_are_remembered_like_any_other(tmp_path: Path) -> None:
    tap = Grown(tmp_path, application(Quotes(n=0)))
    table = {key: [key] for key in range(1500)}
    both = Thing(n=1)
    tap.meet(
        tap.new_seed(application(Quotes(n=0, table=table, one=both, many=[both], plain=bytearray(b"x"))))
    )
    found = factory(tap.thaw())
    assert len(found.table) == 1500
    assert found.many[0] is found.one

    def learn(app: Any) -> None:
        factory(app).table[7].append("learnt")
        factory(app).one.n = 2

    tap.run(learn)
    tap.run(lambda app: factory(app).table.update({2000: "late"}))
    found = factory(tap.thaw())
    assert (found.table[7], found.table[2000], found.many[0].n) == ([7, "learnt"], "late", 2)
    assert found.plain == bytearray(b"x")


def test_services_come_go_and_stay(tmp_path: Path) -> None:
    tap = Grown(tmp_path, application(Quotes(), services=[pool(Clock("worker", n=0)), Clock("idle", n=0)]))
    tap.run(lambda app: setattr(app.getServiceNamed("pool").getServiceNamed("worker"), "n", 5))
    services = [pool(Clock("worker", n=0), Clock("second", n=0))]
    carried = tap.meet(tap.new_seed(application(Quotes(), services=services)))
    assert tap.thaw_labels() == ["Quotes#1", "pool", "pool/worker", "pool/second"]
    found = tap.thaw().getServiceNamed("pool")
    assert isinstance(found, MultiService)
    assert found.getServiceNamed("worker").n == 5
    assert said(carried, CHANGED)["idle"] == "goes, as it was built"


def test_scheduled_calls_follow_the_new_seed(tmp_path: Path) -> None:
    def clock(*seconds: int) -> Any:
        worker = Clock("worker", n=0)
        app = application(Quotes(), services=[worker])
        for each in seconds:
            app.addPeriodic(each, worker.tick)
        return app

    tap = Grown(tmp_path, clock(10, 20))
    carried = tap.meet(tap.new_seed(clock(20, 30)))
    assert carried is not None
    assert sorted(call.seconds for call in tap.thaw().schedule.values()) == [20, 30]
    assert [note for note in carried.notes if "10 worker.tick" in note]


# --- what has no place any more -----------------------------------------------------------------------------


def test_what_was_learnt_and_has_no_place_stops_the_start_until_it_is_dropped_by_name(
    tmp_path: Path,
) -> None:
    tap = Grown(tmp_path, application(Quotes(n=0), Keys(given=0)))
    tap.run(lambda app: setattr(factory(app, 1), "given", 9))
    before = tap.state.read_bytes()
    seed = tap.new_seed(application(Quotes(n=0)))
    with pytest.raises(ConfigurationError) as caught:
        tap.meet(seed)
    assert "Keys#1 (given)" in caught.value.message
    assert caught.value.cure is not None
    assert "--drop Keys#1" in caught.value.cure
    assert caught.value.exit_code == 78
    assert tap.state.read_bytes() == before
    with pytest.raises(UsageError, match="holds no such object"):
        tap.meet(seed, drop=["Other#1"])
    carried = tap.meet(seed, drop=["Keys#1"])
    assert said(carried, CHANGED)["Keys#1"] in ("is forgotten (--drop)", "listens on tcp:1718 -> nothing")
    assert tap.ports == [1717]


def test_what_is_as_it_was_built_goes_without_a_question(tmp_path: Path) -> None:
    tap = Grown(tmp_path, application(Quotes(n=0), Keys(given=0)))
    tap.run(set_to(n=2))
    tap.meet(tap.new_seed(application(Quotes(n=0))))
    assert tap.thaw_labels() == ["Quotes#1"]
    assert tap.ports == [1717]
    assert factory(tap.thaw()).n == 2


# --- a state that does not say what it came of --------------------------------------------------------------


def test_a_state_that_does_not_say_how_it_was_built_keeps_all_that_it_holds(tmp_path: Path) -> None:
    tap = Grown(tmp_path, application(Quotes(n=0, size=1)))
    tap._plan = {}
    tap.run(set_to(n=4))
    carried = tap.meet(tap.new_seed(application(Quotes(n=0, size=2, more=3))))
    assert carried is not None
    found = factory(tap.thaw())
    assert (found.n, found.size, found.more) == (4, 1, 3)
    [line] = carried.warnings
    assert "does not say what it was built of" in line


def test_a_state_of_an_older_version_knows_the_seed_of_its_lineage(tmp_path: Path) -> None:
    tap = Grown(tmp_path, application(Quotes(n=0)))
    tap._plan = {}
    tap.run(set_to(n=4))
    assert tap.meet(tap.seed) is None
    tap.run(set_to(n=5))
    assert tap.plan["seed"] == record_seed(str(tap.seed), read_info(tap.seed).plan)


# --- listeners ----------------------------------------------------------------------------------------------


def test_a_port_moves_with_the_seed_unless_it_was_moved_by_hand(tmp_path: Path) -> None:
    tap = Grown(tmp_path, application(Quotes(n=0), Keys(n=0)))

    def move(app: Any) -> None:
        served = factory(app)
        app.listeners.pop(0)
        app.listenTCP(9000, served)

    tap.run(move)
    carried = tap.meet(tap.new_seed(application(Quotes(n=0), Keys(n=0), port=2000)))
    assert sorted(tap.ports) == [2001, 9000]
    assert said(carried, CONFLICT)["Quotes#1"] == "listens on tcp:9000, not tcp:2000"
    assert said(carried, CHANGED)["Keys#1"] == "listens on tcp:1718 -> tcp:2001"
    tap.meet(tap.new_seed(application(Quotes(n=1), Keys(n=0), port=2000)))
    assert sorted(tap.ports) == [2001, 9000]


def test_what_was_opened_or_closed_while_it_ran_stays_so(tmp_path: Path) -> None:
    tap = Grown(tmp_path, application(Quotes(n=0), Keys(n=0)))

    def change(app: Any) -> None:
        app.listenTCP(9000, factory(app))
        app.listeners[:] = [listener for listener in app.listeners if listener.port != 1718]

    tap.run(change)
    carried = tap.meet(tap.new_seed(application(Quotes(n=1), Keys(n=0))))
    assert sorted(tap.ports) == [1717, 9000]
    assert said(carried, KEPT) == {"Keys#1": "listens on nothing"}


entries = st.lists(st.integers(1, 4), unique=True, max_size=3)


@given(built=entries, stored=entries, new=entries)
def test_the_merge_of_listeners_gives_what_one_side_alone_has_changed(
    built: list[int], stored: list[int], new: list[int]
) -> None:
    def plan(ports: list[int]) -> list[dict[str, Any]]:
        return [{"label": f"tcp:{port}", "factory": "Quotes#1", "port": port} for port in ports]

    base = {f"tcp:{port}": "Quotes#1" for port in built}
    merged = {entry["port"] for entry in merge_listeners(base, plan(stored), plan(new))}
    if set(stored) == set(built):
        assert merged == set(new)
    if set(new) == set(built):
        assert merged == set(stored)
    assert merged <= {*stored, *new}


def test_the_plan_that_is_foreseen_has_the_ports_that_come_of_it(tmp_path: Path) -> None:
    tap = Grown(tmp_path, application(Quotes(n=0)))
    seed = tap.new_seed(application(Quotes(n=0), port=2000))
    foreseen = foresee_plan(tap.plan, read_info(seed).plan)
    tap.meet(seed)
    assert [entry["label"] for entry in foreseen["listeners"]] == ["tcp:2000"]
    assert tap.ports == [2000]


def test_an_account_that_an_operator_gave_stays(tmp_path: Path) -> None:
    app = application(Quotes(n=0))
    app.uid = "one"
    tap = Grown(tmp_path, app)
    plan = tap.plan
    assert foresee_plan({**plan, "uid": "mine"}, {**plan, "uid": "two"})["uid"] == "mine"
    assert foresee_plan(plan, {**plan, "uid": "two"})["uid"] == "two"


# --- options ------------------------------------------------------------------------------------------------


def options(found: tuple[list[dict[str, Any]], list[Any]]) -> Any:
    return found[0][0]["options"]


def test_a_new_default_changes_only_what_nobody_has_touched() -> None:
    base = {"port": 1, "size": 1, "limit": 1, "same": 1, "old": 1}
    stored = {"port": 1, "size": 2, "limit": 3, "same": 4, "old": 5}
    new = {"port": 9, "size": 1, "limit": 9, "same": 4, "fresh": 6}
    found = merge_servers({"quotes": base}, server(**stored), server(**new))
    assert options(found) == {"port": 9, "size": 2, "limit": 3, "same": 4, "fresh": 6}
    assert [(finding.kind, finding.text) for finding in found[1]] == [
        (CHANGED, "--port 1 -> 9"),
        (KEPT, "--size 2"),
        (CONFLICT, "--limit 3, not 9"),
        (CHANGED, "--old is no option any more"),
    ]


def test_where_nobody_knows_what_the_default_was_the_options_of_the_state_stay() -> None:
    found = merge_servers(None, server(port=1), server(port=2, size=3))
    assert options(found) == {"port": 1, "size": 3}


def test_servers_come_and_go_with_the_seed_and_an_operators_stay() -> None:
    def named(*names: str) -> list[dict[str, Any]]:
        return [{**server(port=1)[0], "name": name} for name in names]

    base = {"one": {"port": 1}, "gone": {"port": 1}, "taken": {"port": 1}}
    merged, findings = merge_servers(base, named("one", "gone", "mine"), named("one", "taken", "new"))
    assert [entry["name"] for entry in merged] == ["one", "new", "mine"]
    assert [(finding.what, finding.kind) for finding in findings] == [
        ("taken", KEPT),
        ("new", CHANGED),
        ("gone", CHANGED),
        ("mine", KEPT),
    ]


def test_sub_commands_are_merged_with_their_options() -> None:
    def command(word: str, **inner: Any) -> dict[str, Any]:
        return {"port": 1, "sub_command": word, "sub_options": inner}

    base = command("files", path="/a", size=1)
    found = merge_servers(
        {"quotes": base},
        server(**command("files", path="/b", size=1)),
        server(**command("files", path="/a", size=2)),
    )
    assert options(found) == command("files", path="/b", size=2)
    found = merge_servers(
        {"quotes": base}, server(**command("table", name="x")), server(**command("files", path="/a", size=2))
    )
    assert options(found) == command("table", name="x")
    found = merge_servers({"quotes": base}, server(**base), server(**command("table", name="x")))
    assert options(found) == command("table", name="x")


def test_a_type_is_the_new_seeds() -> None:
    new = [{**server(port=2)[0], "type": "other"}]
    assert merge_servers({"quotes": {"port": 1}}, server(port=1), new)[0] == new


def test_a_record_that_is_misshapen_is_refused(tmp_path: Path) -> None:
    from taphouse.cli.starting.planshape import misshapen_entry

    good = {"name": "quotes", "seed": {"digest": "0", "listeners": {}, "servers": {}, "uid": None, "gid": 1}}
    assert not misshapen_entry(good)
    for key, value in (("digest", 1), ("listeners", []), ("servers", {"x": 1}), ("uid", [])):
        assert misshapen_entry({**good, "seed": {**good["seed"], key: value}}) == "seed"  # type: ignore[dict-item]
    assert misshapen_entry({**good, "seed": 7}) == "seed"
    assert os.listdir(tmp_path) == []
