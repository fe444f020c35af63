"""Containers are embedded in one owner, own when shared, and never two copies of one."""

from __future__ import annotations

import copy
import gc
import weakref
from collections import deque
from typing import Any, NamedTuple

import pytest

from taphouse.errors import InternalError


class Point(NamedTuple):
    x: Any
    y: Any


def test_nested_containers_mark_the_object_that_holds_them(attached: Any) -> None:
    thing = attached.thing
    thing.x = {"a": [{"b": deque([1])}], "t": (1, [2]), "p": Point([1], {})}
    attached.ledger.drain()
    for change in (
        lambda: thing.x["a"][0]["b"].append(2),
        lambda: thing.x["t"][1].append(3),
        lambda: thing.x["p"].x.append(2),
        lambda: thing.x["p"].y.update(k=1),
    ):
        change()
        assert attached.was_marked()
    assert thing.x == {"a": [{"b": deque([1, 2])}], "t": (1, [2, 3]), "p": ([1, 2], {"k": 1})}
    assert type(thing.x["p"]) is Point


def test_the_same_container_under_two_names_stays_one(attached: Any) -> None:
    thing = attached.thing
    thing.a = thing.b = []
    thing.a.append(1)
    assert thing.b is thing.a
    assert attached.room.is_own(thing.a)


def test_a_variable_assigned_twice_stays_one(room: Any) -> None:
    class Thing(room.Durable):
        pass

    one, other = Thing(), Thing()
    rows: list[int] = []
    one.rows = rows
    other.rows = {"rows": rows}
    assert one.rows is other.rows["rows"]
    assert room.is_own(one.rows)


def test_one_list_twice_in_one_value_stays_one(attached: Any) -> None:
    row = [1]
    attached.thing.x = [row, row]
    assert attached.thing.x[0] is attached.thing.x[1]
    assert attached.room.is_own(attached.thing.x[0])
    assert not attached.room.is_own(attached.thing.x)


def test_taking_a_second_owner_marks_the_first(attached: Any) -> None:
    room, thing = attached.room, attached.thing
    thing.a = [1]

    class Other(room.Durable):
        pass

    other = Other()
    attached.ledger.drain()
    other.a = thing.a
    assert attached.was_marked()
    assert room.is_own(thing.a)


def test_augmented_assignment_keeps_a_container_embedded(attached: Any) -> None:
    thing = attached.thing
    thing.a, thing.d = [1], {"k": [1]}
    thing.a += [2]
    thing.d["k"] += [2]
    thing.a = thing.a
    assert (thing.a, thing.d) == ([1, 2], {"k": [1, 2]})
    assert not attached.room.is_own(thing.a)
    assert not attached.room.is_own(thing.d["k"])


def test_moving_and_swapping_keep_containers_embedded(attached: Any) -> None:
    room, thing = attached.room, attached.thing
    thing.a, thing.b = [[1], [2]], []
    thing.b.append(thing.a.pop())
    thing.a.append([3])
    thing.a[0], thing.a[1] = thing.a[1], thing.a[0]
    thing.a.reverse()
    thing.a, thing.b = thing.b, thing.a
    for c in (thing.a, thing.b, *thing.a, *thing.b):
        assert not room.is_own(c)
    attached.ledger.drain()
    thing.b[0].append(0)
    assert attached.was_marked()


def test_a_container_that_left_marks_nobody_and_may_come_back(attached: Any) -> None:
    thing = attached.thing
    thing.a = [1]
    a = thing.a
    thing.a = None
    attached.ledger.drain()
    a.append(2)
    assert not attached.ledger.is_dirty
    thing.b = a
    attached.ledger.drain()
    a.append(3)
    assert attached.was_marked()
    assert not attached.room.is_own(a)


def test_a_circle_of_containers_becomes_own(attached: Any) -> None:
    thing = attached.thing
    thing.a = []
    thing.a.append(thing.a)
    assert attached.room.is_own(thing.a)
    knot: list[Any] = []
    knot.append({"back": knot})
    thing.k = knot
    assert thing.k[0]["back"] is thing.k
    assert attached.room.is_own(thing.k)
    knot = []


def test_chains_without_end_do_not_nest_without_end(attached: Any) -> None:
    room, thing = attached.room, attached.thing
    thing.chain = {}
    link = thing.chain
    depth = 0
    own = 0
    for _ in range(500):
        link["next"] = {}
        link = link["next"]
        depth = 0 if room.is_own(link) else depth + 1
        own += room.is_own(link)
        assert depth <= 60
    assert own >= 8


def test_containers_do_not_keep_their_owner_alive(room: Any) -> None:
    class Thing(room.Durable):
        pass

    thing = Thing()
    thing.a = [[1]]
    inner = thing.a[0]
    gone = weakref.ref(thing)
    gc.disable()
    try:
        del thing
        assert gone() is None
    finally:
        gc.enable()
    inner.append(2)
    assert inner == [1, 2]


