"""Writing attributes of durable objects: noticed, checked, read-only from the side."""

from __future__ import annotations

import copy
import gc
import pickle
import sys
import threading
import weakref
from typing import Any

import pytest

from taphouse.errors import InternalError, NotDurableError, WrongThreadError


def test_each_write_and_deletion_marks_the_object_once_per_epoch(attached: Any) -> None:
    thing = attached.thing
    for change in (
        lambda: setattr(thing, "n", 1),
        lambda: setattr(thing, "n", thing.n + 1),
        lambda: setattr(thing, "text", "a" * (2 << 20)),
        lambda: delattr(thing, "n"),
        lambda: setattr(thing, "items", [1]),
        lambda: setattr(thing, "items", None),
    ):
        change()
        change_again = thing.__setattr__
        change_again("other", 1)
        assert attached.ledger.drain().dirty == [thing]
        assert not attached.ledger.is_dirty


def test_the_ledger_tells_once_when_it_becomes_dirty(attached: Any) -> None:
    attached.thing.a = 1
    attached.thing.a = 2
    attached.thing.b = [1]
    attached.thing.b.append(2)
    assert attached.calls == 1
    attached.ledger.drain()
    attached.thing.b.append(2)
    assert attached.calls == 2


def test_volatile_names_hold_anything_and_mark_nothing(attached: Any) -> None:
    lock = threading.Lock()
    attached.thing._v_lock = lock
    assert attached.thing._v_lock is lock
    del attached.thing._v_lock
    assert not hasattr(attached.thing, "_v_lock")
    assert not attached.ledger.is_dirty


def test_volatile_values_are_made_at_first_use_for_each_object(room: Any) -> None:
    class Thing(room.Durable):
        waiting = room.volatile(set)

    one, other = Thing(), Thing()
    one.waiting.add(1)
    assert one.waiting == {1}
    assert other.waiting == set()
    assert room.raw_state(one) == {"_v_waiting": {1}}
    assert type(one.waiting) is set
    one.waiting = 5
    assert one.waiting == 5
    del one.waiting
    assert one.waiting == set()


def test_the_dict_of_an_object_is_a_view_that_cannot_be_written(room: Any) -> None:
    class Mixin:
        pass

    class Thing(Mixin, room.Durable):
        pass

    @room.durable
    class Decorated:
        pass

    for thing in (Thing(), Decorated()):
        thing.n = 1
        assert dict(vars(thing)) == {"n": 1}
        for write in (
            lambda thing=thing: vars(thing).__setitem__("n", 2),
            lambda thing=thing: thing.__dict__.update(n=2),
            lambda thing=thing: setattr(thing, "__dict__", {"n": 2}),
        ):
            with pytest.raises((TypeError, AttributeError)):
                write()
        assert thing.n == 1


def test_properties_and_other_data_descriptors_do_their_own_writing(attached: Any) -> None:
    class Celsius(attached.room.Durable):
        @property
        def fahrenheit(self) -> float:
            return self.degrees * 1.8 + 32

        @fahrenheit.setter
        def fahrenheit(self, value: float) -> None:
            self.degrees = (value - 32) / 1.8

        @property
        def fixed(self) -> int:
            return 1

    t = Celsius()
    t.fahrenheit = 212
    assert dict(vars(t)) == {"degrees": 100.0}
    with pytest.raises(AttributeError):
        t.fixed = 2
    with pytest.raises(AttributeError):
        del t.fixed


def test_methods_and_defaults_of_the_class_are_overridden_by_attributes(room: Any) -> None:
    class Thing(room.Durable):
        limit = 5

        def __init__(self, n: int) -> None:
            self.n = n

    thing = Thing(3)
    thing.limit = 6
    assert (thing.n, thing.limit, Thing.limit) == (3, 6, 5)
    del thing.limit
    assert thing.limit == 5
    with pytest.raises(AttributeError, match="no attribute 'limit'"):
        del thing.limit


def test_arguments_nobody_takes_are_refused(room: Any) -> None:
    class Empty(room.Durable):
        pass

    with pytest.raises(TypeError, match="takes no arguments"):
        Empty(1)


def test_names_of_the_tracker_are_refused(room: Any) -> None:
    class Thing(room.Durable):
        pass

    with pytest.raises(AttributeError):
        Thing()._tap_row = None


@pytest.mark.parametrize("value", [1, "x", [1], None, {"a": 1}])
def test_a_write_from_another_thread_raises_and_changes_nothing(attached: Any, value: Any) -> None:
    thing = attached.thing
    thing.x, thing.items = 0, [1]
    attached.ledger.drain()
    errors = []

    def meddle() -> None:
        for change in (
            lambda: setattr(thing, "x", value),
            lambda: delattr(thing, "x"),
            lambda: thing.items.append(value),
            lambda: thing.items.__setitem__(0, value),
            lambda: thing.items.clear(),
        ):
            try:
                change()
            except WrongThreadError as error:
                errors.append(str(error))

    thread = threading.Thread(target=meddle)
    thread.start()
    thread.join()
    assert len(errors) == 5
    assert all("Thing" in error and "durable.call" in error for error in errors)
    assert (thing.x, thing.items) == (0, [1])
    assert not attached.ledger.is_dirty


