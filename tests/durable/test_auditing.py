"""What no subclass can see, an audit finds."""

from __future__ import annotations

import heapq
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

import pytest

from taphouse.errors import InternalError


@pytest.mark.parametrize(
    ("plain", "sneak"),
    [
        ([3, 4], lambda c: heapq.heappush(c, 1)),
        ([1, 2], heapq.heappop),
        ([3, 1, 2], heapq.heapify),
        ([1, 2], lambda c: heapq.heapreplace(c, 1000)),
        ([1], lambda c: list.append(c, 2)),
        ({"a": 1}, lambda c: dict.__setitem__(c, "a", 1000)),
        ({1}, lambda c: set.add(c, 2)),
        (deque([1]), lambda c: deque.append(c, 2)),
        (OrderedDict(a=1, b=2), lambda c: OrderedDict.move_to_end(c, "a")),
    ],
)
def test_a_change_past_the_methods_is_found_and_named(
    attached: Any, plain: Any, sneak: Callable[[Any], Any]
) -> None:
    attached.thing.x = {"k": (0, plain)}
    attached.ledger.drain()
    attached.ledger.audit()
    attached.ledger.drain()
    sneak(attached.thing.x["k"][1])
    with pytest.raises(InternalError, match=r"Thing\.x\['k'\]: changed past its methods"):
        attached.ledger.drain()


def test_a_list_assigned_to_itself_after_heapq_is_right_again(attached: Any) -> None:
    room, thing = attached.room, attached.thing
    thing.x = [(3, {}), (5, {})]
    attached.ledger.audit()
    attached.ledger.drain()
    entry: tuple[int, dict[str, int]] = (1, {})
    heapq.heappush(thing.x, entry)
    thing.x[:] = thing.x
    assert attached.was_marked()
    assert all(room.is_tracked(part) for _, part in thing.x)
    thing.x[0][1]["a"] = 1
    assert attached.was_marked()


def test_ordinary_work_passes_an_audit(attached: Any) -> None:
    thing = attached.thing
    attached.ledger.audit()
    for i in range(5):
        thing.n = i
        thing.x = [[i], {"a": i}]
        attached.ledger.drain()
        thing.x[0].append(1)
        thing._v_any = object()
        attached.ledger.drain()
        attached.ledger.drain()
