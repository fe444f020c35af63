"""What changes in a turn is in its epoch, all of it and nothing else."""

from __future__ import annotations

import gc
import logging
import shutil
from collections import OrderedDict, deque
from pathlib import Path
from typing import Any

import pytest
import tapmodels
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tapwork import PLAN, Running, begin, difference, find, go_on

from taphouse.durable import Ledger, oid_of
from taphouse.errors import InternalError
from taphouse.persist import Freezer, NullStore, copy_tap_files, create_state, thaw


def as_after_a_kill(running: Running, folder: Path) -> Any:
    """Return the application as a start after kill -9 would see it now."""
    shutil.rmtree(folder / "copy", ignore_errors=True)
    (folder / "copy").mkdir()
    assert running.store.path is not None
    return go_on(copy_tap_files(running.store.path, folder / "copy")).root


def test_nothing_changed_is_no_epoch(tmp_path: Path) -> None:
    running = begin(tmp_path, n=1)
    before = running.store.epoch
    assert running.freezer.freeze(PLAN) is None
    assert running.commit() == before
    running.stop()


def test_only_what_changed_is_written(tmp_path: Path) -> None:
    """One counter among many objects costs one row."""
    running = begin(tmp_path, nodes=[tapmodels.Node() for _ in range(100)])
    running.root.nodes[50].n = 1
    turn = running.freezer.freeze()
    assert turn is not None
    assert list(turn.epoch.rows) == [oid_of(running.root.nodes[50])]
    assert len(turn.data) < 40


def test_new_objects_are_found_by_reachability(tmp_path: Path) -> None:
    """An object that hangs three references away is in the same epoch; a cycle is no trouble."""
    running = begin(tmp_path)
    first, second, third = tapmodels.Node(), tapmodels.Node(), tapmodels.Node()
    first.next, second.next, third.next = [second], {"k": (third,)}, first
    running.root.first = first
    running.commit()
    copy = as_after_a_kill(running, tmp_path)
    assert copy.first.next[0].next["k"][0].next is copy.first


def test_what_is_gone_is_deleted(tmp_path: Path) -> None:
    """Rows of dead objects go with a later epoch, those in circles after a collection."""
    running = begin(
        tmp_path, node=tapmodels.Node(), ring=tapmodels.Node(), account=tapmodels.Account("ann", [])
    )
    running.root.ring.self = running.root.ring
    running.commit()
    del running.root.node, running.root.ring, running.root.account
    running.commit()
    gc.collect()
    running.commit()
    running.stop()
    thawed = go_on(tmp_path / "tested-shutdown.tap")
    assert thawed.store.info.counts["objects"] == 1


def test_a_container_with_two_owners_is_one_container(tmp_path: Path) -> None:
    running = begin(tmp_path, one=[1], node=tapmodels.Node())
    running.root.node.other = running.root.one
    running.commit()
    running.root.one.append(2)
    running.commit()
    copy = as_after_a_kill(running, tmp_path)
    assert copy.one is copy.node.other and copy.one == [1, 2]


def test_a_change_inside_a_plain_instance_is_noticed(tmp_path: Path) -> None:
    """Nobody tracks it, so it is compared: attributes, lists in it, and a bytearray."""
    account = tapmodels.Account("ann", [[1]], {"deep": [{"er": 1}]})
    running = begin(tmp_path, account=account, raw=bytearray(b"abc"))
    assert running.freezer.has_opaque
    changes = [
        lambda root: setattr(root.account, "owner", "bob"),
        lambda root: root.account.entries[0].append(2),
        lambda root: root.account.more["deep"][0].update(er=2),
        lambda root: root.raw.extend(b"d"),
    ]
    for change in changes:
        before = running.store.epoch
        change(running.root)
        assert running.commit() == before + 1
        assert difference(running.root, as_after_a_kill(running, tmp_path)) == ""
    assert running.freezer.freeze() is None


def test_a_plain_list_that_becomes_shared_gets_a_row(tmp_path: Path) -> None:
    """Identity among opaque values holds when sharing begins while it runs."""
    running = begin(tmp_path, one=tapmodels.Account("a", [[1]]), two=tapmodels.Account("b", []))
    running.root.two.entries.append(running.root.one.entries[0])
    running.commit()
    running.root.one.entries[0].append("seen by both")
    running.commit()
    copy = as_after_a_kill(running, tmp_path)
    assert copy.two.entries[0] is copy.one.entries[0] and copy.one.entries[0] == [1, "seen by both"]