def test_an_object_that_is_not_attached_may_be_built_in_any_thread(room: Any) -> None:
    class Thing(room.Durable):
        pass

    made = []

    def build() -> None:
        thing = Thing()
        thing.items = [1]
        made.append(thing)

    thread = threading.Thread(target=build)
    thread.start()
    thread.join()
    made[0].items.append(2)
    assert made[0].items == [1, 2]


def test_after_the_ledger_is_closed_writes_say_why(attached: Any) -> None:
    attached.thing.items = [1]
    attached.ledger.close("its application has stopped", cure="start it again")
    for change in (lambda: setattr(attached.thing, "x", 1), lambda: attached.thing.items.append(1)):
        with pytest.raises(InternalError, match=r"stopped; start it again"):
            change()
    assert dict(vars(attached.thing)) == {"items": [1]}


def test_a_refused_value_changes_nothing(attached: Any) -> None:
    attached.thing.x = [1]
    attached.ledger.drain()
    for change in (
        lambda: setattr(attached.thing, "x", threading.Lock()),
        lambda: setattr(attached.thing, "x", {"a": [1, (2, threading.Lock())]}),
        lambda: attached.thing.x.append(lambda: None),
        lambda: attached.thing.x.extend([1, threading.Lock()]),
    ):
        with pytest.raises(NotDurableError):
            change()
    assert attached.thing.x == [1]
    assert not attached.ledger.is_dirty


def test_copies_of_durable_objects_are_new_and_unattached(attached: Any) -> None:
    room, thing = attached.room, attached.thing
    thing.items, thing.n, thing._v_x = [[1]], 5, object()
    shallow, deep = copy.copy(thing), copy.deepcopy(thing)
    assert dict(vars(shallow)) == dict(vars(deep)) == {"items": [[1]], "n": 5}
    assert room.oid_of(shallow) == room.oid_of(deep) == 0
    assert shallow.items is thing.items
    assert deep.items is not thing.items
    assert room.is_tracked(deep.items[0])
    thing.me = thing
    again = copy.deepcopy(thing)
    assert again.me is again


def test_durable_objects_are_not_pickled(attached: Any) -> None:
    with pytest.raises(NotDurableError, match="is not pickled"):
        pickle.dumps(attached.thing)


def test_the_row_numbers_of_dead_objects_are_reported(attached: Any) -> None:
    room = attached.room

    class Other(room.Durable):
        pass

    attached.thing.other = other = Other()
    attached.thing.big = [1]
    big = attached.thing.big
    room.make_own(big)
    room.attach(other, attached.ledger, 7)
    room.attach(big, attached.ledger, 8)
    gone = weakref.ref(other)
    del attached.thing.other, attached.thing.big, other, big
    gc.collect()
    assert gone() is None
    attached.ledger.dirty.clear()
    assert sorted(attached.ledger.drain().freed) == [7, 8]


def test_objects_in_circles_are_collected(room: Any) -> None:
    class Thing(room.Durable):
        pass

    ledger = room.Ledger()
    one, other = Thing(), Thing()
    ledger.begin(one)
    room.attach(one, ledger, 1)
    room.attach(other, ledger, 2)
    one.other, other.items = other, [one]
    ledger.drain()
    gone = weakref.ref(one)
    ledger.root = None
    del one, other
    gc.collect()
    assert gone() is None
    assert sorted(ledger.drain().freed) == [1, 2]


def test_many_writes_leak_nothing(attached: Any) -> None:
    thing = attached.thing
    room = attached.room

    class Other(room.Durable):
        pass

    def work() -> None:
        for i in range(200):
            thing.n = i * 1000003
            thing.text = f"text {i}"
            thing.items = [i, {"a": i}]
            thing.items.append([i])
            other = Other()
            room.attach(other, attached.ledger, 100 + i)
            other.x = thing
            thing.other = other
            del thing.text
            attached.ledger.drain()

    work()
    gc.collect()
    before = len(gc.get_objects())
    work()
    work()
    gc.collect()
    assert len(gc.get_objects()) - before < 200  # one in each round would be 400


def test_no_path_loses_or_keeps_a_reference(attached: Any) -> None:
    room = attached.room
    text, number, key = "text " + str(1), 10**30, "key " + str(2)

    class Other(room.Durable):
        pass

    def references() -> list[int]:
        gc.collect()
        counted = (text, number, key, Other, room.TrackedList, room.TrackedDict, attached.ledger)
        return [sys.getrefcount(value) for value in counted]

    def work(first: int) -> None:
        for i in range(50):
            thing = Other()
            thing.text, thing.number = text, number
            thing.d = {key: text, "x": {"y": [number, text]}}
            thing.items = [text, [number], {key: text}]
            thing.items.append([text])
            thing.d[key] = {key: number}
            thawed = room.make_blank(Other)
            room.restore_state(
                thawed, {key: text, "d": {key: [text, number, (text,)]}, "s": {1}, "t": (1, [text])}
            )
            room.attach(thawed, attached.ledger, first + i)
            thawed.n = number
            for refused in (lambda thing=thing: setattr(thing, "x", [text, {key: len}]), lambda: Other(text)):
                with pytest.raises((NotDurableError, TypeError)):
                    refused()
            big = room.make_blank(room.TrackedDict)
            room.restore_container(big, {key: [text, {key: number}]})
            room.make_own(big)
            del thing.number
            attached.ledger.drain()

    work(100)
    before = references()
    work(200)
    assert references() == before
