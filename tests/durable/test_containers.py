"""Every way to change a tracked container is noticed, and does what the plain one does."""

from __future__ import annotations

import bisect
import copy
import json
import pickle
import random
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import Any

import pytest


def _slice_assign(c: Any) -> None:
    c[1:3] = [7, 8, 9]


def _slice_step(c: Any) -> None:
    c[::2] = [5] * len(c[::2])


def _delete(at: Any) -> Callable[[Any], None]:
    def change(c: Any) -> None:
        del c[at]

    return change


def _put(at: Any, value: Any) -> Callable[[Any], None]:
    def change(c: Any) -> None:
        c[at] = value

    return change


def _aug(operator: str, other: Any) -> Callable[[Any], None]:
    def change(c: Any) -> None:
        result = getattr(c, operator)(other)
        assert result is c

    return change


LIST = [3, 1, 2, 5]
LIST_CHANGES: dict[str, Callable[[Any], Any]] = {
    "append": lambda c: c.append(4),
    "extend": lambda c: c.extend(iter([1, 2])),
    "insert": lambda c: c.insert(-1, 9),
    "insert far": lambda c: c.insert(99, 9),
    "pop": lambda c: c.pop(),
    "pop first": lambda c: c.pop(0),
    "remove": lambda c: c.remove(2),
    "clear": lambda c: c.clear(),
    "sort": lambda c: c.sort(key=lambda v: -v),
    "reverse": lambda c: c.reverse(),
    "set": _put(-1, 8),
    "slice": _slice_assign,
    "empty slice": _put(slice(3, 1), [1]),
    "steps": _slice_step,
    "delete": _delete(1),
    "delete slice": _delete(slice(0, 2)),
    "delete steps": _delete(slice(None, None, 2)),
    "+=": _aug("__iadd__", (1, 2)),
    "*=": _aug("__imul__", 2),
    "*= 0": _aug("__imul__", 0),
    "init": lambda c: c.__init__([1]),
    "insort": lambda c: (c.sort(), bisect.insort(c, 4)),
    "shuffle": lambda c: random.Random(1).shuffle(c),
    "own extend": lambda c: c.extend(c),
}
DICT = {"a": 1, 2: "b", (1, "x"): 3.5}
DICT_CHANGES: dict[str, Callable[[Any], Any]] = {
    "set": _put("a", 5),
    "new": _put("z", 5),
    "delete": _delete(2),
    "pop": lambda c: c.pop("a"),
    "popitem": lambda c: c.popitem(),
    "clear": lambda c: c.clear(),
    "setdefault": lambda c: c.setdefault("new", 3),
    "update": lambda c: c.update({"a": 9}, k=1),
    "update pairs": lambda c: c.update([("q", 1)]),
    "|=": _aug("__ior__", {"o": 1}),
    "init": lambda c: c.__init__(a=7),
}
SET = {1, "a", (2, 3)}
SET_CHANGES: dict[str, Callable[[Any], Any]] = {
    "add": lambda c: c.add(9),
    "discard": lambda c: c.discard(1),
    "remove": lambda c: c.remove("a"),
    "pop": lambda c: c.pop() and None,
    "clear": lambda c: c.clear(),
    "update": lambda c: c.update([4], {5}),
    "difference_update": lambda c: c.difference_update([1]),
    "intersection_update": lambda c: c.intersection_update([1, 2]),
    "symmetric_difference_update": lambda c: c.symmetric_difference_update([1, 2]),
    "|=": _aug("__ior__", {6}),
    "&=": _aug("__iand__", {1}),
    "-=": _aug("__isub__", {1}),
    "^=": _aug("__ixor__", {1, 7}),
    "init": lambda c: c.__init__([8]),
}
DEQUE_CHANGES: dict[str, Callable[[Any], Any]] = {
    "append": lambda c: c.append(4),
    "appendleft": lambda c: c.appendleft(4),
    "extend": lambda c: c.extend([7, 8]),
    "extendleft": lambda c: c.extendleft([7, 8]),
    "pop": lambda c: c.pop(),
    "popleft": lambda c: c.popleft(),
    "remove": lambda c: c.remove(2),
    "clear": lambda c: c.clear(),
    "reverse": lambda c: c.reverse(),
    "rotate": lambda c: c.rotate(1),
    "set": _put(1, 9),
    "delete": _delete(0),
    "+=": _aug("__iadd__", [1]),
    "*=": _aug("__imul__", 2),
    "*= 0": _aug("__imul__", 0),
    "init": lambda c: c.__init__([1, 2]),
}
CASES: list[tuple[str, Any, Callable[[Any], Any]]] = [
    *((f"list {n}", LIST, f) for n, f in LIST_CHANGES.items()),
    *((f"dict {n}", DICT, f) for n, f in DICT_CHANGES.items()),
    *((f"set {n}", SET, f) for n, f in SET_CHANGES.items()),
    *((f"deque {n}", deque(LIST), f) for n, f in DEQUE_CHANGES.items()),
    ("deque insert", deque(LIST), lambda c: c.insert(1, 6)),
    *((f"deque(maxlen=4) {n}", deque(LIST, 4), f) for n, f in DEQUE_CHANGES.items() if n != "init"),
    *((f"OrderedDict {n}", OrderedDict(DICT), f) for n, f in DICT_CHANGES.items()),
    ("OrderedDict move_to_end", OrderedDict(DICT), lambda c: c.move_to_end("a")),
    ("OrderedDict move first", OrderedDict(DICT), lambda c: c.move_to_end(2, last=False)),
    ("OrderedDict popitem first", OrderedDict(DICT), lambda c: c.popitem(last=False)),
    *((f"defaultdict {n}", defaultdict(list, DICT), f) for n, f in DICT_CHANGES.items() if n != "init"),
    ("defaultdict missing", defaultdict(list, DICT), lambda c: c["fresh"].append(1)),
    ("defaultdict factory", defaultdict(list, DICT), lambda c: setattr(c, "default_factory", dict)),
    ("Counter update", Counter("abca"), lambda c: c.update("az", b=3)),
    ("Counter subtract", Counter("abca"), lambda c: c.subtract("az")),
    ("Counter set", Counter("abca"), _put("a", 9)),
    ("Counter delete", Counter("abca"), _delete("b")),
    ("Counter +=", Counter("abca"), _aug("__iadd__", Counter("ab"))),
    ("Counter -=", Counter("abca"), _aug("__isub__", Counter("ab"))),
    ("Counter &=", Counter("abca"), _aug("__iand__", Counter("ab"))),
    ("Counter |=", Counter("abca"), _aug("__ior__", Counter("abbb"))),
    ("Counter clear", Counter("abca"), lambda c: c.clear()),
    ("Counter popitem", Counter("abca"), lambda c: c.popitem()),
]


