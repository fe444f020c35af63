"""TrackedList: a list whose every change is noticed.

Overrides each method of ``list`` that mutates.  What goes past methods cannot
be seen: ``list.append(tracked, x)`` and C code that takes any list apart
(``heapq``) change it silently; ``Ledger.audit()`` finds that, and ``x[:] = x``
afterwards makes it right.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from sys import getrefcount
from typing import Any, SupportsIndex

from taphouse.durable.adoption import FILL, WRAPPERS, prepare, settle
from taphouse.durable.container import (
    SLOTS,
    Container,
    add_kind,
    begin_change,
    carries,
    changed_wholly,
    init_slots,
    let_go,
    log_op,
)
from taphouse.durable.holding import ALONE_IN_METHOD, ALONE_IN_SETITEM, measure_child
from taphouse.durable.kinds import QUICK, SHORT_TEXT
from taphouse.durable.ownership import HELD, touch
from taphouse.durable.twin import quicken
from taphouse.durable.undo import BLOCKS

__all__ = ["TrackedList", "find_places", "note_places", "prepare_all"]


def find_places(items: Any, child: Any, hint: Any, count: int) -> list[int]:
    """Return the ``count`` places of ``child`` itself in ``items`` that are nearest to ``hint``.

    A tuple that carries ``child`` counts as one place.  Fewer are returned if there are fewer.
    """
    size = len(items)
    start = hint if type(hint) is int and 0 <= hint < size else size - 1
    found: list[int] = []
    for distance in range(max(start, size - 1 - start) + 1):
        for index in {start - distance, start + distance}:
            if 0 <= index < size and carries(items[index], child):
                found.append(index)
                if len(found) == count:
                    return found
    return found


def prepare_all(values: Iterable[Any], owner: Any, start: int) -> tuple[list[Any], list[Any]]:
    """Prepare many values: what to store, and what to settle."""
    stored = []
    adoptions = []
    for index, value in enumerate(values, start):
        if type(value) not in QUICK:
            value, adoption = prepare(value, owner, index)
            if adoption is not None:
                adoptions.append(adoption)
        stored.append(value)
    return stored, adoptions


def note_places(self: Any, child: Any, places: int) -> None:
    """Log an op for each of the ``places`` of ``child`` in a list or deque."""
    found = find_places(self, child, child._tap_key, places)
    if len(found) < places:
        log_op(self, None)
        return
    for at in found:
        child._tap_key = at
        log_op(self, ("p", at, at + 1, [self[at]]))


class TrackedList(Container, list):  # type: ignore[type-arg]
    """A list in durable state."""

    __slots__ = (*SLOTS, "__weakref__")

    def __new__(cls, *args: Any) -> TrackedList:
        self = list.__new__(cls)
        init_slots(self)
        return self

    def __init__(self, iterable: Iterable[Any] = (), /) -> None:
        if len(self) or iterable != ():
            self._splice(0, len(self), list(iterable))

    def _splice(self, start: int, stop: int, values: list[Any]) -> None:
        """Replace ``self[start:stop]``; every change but sort, reverse and steps ends here."""
        stored, adoptions = prepare_all(values, self, start)
        log = begin_change(self)
        gone = list.__getitem__(self, slice(start, stop))
        list.__setitem__(self, slice(start, stop), stored)
        log_op(self, ("p", start, stop, stored))
        if log is not None:
            log.append((list.__setitem__, (self, slice(start, start + len(stored)), gone)))
        for adoption in adoptions:
            settle(adoption)
        for value in gone:
            let_go(value, self)

    def __setitem__(self, index: Any, value: Any) -> None:
        kind = type(value)
        if (
            (kind in QUICK or (kind is str and len(value) <= SHORT_TEXT))
            and self._tap_row is None
            and not BLOCKS
        ):
            old = list.__getitem__(self, index) if type(index) is int else self
            if type(old) not in HELD:
                touch(self)
                list.__setitem__(self, index, value)
                return
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            values = list(value)
            if step == 1:
                self._splice(start, max(start, stop), values)
                return
            self._replace_steps(index, values)
            return
        if type(value) in QUICK:
            stored, adoption = value, None
            at = _position(self, index, "list assignment index out of range")
        else:
            alone = getrefcount(value) <= ALONE_IN_SETITEM
            at = _position(self, index, "list assignment index out of range")
            stored, adoption = prepare(value, self, at, alone)
        log = begin_change(self)
        old = list.__getitem__(self, at)
        list.__setitem__(self, at, stored)
        if self._tap_row is not None:
            log_op(self, ("p", at, at + 1, [stored]))
        if log is not None:
            log.append((list.__setitem__, (self, at, old)))
        if old is not stored:
            settle(adoption)
            if type(old) in HELD:
                let_go(old, self)

    def _replace_steps(self, index: slice, values: list[Any]) -> None:
        stored, adoptions = prepare_all(values, self, 0)
        gone = list.__getitem__(self, index)
        if len(gone) != len(stored):
            raise ValueError(
                f"attempt to assign sequence of size {len(stored)} to extended slice of size {len(gone)}"
            )
        changed_wholly(self)
        list.__setitem__(self, index, stored)
        for adoption in adoptions:
            settle(adoption)
        for value in gone:
            let_go(value, self)

    def __delitem__(self, index: SupportsIndex | slice) -> None:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step == 1:
                self._splice(start, max(start, stop), [])
                return
            gone = list.__getitem__(self, index)
            changed_wholly(self)
            list.__delitem__(self, index)
            for value in gone:
                let_go(value, self)
            return
        at = _position(self, index, "list assignment index out of range")
        self._splice(at, at + 1, [])

    def append(self, value: Any, /) -> None:
        kind = type(value)
        if (
            (kind in QUICK or (kind is str and len(value) <= SHORT_TEXT))
            and self._tap_row is None
            and not BLOCKS
        ):
            touch(self)
            list.append(self, value)
            return
        size = len(self)
        if type(value) in QUICK:
            stored, adoption = value, None
        else:
            alone = getrefcount(value) <= ALONE_IN_METHOD
            stored, adoption = prepare(value, self, size, alone)
        log = begin_change(self)
        list.append(self, stored)
        if self._tap_row is not None:
            log_op(self, ("p", size, size, [stored]))
        if log is not None:
            log.append((list.pop, (self,)))
        if adoption is not None:
            settle(adoption)

    def extend(self, values: Iterable[Any], /) -> None:
        size = len(self)
        self._splice(size, size, list(values))

    def __iadd__(self, values: Iterable[Any]) -> TrackedList:  # type: ignore[misc]
        self.extend(values)
        return self

    def __imul__(self, count: SupportsIndex) -> TrackedList:
        times = count.__index__()
        size = len(self)
        if times <= 0:
            self.clear()
        elif times > 1:
            self._splice(size, size, list(self) * (times - 1))
        return self

    def insert(self, index: SupportsIndex, value: Any, /) -> None:
        size = len(self)
        at = index.__index__()
        at = max(0, at + size) if at < 0 else min(at, size)
        self._splice(at, at, [value])

    def pop(self, index: SupportsIndex = -1, /) -> Any:
        if not len(self):
            raise IndexError("pop from empty list")
        at = _position(self, index, "pop index out of range")
        value = list.__getitem__(self, at)
        self._splice(at, at + 1, [])
        return value

    def remove(self, value: Any, /) -> None:
        at = list.index(self, value)
        self._splice(at, at + 1, [])

    def clear(self) -> None:
        self._splice(0, len(self), [])

    def sort(self, *, key: Callable[[Any], Any] | None = None, reverse: bool = False) -> None:
        ordered = sorted(self, key=key, reverse=reverse)
        changed_wholly(self)
        list.__setitem__(self, slice(None), ordered)

    def reverse(self) -> None:
        changed_wholly(self)
        list.reverse(self)

    def copy(self) -> list[Any]:
        """Return a plain list of the same elements."""
        return list(self)

    def _tap_plain(self) -> list[Any]:
        return list(self)

    def _tap_empty(self) -> list[Any]:
        return []

    def _tap_pour(self, plain: list[Any], copy: Callable[[Any], Any]) -> None:
        plain.extend(copy(part) for part in self)

    def _tap_note(self, child: Any, places: int = 1) -> None:
        note_places(self, child, places)

    def _tap_revert(self, snapshot: list[Any]) -> None:
        list.__setitem__(self, slice(None), snapshot)


def _position(items: Any, index: Any, message: str) -> int:
    at: int = operator.index(index)
    size = len(items)
    if at < 0:
        at += size
    if not 0 <= at < size:
        raise IndexError(message)
    return at


def _fill(fresh: TrackedList, plain: list[Any], adoption: Any) -> None:
    take = adoption.take
    list.extend(
        fresh,
        [v if type(v) in QUICK else take(v, fresh, i) for i, v in enumerate(plain)],
    )


WRAPPERS[list] = TrackedList
FILL[list] = _fill
add_kind(TrackedList)
quicken(TrackedList)
measure_child(list, lambda child: [child])
