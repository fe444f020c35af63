"""The common changes of containers, which the C twin does in one call: as the plain ones, on both twins."""

from __future__ import annotations

import copy
import random
import sys
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from typing import Any

import pytest
from test_containers import replay

Act = Callable[[Any], Any]


def _set(key: Any, value: Any) -> Act:
    def act(c: Any) -> None:
        c[key] = value

    return act


def _delete(key: Any) -> Act:
    def act(c: Any) -> None:
        del c[key]

    return act


LEAVES = [None, True, 7, 1 << 70, 0.5, 2j, "text", b"bytes", "t" * 300, (1, "two")]
KEYS = ["a", "b", b"a", 1, 0, -1, None, 1 << 70, (1, 2), 1.5, True]


def _dict_acts(rng: random.Random) -> Act:
    key, value = rng.choice(KEYS), rng.choice(LEAVES)
    return rng.choice(
        [
            _set(key, value),
            _set(key, value),
            _delete(key),
            lambda c: c.pop(key),
            lambda c: c.pop(key, value),
            lambda c: c.setdefault(key, value),
            lambda c: c.setdefault(key),
            lambda c: c.pop(),
            lambda c: c.pop(key, 1, 2, 3),
            _set([], 1),
        ]
    )


def _list_acts(rng: random.Random) -> Act:
    at, value = rng.choice([0, 1, -1, -2, 5, 99, -99, True, 1 << 62, "x", slice(0, 1)]), rng.choice(LEAVES)
    return rng.choice(
        [
            lambda c: c.append(value),
            lambda c: c.append(value),
            lambda c: c.append(value),
            _set(at, value if type(at) is not slice else [value]),
            _delete(at),
            lambda c: c.pop(at),
            lambda c: c.pop(),
            lambda c: c.pop(0, 1),
        ]
    )


def _set_acts(rng: random.Random) -> Act:
    value = rng.choice(KEYS)
    return rng.choice(
        [
            lambda c: c.add(value),
            lambda c: c.discard(value),
            lambda c: c.add([]),
            lambda c: c.remove(value),
        ]
    )


def _deque_acts(rng: random.Random) -> Act:
    value = rng.choice(LEAVES)
    return rng.choice(
        [
            lambda c: c.append(value),
            lambda c: c.append(value),
            lambda c: c.appendleft(value),
            lambda c: c.pop(),
            lambda c: c.popleft(),
            lambda c: c.append(),
        ]
    )


KINDS: dict[str, tuple[Callable[[], Any], Callable[[random.Random], Act]]] = {
    "dict": (dict, _dict_acts),
    "defaultdict": (lambda: defaultdict(int), _dict_acts),
    "Counter": (Counter, _dict_acts),
    "list": (list, _list_acts),
    "set": (set, _set_acts),
    "deque": (deque, _deque_acts),
    "short deque": (lambda: deque(maxlen=3), _deque_acts),
}


def _outcome(act: Act, container: Any) -> Any:
    try:
        return act(container)
    except Exception as error:
        return type(error)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("own", [False, True], ids=["embedded", "own"])
def test_any_row_of_changes_is_what_the_plain_container_does(attached: Any, name: str, own: bool) -> None:
    """Results, errors, contents, marks, and of an own container the ops."""
    make, acts = KINDS[name]
    room, thing, ledger = attached.room, attached.thing, attached.ledger
    thing.x, plain, written = make(), make(), make()
    tracked = thing.x
    if own:
        room.make_own(tracked)
        room.attach(tracked, ledger, ledger.new_oid())
        room.take_ops(tracked)
    ledger.drain()
    rng = random.Random(name)
    for _ in range(3000):
        act = acts(rng)
        before = list(plain.items()) if isinstance(plain, dict) else list(plain)
        assert _outcome(act, tracked) == _outcome(act, plain)
        assert tracked == plain
        after = list(plain.items()) if isinstance(plain, dict) else list(plain)
        dirty = ledger.drain().dirty
        if after != before or [*map(type, after)] != [*map(type, before)]:
            assert [*map(id, dirty)] == [id(tracked if own else thing)]
        if own:
            ops = room.take_ops(tracked)
            if ops is None:
                written = copy.copy(plain)
            else:
                replay(written, ops)
            assert written == plain
            if isinstance(plain, dict):
                assert list(written) == list(plain)


CHANGES: dict[str, tuple[Any, Act]] = {
    "set": ({"a": 1}, _set("a", 2)),
    "set new": ({}, _set("a", 2)),
    "del": ({"a": 1}, _delete("a")),
    "dict.pop": ({"a": 1}, lambda c: c.pop("a")),
    "setdefault": ({}, lambda c: c.setdefault("a", 1)),
    "list[0]": ([1], _set(0, 2)),
    "del list[0]": ([1], _delete(0)),
    "list.append": ([], lambda c: c.append(1)),
    "list.pop": ([1], lambda c: c.pop()),
    "set.add": (set(), lambda c: c.add(1)),
    "set.discard": ({1}, lambda c: c.discard(1)),
    "deque.append": (deque(), lambda c: c.append(1)),
    "deque.appendleft": (deque(), lambda c: c.appendleft(1)),
    "deque.pop": (deque([1]), lambda c: c.pop()),
    "deque.popleft": (deque([1]), lambda c: c.popleft()),
}