def test_a_change_through_an_untracked_alias_is_an_error_that_names_the_path(attached: Any) -> None:
    rows = [1]
    attached.thing.x = {"k": rows}
    rows.append(2)
    with pytest.raises(InternalError, match=r"Thing\.x\['k'\]: changed through an alias.*use the attribute"):
        attached.ledger.drain()


@pytest.mark.parametrize(
    ("plain", "change"),
    [
        ([1], lambda c: c.append(2)),
        ([1, 2], lambda c: c.reverse()),
        ({1: 2}, lambda c: c.update({1: 3})),
        ({1: 2}, lambda c: c.clear()),
        ({1}, lambda c: c.add(2)),
        ({1}, lambda c: (c.clear(), c.add(2))),
        (deque([1, 2]), lambda c: c.rotate()),
    ],
)
def test_every_kind_of_alias_is_compared(attached: Any, plain: Any, change: Any) -> None:
    held = copy.copy(plain)
    attached.thing.x = held
    change(held)
    with pytest.raises(InternalError):
        attached.ledger.drain()
    attached.ledger.drain()


def test_an_inner_list_reached_through_an_alias_is_compared_too(attached: Any) -> None:
    rows: list[list[int]] = [[1]]
    attached.thing.x = rows
    rows[0].append(2)
    with pytest.raises(InternalError, match=r"x\[0\]"):
        attached.ledger.drain()


def test_an_alias_that_is_only_read_or_dropped_is_no_error(attached: Any) -> None:
    def store(rows: list[int]) -> None:
        attached.thing.x = rows
        attached.thing.y = {"k": rows}

    store([1])
    assert attached.ledger.drain().dirty == [attached.thing]
    rows = [2]
    attached.thing.x = rows
    attached.ledger.drain()
    rows.append(3)
    attached.thing.n = 1
    attached.ledger.drain()
    assert attached.thing.x == [2]


def test_an_alias_of_what_left_again_is_no_error(attached: Any) -> None:
    rows = [1]
    attached.thing.x = rows
    attached.thing.x = None
    rows.append(2)
    attached.ledger.drain()


def test_an_alias_changed_before_its_owner_was_attached_is_found_when_it_is(attached: Any) -> None:
    room = attached.room

    class Other(room.Durable):
        pass

    other = Other()
    rows = [1]
    other.rows = rows
    attached.ledger.drain()
    rows.append(2)
    with pytest.raises(InternalError, match=r"Other\.rows"):
        room.attach(other, attached.ledger, 9)


def test_an_alias_changed_after_its_owner_was_attached_is_found_too(attached: Any) -> None:
    class Other(attached.room.Durable):
        pass

    other = Other()
    rows = [1]
    other.rows = rows
    attached.room.attach(other, attached.ledger, 9)
    rows.append(2)
    with pytest.raises(InternalError, match=r"Other\.rows"):
        attached.ledger.drain()


def test_attaching_many_objects_while_many_containers_are_watched_takes_no_longer_each(attached: Any) -> None:
    room = attached.room

    class Other(room.Durable):
        pass

    homes = []
    real = room.parts["ownership"].home_of

    def counted(container: Any) -> Any:
        homes.append(container)
        return real(container)

    held = [[i] for i in range(200)]
    others = [Other() for _ in range(400)]
    for other, rows in zip(others, held, strict=False):
        other.rows = rows
    ledger_part = room.parts["ledger"]
    ledger_part.home_of = counted
    try:
        for number, other in enumerate(others, 10):
            room.attach(other, attached.ledger, number)
    finally:
        ledger_part.home_of = real
    assert len(homes) <= 8000  # a look at every list for each object would make 80,000


def test_building_without_an_application_does_not_grow_the_watch(room: Any) -> None:
    aliases = room.parts["aliases"]

    class Thing(room.Durable):
        pass

    def fill(thing: Any, row: list[int]) -> None:
        thing.row = row

    for i in range(5000):
        row = [i]
        fill(Thing(), row)
    assert len(aliases.WATCHED) <= 600


def test_literals_are_not_watched(attached: Any) -> None:
    room, thing = attached.room, attached.thing
    before = len(room.parts["aliases"].WATCHED)
    thing.x = {"a": [1, {}]}
    thing.x["b"] = [[]]
    thing.x["a"].append({})
    thing.x["a"][0] = []
    assert len(room.parts["aliases"].WATCHED) == before


def test_paths_lead_to_containers(attached: Any) -> None:
    room = attached.room
    attached.thing.x = {"k": [0, (1, {"z": []})]}
    assert room.path_of(attached.thing.x["k"][1][1]["z"]).endswith("Thing.x['k'][1]['z']")
    attached.ledger.label_of = lambda obj: "otk.Keys#1"
    assert room.path_of(attached.thing.x["k"]) == "otk.Keys#1.x['k']"


