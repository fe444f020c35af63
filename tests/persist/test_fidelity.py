"""Whatever a tap may hold comes back equal, of the same type, shared where it was shared."""

from __future__ import annotations

import datetime
import decimal
import fractions
import ipaddress
import pathlib
import uuid
import zoneinfo
from collections import Counter, OrderedDict, defaultdict, deque
from pathlib import Path
from typing import Any

import pytest
import tapmodels
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tapwork import difference, root_with, round_trip, thaw_seed

from taphouse.durable import is_own
from taphouse.persist import check_integrity, write_seed

UTC = datetime.UTC
NAMED = datetime.timezone(datetime.timedelta(hours=1, minutes=30, microseconds=5), "odd")
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")

VALUES: dict[str, Any] = {
    "none": None,
    "booleans": [True, False],
    "small integers": [0, 1, -1, 127, 128, -32, -33, 255, 256, -128, -129, 65535, 65536, -32768, -32769],
    "wide integers": [2**31, -(2**31), 2**32, 2**63 - 1, -(2**63), 2**63, 2**64 - 1, 2**64, -(2**63) - 1],
    "huge integers": [10**400, -(10**400), 2**127, -(2**127), 2**128 - 1],
    "floats": [0.0, -0.0, 1.5, float("inf"), float("-inf"), float("nan"), 5e-324, 1.7976931348623157e308],
    "complex": [1 + 2j, complex("nan"), complex(-0.0, 0.0)],
    "text": ["", "a", "é" * 20, "x" * 31, "x" * 32, "y" * 255, "z" * 256, "w" * 70000, "\0", "\U0001f600"],
    "lone surrogates": ["\ud800", "a\udfffb", "\udcff" * 300],
    "bytes": [b"", b"\0\xff", b"b" * 255, b"b" * 256, b"b" * 70000],
    "tuples": [(), (1,), (1, (2, [3])), tuple(range(20))],
    "sets": [set(), {1, "a", b"b", None, (1, 2)}, frozenset(), frozenset({frozenset({1}), (2,)})],
    "dicts": [
        {},
        {"a": 1, 2: "b", None: 3, b"c": 4, 1.5: 5, False: 6},
        {(1, 2): "tuple", frozenset({1}): "set"},
    ],
    "dates": [datetime.date.min, datetime.date.max, datetime.date(2026, 11, 22)],
    "times": [
        datetime.time(1, 2, 3, 4, fold=1),
        datetime.time(1, tzinfo=UTC),
        datetime.time(2, tzinfo=BERLIN),
    ],
    "datetimes": [
        datetime.datetime.min,
        datetime.datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=BERLIN),
        datetime.datetime(2026, 1, 1, tzinfo=UTC),
        datetime.datetime(2026, 1, 1, tzinfo=NAMED),
    ],
    "time spans": [datetime.timedelta.min, datetime.timedelta.max, datetime.timedelta(-1, 5, 7)],
    "zones": [UTC, NAMED, BERLIN, zoneinfo.ZoneInfo("UTC"), datetime.timezone(-datetime.timedelta(hours=5))],
    "decimals": [
        decimal.Decimal(text) for text in ("0", "-0.00", "1E+30", "NaN", "sNaN12", "-Infinity", "1" * 99)
    ],
    "fractions": [fractions.Fraction(0), fractions.Fraction(-22, 7), fractions.Fraction(10**50, 3)],
    "uuid": uuid.UUID(int=2**128 - 1),
    "paths": [
        pathlib.Path("/etc/x"),
        pathlib.Path(),
        pathlib.PurePosixPath("a/\udcff"),
        pathlib.PureWindowsPath("C:\\x"),
    ],
    "addresses": [
        ipaddress.ip_address("127.0.0.1"),
        ipaddress.ip_address("fe80::1%eth0"),
        ipaddress.ip_network("10.0.0.0/8"),
        ipaddress.ip_network("::/0"),
        ipaddress.ip_interface("192.168.1.5/24"),
        ipaddress.ip_interface("::1/64"),
    ],
    "ranges": [range(5), range(-(10**30), 10**30, 7), range(5, 0, -1)],
    "deques": [deque(), deque([1, [2]], maxlen=5), deque([1, 2, 3], maxlen=3), deque(maxlen=0)],
    "ordered dicts": [OrderedDict(), OrderedDict([("z", 1), ("a", [2])])],
    "default dicts": [
        defaultdict(list, {"a": [1]}),
        defaultdict(None, {1: 2}),
        defaultdict(tapmodels.module_function),
    ],
    "counters": [Counter(), Counter("abracadabra"), Counter({"x": -5})],
    "enumerations": [
        tapmodels.Colour.RED,
        tapmodels.Colour.GREEN,
        tapmodels.Colour.ALSO_RED,
        tapmodels.Level.HIGH,
    ],
    "flags": [tapmodels.Rights.READ, tapmodels.Rights.READ | tapmodels.Rights.RUN, tapmodels.Rights(0)],
    "named tuples": [tapmodels.Point(1, [2]), tapmodels.Pair("l", tapmodels.Point(0, None))],
    "classes and functions": [tapmodels.Node, tapmodels.Account, tapmodels.module_function],
    "deep": [[[[[[[[{"a": [[[(1, [2])]]]}]]]]]]]],
}


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


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.binary()
    | st.decimals()
    | st.fractions()
    | st.datetimes(timezones=st.none() | st.just(UTC) | st.just(BERLIN))
    | st.timedeltas()
    | st.uuids()
    | st.sampled_from([*tapmodels.Colour, *tapmodels.Level, tapmodels.Rights.READ])
    | st.ip_addresses()
)
keys = st.integers() | st.text() | st.binary() | st.none() | st.tuples(st.integers(), st.text())
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(keys, inner)
        | st.frozensets(keys)
        | st.sets(keys)
        | st.builds(tapmodels.Account, st.text(), st.lists(inner))
        | st.lists(inner).map(deque)
        | st.builds(tapmodels.Point, st.integers(), inner)
    ),
    max_leaves=30,
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(value=values)
def test_any_structure_of_values_comes_back(tmp_path: Path, value: Any) -> None:
    """Structures nobody thought of."""
    assert difference(root_with(value=value), round_trip(tmp_path, value=value)) == ""