def test_a_tracked_list_held_by_a_plain_instance_stays_one_list(tmp_path: Path) -> None:
    """The tracker knows only the durable owner; the row of the plain instance names the same list."""
    running = begin(tmp_path, rows=[1], account=tapmodels.Account("ann", []))
    running.root.account.entries = running.root.rows
    running.commit()
    running.root.rows.append(2)
    running.commit()
    copy = as_after_a_kill(running, tmp_path)
    assert copy.account.entries is copy.rows and copy.rows == [1, 2]


def test_comparing_that_takes_long_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    running = begin(tmp_path, accounts=[tapmodels.Account("ann", list(range(100))) for _ in range(500)])
    with caplog.at_level(logging.WARNING, logger="taphouse.persist"):
        running.root.n = 1
        running.commit()
        running.root.n = 2
        running.commit()
    assert sum("Account" in record.getMessage() for record in caplog.records) <= 1
    assert "mark their classes @durable" in caplog.text


def test_one_change_in_a_big_dict_costs_as_little_as_in_a_small_one(tmp_path: Path) -> None:
    big = {f"key {n}": n for n in range(20_000)}
    running = begin(tmp_path, big=big)
    running.root.big["key 7"] = "changed"
    turn = running.freezer.freeze()
    assert turn is not None and len(turn.data) < 60
    running.store.commit(turn)
    assert as_after_a_kill(running, tmp_path).big == {**big, "key 7": "changed"}


def test_operations_that_outgrow_a_big_container_are_rewritten(tmp_path: Path) -> None:
    """The file stays proportional to the data, however often one key is set."""
    running = begin(tmp_path, big=dict.fromkeys(range(1500), 0))
    for turn_number in range(60):
        for n in range(200):
            running.root.big[n] = turn_number * 1000 + n
        running.commit()
    while running.store.fold():
        pass
    running.stop()
    path = tmp_path / "tested-shutdown.tap"
    assert go_on(path).store.info.counts["deltas"] < 45
    assert path.stat().st_size < 300_000
    assert go_on(path).root.big[7] == 59_007


def test_an_object_that_came_and_went_in_a_big_list_leaves_it_readable(tmp_path: Path) -> None:
    """Operations that name a row which is gone since are followed by those that took it out."""
    running = begin(tmp_path, big=[tapmodels.Node(), *range(1500)])
    running.root.big.append(tapmodels.Node())
    running.root.big.pop()
    running.commit()
    running.root.big.append([tapmodels.Node()])
    running.commit()
    running.root.big.pop()
    del running.root.big[0]
    running.commit()
    gc.collect()
    running.commit()
    assert as_after_a_kill(running, tmp_path).big == list(range(1500))
    running.stop()
    assert go_on(tmp_path / "tested-shutdown.tap").root.big == list(range(1500))


operations = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.integers(0, 1300), st.integers() | st.lists(st.integers(), max_size=2)),
        st.tuples(st.just("delete"), st.integers(0, 1300), st.none()),
        st.tuples(st.just("insert"), st.integers(0, 1300), st.text(max_size=3)),
        st.tuples(st.just("rotate"), st.integers(-5, 5), st.none()),
        st.tuples(st.just("inner"), st.integers(0, 1300), st.integers()),
        st.tuples(st.just("clear"), st.just(0), st.none()),
        st.tuples(st.just("slice"), st.integers(0, 1300), st.lists(st.integers(), max_size=4)),
    ),
    max_size=25,
)


