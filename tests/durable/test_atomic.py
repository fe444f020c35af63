"""atomic(): all or nothing, never across an await."""

from __future__ import annotations

import asyncio
import copy
import threading
from collections import Counter, OrderedDict, defaultdict, deque
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from random_changes import make_thing, one_change, steps


class Boom(Exception):
    pass


def _freeze(value: Any, seen: dict[int, int] | None = None) -> Any:
    """Return ``value`` as nested tuples that show kinds, orders, and what is the same object."""
    seen = {} if seen is None else seen
    if isinstance(value, (set, list, dict, deque)):
        if id(value) in seen:
            return ("again", seen[id(value)])
        seen[id(value)] = len(seen)
    if isinstance(value, set):
        return ("set", frozenset(value))
    if isinstance(value, dict):
        kind = next(k.__name__ for k in (OrderedDict, defaultdict, Counter, dict) if isinstance(value, k))
        return (kind, tuple((k, _freeze(v, seen)) for k, v in value.items()))
    if isinstance(value, deque):
        return ("deque", value.maxlen, tuple(_freeze(v, seen) for v in value))
    if isinstance(value, (list, tuple)):
        return (list.__name__ if isinstance(value, list) else "tuple", tuple(_freeze(v, seen) for v in value))
    return value


def _shape(room: Any, thing: Any) -> Any:
    """Return all that an undone block must leave as it was: values, orders, owners."""
    seen: dict[int, Any] = {}

    def owners(value: Any) -> None:
        if room.is_tracked(value) and id(value) not in seen:
            owner = value._tap_owner
            row = value._tap_row
            seen[id(value)] = (id(owner() if owner else None), value._tap_slots, row is not None)
            for part in value.values() if isinstance(value, dict) else value:
                owners(part)
        elif isinstance(value, tuple):
            for part in value:
                owners(part)

    for value in room.raw_state(thing).values():
        owners(value)
    return _freeze(dict(room.raw_state(thing))), list(room.raw_state(thing)), seen


@pytest.mark.slow
@settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(before=steps, inside=steps, nested=steps)
def test_a_block_that_raises_leaves_everything_as_it_was(
    room: Any, before: Any, inside: Any, nested: Any
) -> None:
    thing = make_thing(room)
    for step in before:
        one_change(room, thing, step)
    shape = _shape(room, thing)
    with pytest.raises(Boom), room.atomic():
        for step in inside:
            one_change(room, thing, step)
        middle = _shape(room, thing)
        with pytest.raises(Boom), room.atomic():
            for step in nested:
                one_change(room, thing, step)
            raise Boom
        assert _shape(room, thing) == middle
        raise Boom
    assert _shape(room, thing) == shape


@pytest.mark.slow
@settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(before=steps, inside=steps)
def test_a_block_that_ends_well_does_what_it_does_without_one(room: Any, before: Any, inside: Any) -> None:
    one, other = make_thing(room), make_thing(room)
    for step in (*before, *inside):
        if step[0] == 4 or step[0] % 10 == 9 or step[0] == 1:
            continue
        one_change(room, one, copy.deepcopy(step))
    with room.atomic():
        for step in (*before, *inside):
            if step[0] == 4 or step[0] % 10 == 9 or step[0] == 1:
                continue
            one_change(room, other, copy.deepcopy(step))
    assert _shape(room, one)[:2] == _shape(room, other)[:2]


def test_ops_of_an_undone_block_are_forgotten_and_later_ones_are_not(attached: Any) -> None:
    room, thing = attached.room, attached.thing
    thing.d = {i: [i] for i in range(5)}
    room.make_own(thing.d)
    room.attach(thing.d, attached.ledger, 9)
    room.take_ops(thing.d)
    thing.d["first"] = 1
    with pytest.raises(Boom), room.atomic():
        thing.d["second"] = 2
        thing.d[3].append(0)
        raise Boom
    thing.d[3].append("later")
    assert room.take_ops(thing.d) == [("s", "first", 1), ("s", 3, [3, "later"])]