@pytest.mark.parametrize("name", CHANGES)
class TestAnyQuickChange:
    def test_from_another_thread_is_refused_and_changes_nothing(self, attached: Any, name: str) -> None:
        before, act = CHANGES[name]
        attached.thing.x = copy.copy(before)
        caught: list[Any] = []
        thread = threading.Thread(target=lambda: caught.append(_outcome(act, attached.thing.x)))
        thread.start()
        thread.join()
        assert [error.__name__ for error in caught] == ["WrongThreadError"]
        assert attached.thing.x == before

    def test_is_noted_by_the_big_container_around_it(self, attached: Any, name: str) -> None:
        """The first one logs the entry, the next ones have nothing to add until the ops are taken."""
        room, thing = attached.room, attached.thing
        before, act = CHANGES[name]
        thing.big = {"k": copy.copy(before), "other": 1}
        room.make_own(thing.big)
        room.attach(thing.big, attached.ledger, attached.ledger.new_oid())
        room.take_ops(thing.big)
        for _ in range(2):
            attached.ledger.drain()
            act(thing.big["k"])
            assert [x is thing.big for x in attached.ledger.drain().dirty] == [True]
            assert room.take_ops(thing.big) == [("s", "k", thing.big["k"])]
            thing.big["k"] = copy.copy(before)
            room.take_ops(thing.big)

    def test_in_an_atomic_block_is_undone(self, attached: Any, name: str) -> None:
        before, act = CHANGES[name]
        attached.thing.x = copy.copy(before)
        with pytest.raises(ZeroDivisionError), attached.room.atomic():
            act(attached.thing.x)
            raise ZeroDivisionError
        assert attached.thing.x == before

    def test_of_what_nobody_owns_needs_no_ledger(self, room: Any, name: str) -> None:
        before, act = CHANGES[name]
        kind = {dict: "Dict", list: "List", set: "Set", deque: "Deque"}[type(before)]
        tracked, plain = getattr(room, f"Tracked{kind}")(before), copy.copy(before)
        assert act(tracked) == act(plain)
        assert tracked == plain


def test_more_changes_than_are_kept_make_a_big_container_be_written_in_full(attached: Any) -> None:
    room, thing = attached.room, attached.thing
    thing.d, thing.l = {}, []
    for c in (thing.d, thing.l):
        room.make_own(c)
        room.attach(c, attached.ledger, attached.ledger.new_oid())
        room.take_ops(c)
    for n in range(100_001):
        thing.d["k"] = n
        thing.l.append(n)
    assert room.take_ops(thing.d) is None
    assert room.take_ops(thing.l) is None


def test_a_value_that_owns_containers_is_told_when_it_is_replaced(attached: Any) -> None:
    room, thing = attached.room, attached.thing
    for outer in ({"k": [1]}, [[1]]):
        thing.x = outer
        key = "k" if isinstance(outer, dict) else 0
        inner = thing.x[key]
        thing.x[key] = 5
        assert inner._tap_slots == 0
        thing.y = inner
        assert thing.y is inner and not room.is_own(inner)


def test_no_change_keeps_or_loses_a_reference(attached: Any) -> None:
    room, thing = attached.room, attached.thing
    value, key = b"value" * 20, "key" * 20
    thing.d, thing.l, thing.s, thing.q = {"a": 1}, [1], {1}, deque([1])
    for c in (thing.d, thing.l, thing.s, thing.q):
        room.make_own(c)
        room.attach(c, attached.ledger, attached.ledger.new_oid())
        room.take_ops(c)

    def round_of_changes() -> None:
        thing.d[key] = value
        thing.d.setdefault(key, 1)
        thing.d.setdefault("other", value)
        thing.d.pop("other")
        del thing.d[key]
        thing.l.append(value)
        thing.l[-1] = value
        thing.l.pop()
        thing.l.append(value)
        del thing.l[1]
        thing.s.add(value)
        thing.s.discard(value)
        thing.q.append(value)
        thing.q.appendleft(value)
        thing.q.pop()
        thing.q.popleft()
        for act in (lambda _: thing.d.pop("none"), lambda _: thing.l.pop(9), lambda _: _set(9, 1)(thing.l)):
            assert _outcome(act, None) in (KeyError, IndexError)
        for c in (thing.d, thing.l, thing.s, thing.q):
            room.take_ops(c)
        attached.ledger.drain()

    round_of_changes()
    before = sys.getrefcount(value), sys.getrefcount(key), sys.getrefcount(None)
    blocks = sys.getallocatedblocks()
    for _ in range(500):
        round_of_changes()
    assert (sys.getrefcount(value), sys.getrefcount(key)) == before[:2]
    assert abs(sys.getrefcount(None) - before[2]) < 100
    assert sys.getallocatedblocks() - blocks < 300