def operate(root: Any, kind: str, at: int, value: Any) -> None:
    if kind == "set":
        root.table[at] = value
        root.order[at] = value
        root.rows[at % max(1, len(root.rows)) : at % max(1, len(root.rows))] = [value]
        root.group.add(at + 5000)
        root.queue.append(value)
    elif kind == "delete":
        root.table.pop(at, None)
        root.order.pop(at, None)
        root.group.discard(at)
        if root.rows:
            del root.rows[at % len(root.rows)]
        if root.queue:
            root.queue.popleft()
    elif kind == "insert":
        root.rows.insert(at, value)
        root.queue.appendleft(value)
        if at in root.order:
            root.order.move_to_end(at, last=bool(value))
    elif kind == "rotate":
        root.queue.rotate(at)
        root.rows.reverse()
    elif kind == "inner":
        root.table.setdefault("inner", []).append(value)
        root.rows.append({"k": [value]})
        root.rows[-1]["k"].append(at)
    elif kind == "slice":
        root.rows[at : at + 3] = value
        root.queue.extend(value)
    elif kind == "clear":
        root.group.clear()


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(turns=st.lists(operations, max_size=4))
def test_any_series_of_operations_on_big_containers_is_replayed(tmp_path: Path, turns: Any) -> None:
    """Dict, ordered dict, list, set and deque; committed at random moments, thawed after a kill."""
    for leftover in tmp_path.glob("*.tap*"):
        leftover.unlink()
    running = begin(
        tmp_path,
        table={n: n for n in range(1200)},
        order=OrderedDict((n, n) for n in range(1100)),
        rows=list(range(1100)),
        group=set(range(1200)),
        queue=deque(range(1100), maxlen=1110),
    )
    for turn in turns:
        for operation in turn:
            operate(running.root, *operation)
        running.commit()
    assert difference(running.root, as_after_a_kill(running, tmp_path)) == ""
    running.stop()
    assert difference(running.root, go_on(tmp_path / "tested-shutdown.tap").root) == ""


def test_a_value_that_cannot_be_written_is_named_by_its_path(tmp_path: Path) -> None:
    """A lock hidden in a plain instance after it was stored: nothing could check that."""
    import threading

    running = begin(tmp_path, account=tapmodels.Account("ann", []))
    running.root.account.more["lock"] = threading.Lock()
    with pytest.raises(InternalError, match=r"Account\.more\['lock'\]: a lock cannot be saved"):
        running.commit()


def test_a_new_application_begins_with_everything(tmp_path: Path) -> None:
    """Made by code, without a seed."""
    root: Any = tapmodels.Root()
    root.node = tapmodels.Node()
    root.node.big = list(range(1500))
    store = create_state(tmp_path / "tested-shutdown.tap", seed=None)
    ledger = Ledger()
    ledger.begin(root)
    freezer = Freezer(ledger, store)
    freezer.snapshot_start(root)
    turn = freezer.freeze({"name": "coded"})
    assert turn is not None and turn.number == 1
    store.commit(turn)
    assert store.info.name == "app"
    store.close()
    thawed = go_on(tmp_path / "tested-shutdown.tap")
    assert thawed.store.info.name == "coded" and len(thawed.root.node.big) == 1500


def test_objects_of_unknown_classes_are_kept_as_they_are(tmp_path: Path) -> None:
    """An object, an enumeration and a named tuple whose classes are gone, rewritten beside a change."""
    running = begin(
        tmp_path,
        old=tapmodels.Node(),
        colour=[tapmodels.Colour.RED],
        point=tapmodels.Point(1, [2]),
        call=tapmodels.module_function,
    )
    running.root.old.child = tapmodels.Counter2()
    running.root.old.child.n = 5
    running.stop()
    gone = {"Node", "Colour", "Point", "module_function"}
    path = tmp_path / "tested-shutdown.tap"
    store = go_on(path).store
    from taphouse.persist import open_state

    store = open_state(path)
    thawed = thaw(store, lambda record: None if record.qualname in gone else find(record))
    assert thawed.unknown == sorted(f"tapmodels.{name}" for name in gone)
    running = Running(store, thawed)
    running.root.n = 1
    running.root.colour.append(2)
    gc.collect()
    running.stop()
    root = go_on(path).root
    assert (root.n, root.old.child.n, root.call()) == (1, 5, 7)
    assert root.colour == [tapmodels.Colour.RED, 2] and root.point == tapmodels.Point(1, [2])


def test_without_durability_everything_works_and_nothing_is_written(tmp_path: Path) -> None:
    running = begin(tmp_path, n=1)
    running.stop()
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    store = NullStore(tmp_path / "tested-shutdown.tap")
    thawed = thaw(store, find)
    freezer = Freezer(thawed.ledger, store)
    thawed.root.n += 1
    turn = freezer.freeze()
    assert turn is not None
    store.commit(turn)
    store.close()
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