def _same(tracked: Any, plain: Any) -> None:
    assert tracked == plain
    assert isinstance(tracked, type(plain))
    if isinstance(plain, dict):
        assert list(tracked.items()) == list(plain.items())
    if isinstance(plain, deque):
        assert tracked.maxlen == plain.maxlen
    if isinstance(plain, defaultdict):
        assert tracked.default_factory is plain.default_factory
    if not isinstance(plain, set):
        assert repr(tracked) == repr(plain)


@pytest.mark.parametrize(("plain", "change"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
class TestEachChange:
    """Each mutating method of each kind."""

    def test_does_what_the_plain_one_does_and_marks_its_owner(
        self, attached: Any, plain: Any, change: Any
    ) -> None:
        attached.thing.x = copy.copy(plain)
        tracked = attached.thing.x
        attached.was_marked()
        expected = copy.copy(plain)
        result, wanted = change(tracked), change(expected)
        if not isinstance(plain, set):
            assert result == wanted
        _same(tracked, expected)
        assert attached.was_marked()

    def test_of_an_own_container_is_replayed_by_its_ops(self, attached: Any, plain: Any, change: Any) -> None:
        room = attached.room
        attached.thing.x = copy.copy(plain)
        tracked = attached.thing.x
        room.make_own(tracked)
        room.attach(tracked, attached.ledger, attached.ledger.new_oid())
        assert room.take_ops(tracked) is None
        attached.ledger.drain()
        written = copy.copy(plain)
        change(tracked)
        assert [x is tracked for x in attached.ledger.drain().dirty] == [True]
        ops = room.take_ops(tracked)
        if ops is not None:
            replay(written, ops)
            _same(tracked, written)
        assert room.take_ops(tracked) == []

    def test_is_undone_with_its_block(self, attached: Any, plain: Any, change: Any) -> None:
        attached.thing.x = copy.copy(plain)
        with pytest.raises(ZeroDivisionError), attached.room.atomic():
            change(attached.thing.x)
            raise ZeroDivisionError
        _same(attached.thing.x, plain)


def replay(plain: Any, ops: list[tuple[Any, ...]]) -> None:
    """Apply ops to a plain container, as a reader of a tap does."""
    for op in ops:
        match op:
            case ("s", key, value):
                plain[key] = value
            case ("d", key):
                del plain[key]
            case ("c",):
                plain.clear()
            case ("e", key, last):
                plain.move_to_end(key, last)
            case ("a", value):
                plain.add(value)
            case ("x", value):
                plain.remove(value)
            case ("p", i, j, values):
                assert 0 <= i <= j <= len(plain)
                if isinstance(plain, deque):
                    items = list(plain)
                    items[i:j] = values
                    plain.clear()
                    plain.extend(items)
                else:
                    plain[i:j] = values
            case _:
                raise AssertionError(op)


def test_common_changes_of_big_containers_are_ops_and_not_everything(attached: Any) -> None:
    room, thing = attached.room, attached.thing
    thing.d, thing.l, thing.q, thing.s = (
        dict.fromkeys(range(2000)),
        list(range(2000)),
        deque(range(2000)),
        {1, 2},
    )
    for c in (thing.d, thing.l, thing.q, thing.s):
        room.make_own(c)
        room.attach(c, attached.ledger, attached.ledger.new_oid())
        room.take_ops(c)
    thing.d[5] = "x"
    del thing.d[6]
    thing.l.append(1)
    thing.l[7] = 2
    thing.q.append(1)
    thing.q.popleft()
    thing.s.add(3)
    assert room.take_ops(thing.d) == [("s", 5, "x"), ("d", 6)]
    assert room.take_ops(thing.l) == [("p", 2000, 2000, [1]), ("p", 7, 8, [2])]
    assert room.take_ops(thing.q) == [("p", 2000, 2000, [1]), ("p", 0, 1, [])]
    assert room.take_ops(thing.s) == [("a", 3)]


def test_a_change_inside_an_entry_of_a_big_container_is_one_op_of_that_entry(attached: Any) -> None:
    room, thing = attached.room, attached.thing
    thing.d = {i: {"n": [0]} for i in range(10)}
    thing.l = [[i] for i in range(10)]
    for c in (thing.d, thing.l):
        room.make_own(c)
        room.attach(c, attached.ledger, attached.ledger.new_oid())
        room.take_ops(c)
    thing.d[3]["n"].append(1)
    thing.d[3]["n"].append(2)
    thing.l.pop(0)
    room.take_ops(thing.l)
    thing.l[4].append("x")
    assert room.take_ops(thing.d) == [("s", 3, {"n": [0, 1, 2]})]
    assert room.take_ops(thing.l) == [("p", 4, 5, [[5, "x"]])]
    attached.ledger.drain()
    thing.d[3]["n"].append(3)
    assert [x is thing.d for x in attached.ledger.drain().dirty] == [True]
    assert room.take_ops(thing.d) == [("s", 3, {"n": [0, 1, 2, 3]})]


def test_keys_that_encode_ambiguously_make_a_big_dict_be_written_in_full(attached: Any) -> None:
    room, thing = attached.room, attached.thing
    thing.d = {1: "a"}
    room.make_own(thing.d)
    room.attach(thing.d, attached.ledger, attached.ledger.new_oid())
    room.take_ops(thing.d)
    thing.d[True] = "b"
    assert room.take_ops(thing.d) is None


def test_setdefault_and_missing_return_what_is_stored(attached: Any) -> None:
    thing = attached.thing
    thing.d, thing.dd = {}, defaultdict(dict)
    thing.d.setdefault("k", []).append(1)
    thing.dd["k"]["n"] = 1
    assert thing.d == {"k": [1]}
    assert thing.dd == {"k": {"n": 1}}
    assert attached.room.is_tracked(thing.d["k"])
    assert attached.room.is_tracked(thing.dd["k"])


@pytest.mark.parametrize(
    ("plain", "make"),
    [
        ([1, 2], lambda c: c.__add__([3])),
        ([1, 2], lambda c: c[:1]),
        ([1, 2], lambda c: c * 2),
        ([1, 2], lambda c: c.copy()),
        ({1: 2}, lambda c: c | {3: 4}),
        ({1: 2}, lambda c: {3: 4} | c),
        ({1: 2}, lambda c: c.copy()),
        ({1: 2}, lambda c: type(c).fromkeys([1], 2)),
        ({1, 2}, lambda c: c | {3}),
        ({1, 2}, lambda c: {3} - c),
        ({1, 2}, lambda c: c.union([4])),
        ({1, 2}, lambda c: c.intersection([1])),
        ({1, 2}, lambda c: c & {1}),
        ({1, 2}, lambda c: c ^ {1}),
        (deque([1], 3), lambda c: c + deque([2])),
        (deque([1], 3), lambda c: c.copy()),
        (deque([1], 3), lambda c: c * 2),
        (OrderedDict(a=1), lambda c: c | OrderedDict(b=1)),
        (OrderedDict(a=1), lambda c: {"b": 1} | c),
        (OrderedDict(a=1), lambda c: c.copy()),
        (defaultdict(list, a=1), lambda c: c | {"b": 1}),
        (defaultdict(list, a=1), lambda c: c.copy()),
        (Counter("ab"), lambda c: c + Counter("a")),
        (Counter("ab"), lambda c: c - Counter("a")),
        (Counter("ab"), lambda c: c.copy()),
    ],
)
def test_what_makes_a_new_container_makes_a_plain_one(attached: Any, plain: Any, make: Any) -> None:
    attached.thing.x = copy.copy(plain)
    attached.was_marked()
    made, wanted = make(attached.thing.x), make(plain)
    assert type(made) is type(wanted)
    assert made == wanted
    assert not attached.was_marked()


@pytest.mark.parametrize(
    "plain",
    [
        [1, [2]],
        {1: {2: 3}},
        {1},
        deque([1, [2]], 5),
        OrderedDict(a=[1]),
        defaultdict(list, a=[1]),
        Counter("ab"),
    ],
)
def test_copies_and_pickles_of_containers_are_plain(attached: Any, plain: Any) -> None:
    attached.thing.x = copy.deepcopy(plain)
    tracked = attached.thing.x
    for copied in (copy.deepcopy(tracked), pickle.loads(pickle.dumps(copy.deepcopy(tracked)))):
        assert copied == plain
        assert type(copied) is type(plain)
        parts = list(copied.values()) if isinstance(copied, dict) else list(copied)
        assert not any(attached.room.is_tracked(part) for part in parts)
    assert type(copy.copy(tracked)) is type(plain)
    assert pickle.loads(pickle.dumps(tracked)) == plain
    assert type(pickle.loads(pickle.dumps(tracked))) is type(plain)


def test_tools_that_know_only_builtins_take_tracked_containers(attached: Any) -> None:
    attached.thing.x = {"a": [1, {"b": None}]}
    assert json.dumps(attached.thing.x) == '{"a": [1, {"b": null}]}'


def test_errors_are_those_of_the_plain_containers_and_change_nothing(attached: Any) -> None:
    thing = attached.thing
    thing.l, thing.d, thing.s, thing.q = [1], {1: 1}, {1}, deque([1], 1)
    for error, failing in (
        (IndexError, lambda: thing.l.pop(5)),
        (IndexError, lambda: thing.l.__setitem__(5, [])),
        (ValueError, lambda: thing.l.remove(5)),
        (ValueError, lambda: thing.l.__setitem__(slice(None, None, 2), [1, 2])),
        (KeyError, lambda: thing.d.pop(5)),
        (KeyError, lambda: thing.d.__delitem__(5)),
        (TypeError, lambda: thing.d.__setitem__([], [])),
        (KeyError, lambda: thing.s.remove(5)),
        (IndexError, lambda: thing.q.insert(0, 5)),
        (IndexError, lambda: thing.q.__setitem__(4, 5)),
        (TypeError, lambda: thing.d.update(1)),
    ):
        with pytest.raises(error):
            failing()
    assert (thing.l, thing.d, thing.s, list(thing.q)) == ([1], {1: 1}, {1}, [1])
