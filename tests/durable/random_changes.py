"""Random changes for the property tests of the durable room: one vocabulary, every kind of container."""

from __future__ import annotations

import contextlib
from collections import Counter, OrderedDict, defaultdict, deque
from typing import Any

from hypothesis import strategies as st

__all__ = ["all_containers", "make_thing", "one_change", "steps"]

values = st.recursive(
    st.integers(0, 3) | st.sampled_from(["a", "b", b"c", None, 0.5]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
        | st.tuples(inner, inner)
        | st.builds(deque, st.lists(inner, max_size=2), st.sampled_from([None, 3]))
        | st.builds(OrderedDict, st.dictionaries(st.sampled_from("abc"), inner, max_size=3))
        | st.sets(st.integers(0, 4), max_size=3)
    ),
    max_leaves=6,
)
steps = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 10), st.integers(0, 4), values), max_size=8)
NAMES = ["l", "d", "s", "q", "o", "dd", "c", "n"]


def all_containers(room: Any, thing: Any) -> list[Any]:
    found: list[Any] = []

    def walk(value: Any) -> None:
        if room.is_tracked(value):
            if any(value is x for x in found):
                return
            found.append(value)
            for part in list(value.values() if isinstance(value, dict) else value):
                walk(part)
        elif isinstance(value, tuple):
            for part in value:
                walk(part)

    for value in list(room.raw_state(thing).values()):
        walk(value)
    return found


def one_change(room: Any, thing: Any, step: tuple[int, int, int, Any]) -> None:
    """Do one random change to something inside ``thing``; some are refused, such as counting with a list."""
    with contextlib.suppress(TypeError):
        _change(room, thing, step)


def _change(room: Any, thing: Any, step: tuple[int, int, int, Any]) -> None:
    what, which, at, value = step
    containers = all_containers(room, thing)
    name = NAMES[which % len(NAMES)]
    if what < 4 or not containers:
        if what == 0 and name in vars(thing):
            delattr(thing, name)
        elif what == 1 and containers:
            setattr(thing, name, containers[which % len(containers)])
        else:
            setattr(thing, name, value)
        return
    c = containers[which % len(containers)]
    if what == 4:
        value = containers[at % len(containers)]
    key = "abc"[at % 3]
    if isinstance(c, set):
        getattr(c, ["add", "discard", "clear", "update", "symmetric_difference_update"][what % 5])(
            *{0: (at,), 1: (at,), 2: ()}.get(what % 5, ({at, 1},))
        )
    elif isinstance(c, dict):
        [
            lambda: c.__setitem__(key, value),
            lambda: c.pop(key, None),
            lambda: c.clear(),
            lambda: c.setdefault(key, value),
            lambda: c.update({key: value, "z": 1}) if not isinstance(c, Counter) else c.update([key]),
            lambda: c.popitem() if c else None,
            lambda: c.move_to_end(next(iter(c)), bool(at % 2)) if c and isinstance(c, OrderedDict) else None,
            lambda: c.__delitem__(key) if key in c else None,
        ][what % 8]()
    elif isinstance(c, deque):
        [
            lambda: c.append(value),
            lambda: c.appendleft(value),
            lambda: c.rotate(at),
            lambda: c.pop() if c else None,
            lambda: c.popleft() if c else None,
            lambda: c.extend([value, 1]),
            lambda: c.__setitem__(0, value) if c else None,
            lambda: c.__delitem__(-1) if c else None,
            lambda: c.reverse(),
            lambda: c.extendleft([value]),
        ][what % 10]()
    else:
        [
            lambda: c.append(value),
            lambda: c.insert(at, value),
            lambda: c.pop() if c else None,
            lambda: c.__setitem__(slice(at, at + 2), [value, value]),
            lambda: c.__delitem__(slice(0, at)),
            lambda: c.reverse(),
            lambda: c.__setitem__(at % len(c), value) if c else None,
            lambda: c.__imul__(2) if len(c) < 10 else None,
            lambda: c.extend([value]),
            lambda: c.sort(key=repr),
            lambda: c.__delitem__(-1) if c else None,
            lambda: c.pop(0) if c else None,
        ][what % 12]()


def make_thing(room: Any) -> Any:
    class Thing(room.Durable):
        pass

    thing = Thing()
    thing.l, thing.d, thing.s, thing.q = [1, [2]], {"a": [1], "b": 2}, {1, 2}, deque([1, [2]], 3)
    thing.o, thing.dd, thing.c = OrderedDict(a=1, b=[2]), defaultdict(list, a=[1]), Counter("aab")
    thing.t = ([1], {"a": 1})
    return thing