def test_deleted_entries_come_back_at_their_places(attached: Any) -> None:
    thing = attached.thing
    thing.d = dict.fromkeys("abcde")
    thing.o = OrderedDict.fromkeys("abcde")
    thing.x, thing.y, thing.z = 1, 2, 3
    order = list(vars(thing))
    for key in "ace":
        with pytest.raises(Boom), attached.room.atomic():
            del thing.d[key]
            thing.d[key] = 1
            thing.o.pop(key)
            del thing.x
            thing.x = 5
            raise Boom
    assert list(thing.d) == list(thing.o) == list("abcde")
    assert list(vars(thing)) == order
    assert thing.x == 1


def test_an_inner_block_that_raises_is_a_savepoint(attached: Any) -> None:
    thing = attached.thing
    thing.n = 0
    with attached.room.atomic():
        thing.n = 1
        with pytest.raises(Boom), attached.room.atomic():
            thing.n = 2
            raise Boom
        assert thing.n == 1
    assert thing.n == 1


def test_what_an_inner_block_kept_is_undone_with_the_outer(attached: Any) -> None:
    thing = attached.thing
    thing.n = 0
    with pytest.raises(Boom), attached.room.atomic():
        with attached.room.atomic():
            thing.n = 2
        raise Boom
    assert thing.n == 0


def test_a_block_is_entered_once(room: Any) -> None:
    block = room.atomic()
    with block:
        pass
    with pytest.raises(RuntimeError), block:
        pass


def test_another_thread_is_not_undone_with_the_block(room: Any) -> None:
    class Thing(room.Durable):
        pass

    theirs, ours = Thing(), Thing()

    def build() -> None:
        theirs.n = 1

    with pytest.raises(Boom), room.atomic():
        ours.n = 1
        thread = threading.Thread(target=build)
        thread.start()
        thread.join()
        raise Boom
    assert dict(vars(theirs)) == {"n": 1}
    assert dict(vars(ours)) == {}


async def _suspended(room: Any, thing: Any, waiting: Any) -> None:
    with room.atomic():
        thing.n = 1
        await waiting
        thing.n = 2


@pytest.mark.parametrize(
    "wait", [lambda: asyncio.sleep(0), lambda: asyncio.sleep(0.001), lambda: asyncio.Event().wait()]
)
def test_an_await_that_suspends_raises_and_undoes(attached: Any, wait: Any) -> None:
    thing = attached.thing
    thing.n = 0

    async def main() -> None:
        with pytest.raises(RuntimeError, match="suspended by await"):
            await _suspended(attached.room, thing, wait())
        assert thing.n == 0
        thing.n = 5
        await asyncio.sleep(0)
        assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]

    asyncio.run(main())
    assert thing.n == 5
    assert not attached.room.in_atomic()


def test_another_task_never_sees_nor_loses_anything_to_a_suspended_block(attached: Any) -> None:
    thing = attached.thing
    thing.n = 0
    seen = []

    async def other() -> None:
        thing.m = 1
        seen.append(thing.n)

    async def main() -> None:
        task = asyncio.create_task(other())
        with pytest.raises(RuntimeError, match="suspended by await"):
            await _suspended(attached.room, thing, asyncio.sleep(0))
        await task

    asyncio.run(main())
    assert seen == [0]
    assert dict(vars(thing)) == {"n": 0, "m": 1}


def test_an_await_that_does_not_suspend_is_no_error(attached: Any) -> None:
    async def at_once() -> int:
        return 7

    async def main() -> None:
        with attached.room.atomic():
            attached.thing.n = await at_once()

    asyncio.run(main())
    assert attached.thing.n == 7


def test_committed_inside_a_block_raises_and_outside_returns_at_once(room: Any) -> None:
    async def main() -> None:
        await room.durable.committed()
        with pytest.raises(RuntimeError, match="inside atomic"), room.atomic():
            await room.durable.committed()

    asyncio.run(main())


def test_a_turn_never_ends_with_half_a_block(attached: Any) -> None:
    """A drain while a block is open finds the state before the block."""
    block = attached.room.atomic()
    attached.thing.n = 0
    block.__enter__()
    attached.thing.n = 1
    attached.ledger.drain()
    assert attached.thing.n == 0
    with pytest.raises(RuntimeError, match="suspended"):
        block.__exit__(None, None, None)
