"""Whatever a tap may hold comes back equal, of the same type, shared where it was shared."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from pathlib import Path
from typing import Any

import pytest
import tapmodels
from hypothesis import HealthCheck, given, settings
from tapvalues import VALUES, values
from tapwork import difference, root_with, round_trip, thaw_seed

from taphouse.durable import is_own
from taphouse.persist import check_integrity, write_seed


@pytest.mark.parametrize("name", VALUES)
def test_a_value_comes_back_as_it_was(tmp_path: Path, name: str) -> None:
    """Every kind of the list of values, type by type and bit by bit."""
    saved = root_with(value=VALUES[name])
    assert difference(saved, round_trip(tmp_path, value=VALUES[name])) == ""


def test_an_order_that_was_changed_afterwards_is_kept(tmp_path: Path) -> None:
    """An OrderedDict knows its order beside its dict; move_to_end changes only the former."""
    ordered = OrderedDict(a=1, b=2, c=3)
    ordered.move_to_end("a")
    root = round_trip(tmp_path, value=ordered)
    assert list(root.value) == ["b", "c", "a"]


def test_instances_of_plain_classes_come_back_without_running_their_code(tmp_path: Path) -> None:
    """Dataclasses, slots, frozen ones and ordinary classes; no constructor or hook is called."""
    account = tapmodels.Account("ann", [[1], ["two"]], {"k": {3}})
    slotted = tapmodels.Slotted([1])
    slotted.extra = ("in the dict",)
    plain = tapmodels.Plain()
    plain.attribute = {"a": [1]}
    frozen = tapmodels.Frozen(what=[1, 2])
    tapmodels.Plain.calls.clear()
    values = [account, slotted, plain, frozen, bytearray(b"\0raw")]
    root = round_trip(tmp_path, values=values)
    assert tapmodels.Plain.calls == []
    assert difference(root_with(values=values), root) == ""
    assert not hasattr(root.values[1], "right")


def test_a_thing_that_was_shared_is_shared_again(tmp_path: Path) -> None:
    """Durable objects, containers, plain instances and lists inside plain instances keep identity."""
    node, shared = tapmodels.Node(), tapmodels.Account("ann", [])
    both = [1]
    shared.entries = [both, both]
    root = root_with(first=node, second=[node, shared], third=shared)
    root.list = [1]
    root.alias = root.list
    write_seed(tmp_path / "shared.tap", root, {"name": "tested"})
    thawed = thaw_seed(tmp_path / "shared.tap").root
    assert thawed.first is thawed.second[0]
    assert thawed.second[1] is thawed.third
    assert thawed.third.entries[0] is thawed.third.entries[1]
    assert thawed.list is thawed.alias and is_own(thawed.list)


def test_circles_of_every_kind_come_back(tmp_path: Path) -> None:
    """Objects, lists and plain instances that contain themselves."""
    root = root_with(node=tapmodels.Node())
    root.node.parent = root
    root.ring = []
    root.ring.append(root.ring)
    root.table = {}
    root.table["self"] = (root.table,)
    account = tapmodels.Account("ann", [])
    account.entries.append(account)
    root.account = account
    write_seed(tmp_path / "circles.tap", root, {"name": "tested"})
    thawed = thaw_seed(tmp_path / "circles.tap").root
    assert thawed.node.parent is thawed
    assert thawed.ring[0] is thawed.ring
    assert thawed.table["self"][0] is thawed.table
    assert thawed.account.entries[0] is thawed.account


def test_a_long_chain_needs_no_deep_stack(tmp_path: Path) -> None:
    """Ten thousand objects in a row, which recursion would not survive."""
    root = root_with(next=None)
    for number in range(10_000):
        node = tapmodels.Node()
        node.number, node.next = number, root.next
        root.next = node
    thawed = root_of_chain(tmp_path, root)
    node, count = thawed.next, 0
    while node is not None:
        node, count = node.next, count + 1
    assert count == 10_000


def root_of_chain(folder: Path, root: Any) -> Any:
    write_seed(folder / "chain.tap", root, {"name": "tested"})
    return thaw_seed(folder / "chain.tap").root


def test_dicts_and_sets_keyed_by_objects_hash_them_when_they_have_their_state(tmp_path: Path) -> None:
    """A key whose __hash__ reads its attributes, found through other keys and tuples too."""
    keys = [tapmodels.Named(f"key {n}") for n in range(20)]
    table = {key: n for n, key in enumerate(keys)}
    keys[0].about = {keys[1]: "of the second"}
    root = round_trip(
        tmp_path,
        table=table,
        group=set(keys[:5]),
        frozen=frozenset({(keys[6], 1)}),
        colours={tapmodels.Colour.RED: 1, tapmodels.Point(1, 2): 2},
    )
    assert {key.name: n for key, n in root.table.items()} == {f"key {n}": n for n in range(20)}
    for key in root.table:
        assert root.table[key] == int(key.name.split()[1])
    first = next(iter(root.table))
    assert first.about[tapmodels.Named("key 1")] == "of the second"
    assert tapmodels.Named("key 4") in root.group and (tapmodels.Named("key 6"), 1) in root.frozen
    assert root.colours == {tapmodels.Colour.RED: 1, tapmodels.Point(1, 2): 2}


def test_methods_of_durable_objects_come_back_bound(tmp_path: Path) -> None:
    counter = tapmodels.Counter2()
    root = round_trip(tmp_path, counter=counter, call=counter.bump)
    root.call()
    assert root.counter.n == 1


def test_big_containers_are_stored_in_chunks_and_come_back(tmp_path: Path) -> None:
    """Lists, dicts, sets, deques and ordered dicts of more than a thousand entries, in order."""
    big: dict[str, Any] = {
        "list": [[n] for n in range(2500)],
        "dict": {f"key {n}": (n, [n]) for n in range(3001)},
        "set": set(range(1001)),
        "deque": deque(range(2000), maxlen=2000),
        "ordered": OrderedDict((n, n) for n in reversed(range(1500))),
        "default": defaultdict(list, {n: [n] for n in range(1200)}),
        "counter": Counter({n: n for n in range(1100)}),
    }
    path = tmp_path / "big.tap"
    saved = root_with(**big)
    info = write_seed(path, saved, {"name": "tested"})
    assert info.counts["chunks"] == 3 + 4 + 2 + 2 + 2 + 2 + 2
    check_integrity(path)
    assert difference(saved, thaw_seed(path).root) == ""


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(value=values)
def test_any_structure_of_values_comes_back(tmp_path: Path, value: Any) -> None:
    """Structures nobody thought of."""
    assert difference(root_with(value=value), round_trip(tmp_path, value=value)) == ""
