"""What a store that believes the ledger would hold is what memory holds, whatever was done.

``Believer`` is a store in miniature: it writes only what the ledger says is dirty,
own containers by their ops.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_changes import all_containers, make_thing, one_change, steps
from test_containers import replay


class Believer:
    """Keeps a row per durable object and own container, updated only as the ledger says."""

    def __init__(self, room: Any, root: Any) -> None:
        self.room = room
        self.ledger = room.Ledger()
        self.rows: dict[int, Any] = {}
        self.ledger.begin(root)
        self.fresh: list[Any] = []
        self.attach(root)
        self.write_fresh()

    def attach(self, target: Any) -> None:
        self.room.attach(target, self.ledger, self.ledger.new_oid())
        self.fresh.append(target)

    def write_fresh(self) -> None:
        while self.fresh:
            self.write_whole(self.fresh.pop())

    def write_whole(self, target: Any) -> None:
        if self.room.is_tracked(target):
            self.room.take_ops(target)
            self.rows[self.room.oid_of(target)] = self.inline(target)
        else:
            state = self.room.raw_state(target)
            self.rows[self.room.oid_of(target)] = {k: self.encode(v) for k, v in state.items()}

    def encode(self, value: Any) -> Any:
        """Encode a value inside a row: own containers and durable objects as references."""
        if self.room.is_tracked(value):
            if not self.room.is_own(value):
                return self.inline(value)
            if not self.room.oid_of(value):
                self.attach(value)
            return ("ref", self.room.oid_of(value))
        if isinstance(value, tuple):
            return tuple(self.encode(part) for part in value)
        return value

    def inline(self, c: Any) -> Any:
        if isinstance(c, OrderedDict):
            return OrderedDict((k, self.encode(v)) for k, v in c.items())
        if isinstance(c, dict):
            return {k: self.encode(v) for k, v in c.items()}
        if isinstance(c, deque):
            return deque((self.encode(v) for v in c), c.maxlen)
        return {*c} if isinstance(c, set) else [self.encode(v) for v in c]

    def commit(self) -> None:
        for target in self.ledger.drain().dirty:
            ops = self.room.take_ops(target) if self.room.is_tracked(target) else None
            if ops is None:
                self.write_whole(target)
                continue
            encoded = []
            for op in ops:
                if op[0] == "s":
                    op = ("s", op[1], self.encode(op[2]))
                elif op[0] == "p":
                    op = ("p", op[1], op[2], [self.encode(v) for v in op[3]])
                encoded.append(op)
            replay(self.rows[self.room.oid_of(target)], encoded)
        self.write_fresh()

    def check(self, root: Any) -> None:
        """Compare every row that can be reached with what memory holds."""
        for target in [root, *(c for c in all_containers(self.room, root) if self.room.is_own(c))]:
            number = self.room.oid_of(target)
            assert number
            held = self.rows[number]
            if self.room.is_tracked(target):
                now = self.inline(target)
                assert held == now
                assert list(held) == list(now) or isinstance(now, set)
            else:
                assert held == {k: self.encode(v) for k, v in self.room.raw_state(target).items()}
        assert not self.fresh


epochs = st.lists(st.tuples(steps, st.integers(0, 12), st.booleans()), max_size=5)


class Boom(Exception):
    pass


@pytest.mark.slow
@settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(epochs=epochs)
def test_the_store_and_the_memory_never_differ(room: Any, epochs: Any) -> None:
    thing = make_thing(room)
    store = Believer(room, thing)
    for changes, big, undone in epochs:
        found = all_containers(room, thing)
        if found:
            # A container found big at a freeze becomes own: its owner's row is written anew then.
            chosen = found[big % len(found)]
            if not room.is_own(chosen):
                room.parts["ownership"].promote(chosen)
                store.commit()
        for change in changes[: len(changes) // 2]:
            one_change(room, thing, change)
        try:
            with room.atomic():
                for change in changes[len(changes) // 2 :]:
                    one_change(room, thing, change)
                if undone:
                    raise Boom
        except Boom:
            pass
        store.commit()
        store.check(thing)