def test_restored_state_is_tracked_without_being_marked(room: Any) -> None:
    class Thing(room.Durable):
        def __init__(self) -> None:
            raise AssertionError

        def __setattr__(self, name: str, value: Any) -> None:
            raise AssertionError

    ledger = room.Ledger()
    thing = room.make_blank(Thing)
    room.restore_state(thing, {"n": 1, "x": {"a": [1, (2, [3])]}, "q": deque([[1]], 4)})
    ledger.begin(thing, 5)
    room.attach(thing, ledger, 1)
    assert not ledger.is_dirty
    assert room.is_tracked(thing.x["a"][1][1])
    assert thing.q.maxlen == 4
    thing.x["a"][1][1].append(4)
    assert ledger.drain().dirty == [thing]


def test_a_restored_own_container_logs_ops_from_the_first_take_on(room: Any) -> None:
    ledger = room.Ledger()
    big = room.make_blank(room.TrackedDict)
    room.restore_container(big, {"a": [1], "b": 2})
    room.make_own(big)
    ledger.begin(big)
    room.attach(big, ledger, 1)
    room.take_ops(big)
    big["a"].append(2)
    big["c"] = 1
    assert ledger.drain().dirty == [big]
    assert room.take_ops(big) == [("s", "a", [1, 2]), ("s", "c", 1)]


def test_blank_plain_objects_are_made_without_their_code(room: Any) -> None:
    class Plain:
        __slots__ = ("x",)

        def __new__(cls) -> Plain:
            raise AssertionError

        def __init__(self) -> None:
            raise AssertionError

    assert type(room.make_blank(Plain)) is Plain


def _own(attached: Any, container: Any) -> Any:
    room = attached.room
    room.make_own(container)
    room.attach(container, attached.ledger, attached.ledger.new_oid())
    room.take_ops(container)
    attached.ledger.drain()
    return container


def test_one_of_two_places_may_be_left(attached: Any) -> None:
    row = [1]
    attached.thing.rows = [row, row]
    attached.thing.rows.pop()
    attached.ledger.drain()
    attached.thing.rows[0].append(2)
    assert attached.was_marked()
    assert not attached.room.is_own(attached.thing.rows[0])


def test_a_second_place_in_a_big_container_writes_the_first_anew(attached: Any) -> None:
    room, thing = attached.room, attached.thing
    thing.d, thing.l = {"a": [1]}, [[1], [2]]
    big, rows = _own(attached, thing.d), _own(attached, thing.l)
    big["b"] = big["a"]
    rows.append(rows[0])
    assert {op[1] for op in room.take_ops(big)} == {"a", "b"}
    assert {op[1] for op in room.take_ops(rows)} == {0, 2}
    assert room.is_own(big["a"])
    assert room.is_own(rows[0])


def test_an_entry_whose_remembered_place_was_left_is_found(attached: Any) -> None:
    room, thing = attached.room, attached.thing
    thing.d = {"a": [1]}
    big = _own(attached, thing.d)
    big["b"] = big["a"]
    del big["b"]
    room.take_ops(big)
    big["a"].append(2)
    assert room.take_ops(big) == [("s", "a", [1, 2])]


def test_an_entry_inside_a_tuple_of_a_big_container_is_found(attached: Any) -> None:
    room, thing = attached.room, attached.thing
    thing.d, thing.l, thing.q = {"a": (0, ([1],))}, [0, (0, [1])], deque([0, ([1],)])
    big, rows, queue = _own(attached, thing.d), _own(attached, thing.l), _own(attached, thing.q)
    big["a"][1][0].append(2)
    rows[1][1].append(2)
    queue[1][0].append(2)
    assert room.take_ops(big) == [("s", "a", (0, ([1, 2],)))]
    assert room.take_ops(rows) == [("p", 1, 2, [(0, [1, 2])])]
    assert room.take_ops(queue) == [("p", 1, 2, [([1, 2],)])]


def test_what_was_logged_is_not_kept_alive_by_the_entry(attached: Any) -> None:
    room, thing = attached.room, attached.thing
    thing.d = {"a": [1]}
    big = _own(attached, thing.d)
    value = room.make_blank(type(thing))
    big["b"] = value
    big["a"].append(2)
    del big["b"]
    gone = weakref.ref(value)
    del value
    room.take_ops(big)
    attached.ledger.drain()
    gc.collect()
    assert gone() is None


def test_a_second_place_is_told_from_the_first_although_places_shift(attached: Any) -> None:
    room, thing = attached.room, attached.thing
    thing.l = [1, [2]]
    rows = _own(attached, thing.l)
    rows *= 2
    del rows[:2]
    room.take_ops(rows)
    attached.ledger.drain()
    assert not room.is_own(rows[1])
    rows *= 2
    ops = room.take_ops(rows)
    assert ops is None or {op[1] for op in ops} >= {1, 2}
    assert room.is_own(rows[1])
