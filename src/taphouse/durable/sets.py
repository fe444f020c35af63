"""TrackedSet: a set whose every change is noticed.

Operators that make a new set return a plain one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from typing import Any

from taphouse.durable.adoption import FILL, WRAPPERS, prepare_key
from taphouse.durable.container import (
    SLOTS,
    Container,
    add_kind,
    begin_change,
    init_slots,
    is_plain_key,
    log_op,
)
from taphouse.durable.twin import quicken

__all__ = ["TrackedSet"]


def _plain_set(self: Any) -> Any:
    return set(self)


class TrackedSet(Container, set):  # type: ignore[type-arg]
    """A set in durable state."""

    __slots__ = SLOTS

    def __new__(cls, *args: Any) -> TrackedSet:
        self = set.__new__(cls)
        init_slots(self)
        return self

    def __init__(self, iterable: Iterable[Any] = (), /) -> None:
        if len(self) or iterable != ():
            self._become(set(iterable))

    def _change(self, gone: Iterable[Any], new: Iterable[Any]) -> None:
        """Remove all of ``gone``, which are in, and add all of ``new``, which are not."""
        for value in new:
            prepare_key(value, self)
        log = begin_change(self)
        for value in gone:
            set.discard(self, value)
            log_op(self, ("x", value) if is_plain_key(value) else None)
            if log is not None:
                log.append((set.add, (self, value)))
        for value in new:
            set.add(self, value)
            log_op(self, ("a", value) if is_plain_key(value) else None)
            if log is not None:
                log.append((set.discard, (self, value)))

    def _become(self, wanted: set[Any]) -> None:
        # Elements of self stay the very objects they are; set operations keep the left one's.
        self._change([v for v in self if v not in wanted], [v for v in wanted if v not in self])

    def add(self, value: Any, /) -> None:
        if value not in self:
            self._change((), (value,))

    def discard(self, value: Any, /) -> None:
        if value in self:
            self._change((value,), ())

    def remove(self, value: Any, /) -> None:
        if value not in self:
            raise KeyError(value)
        self._change((value,), ())

    def pop(self) -> Any:
        for value in self:
            self._change((value,), ())
            return value
        raise KeyError("pop from an empty set")

    def clear(self) -> None:
        log = begin_change(self)
        if log is not None:
            log.append((set.update, (self, set(self))))
        set.clear(self)
        log_op(self, ("c",))

    def update(self, *others: Iterable[Any]) -> None:
        self._change((), [v for v in set().union(*others) if v not in self])

    def difference_update(self, *others: Iterable[Any]) -> None:
        self._become(set(self).difference(*others))

    def intersection_update(self, *others: Iterable[Any]) -> None:
        self._become(set(self).intersection(*others))

    def symmetric_difference_update(self, other: Iterable[Any], /) -> None:
        self._become(set(self).symmetric_difference(other))

    def _in_place(self, other: Any, change: Callable[[Any], None]) -> Any:
        if not isinstance(other, (set, frozenset, AbstractSet)):
            return NotImplemented
        change(other)
        return self

    def __ior__(self, other: Any) -> Any:
        return self._in_place(other, self.update)

    def __iand__(self, other: Any) -> Any:
        return self._in_place(other, self.intersection_update)

    def __isub__(self, other: Any) -> Any:
        return self._in_place(other, self.difference_update)

    def __ixor__(self, other: Any) -> Any:
        return self._in_place(other, self.symmetric_difference_update)

    def __or__(self, other: Any) -> Any:
        return set(self).__or__(other)

    def __and__(self, other: Any) -> Any:
        return set(self).__and__(other)

    def __sub__(self, other: Any) -> Any:
        return set(self).__sub__(other)

    def __xor__(self, other: Any) -> Any:
        return set(self).__xor__(other)

    def __ror__(self, other: Any) -> Any:
        return _plain_set(self).__ror__(other)

    def __rand__(self, other: Any) -> Any:
        return _plain_set(self).__rand__(other)

    def __rsub__(self, other: Any) -> Any:
        return _plain_set(self).__rsub__(other)

    def __rxor__(self, other: Any) -> Any:
        return _plain_set(self).__rxor__(other)

    def union(self, *others: Iterable[Any]) -> set[Any]:
        return set(self).union(*others)

    def intersection(self, *others: Iterable[Any]) -> set[Any]:
        return set(self).intersection(*others)

    def difference(self, *others: Iterable[Any]) -> set[Any]:
        return set(self).difference(*others)

    def symmetric_difference(self, other: Iterable[Any], /) -> set[Any]:
        return set(self).symmetric_difference(other)

    def copy(self) -> set[Any]:
        """Return a plain set of the same elements."""
        return set(self)

    def __repr__(self) -> str:
        return repr(set(self))

    def _tap_plain(self) -> set[Any]:
        return set(self)

    def _tap_empty(self) -> set[Any]:
        return set()

    def _tap_pour(self, plain: set[Any], copy: Callable[[Any], Any]) -> None:
        plain.update(copy(part) for part in self)

    def _tap_note(self, child: Any, places: int = 1) -> None:
        log_op(self, None)

    def _tap_revert(self, snapshot: set[Any]) -> None:
        set.clear(self)
        set.update(self, snapshot)


def _fill(fresh: TrackedSet, plain: set[Any], adoption: Any) -> None:
    for value in plain:
        adoption.key(value)
    set.update(fresh, plain)


WRAPPERS[set] = TrackedSet
FILL[set] = _fill
add_kind(TrackedSet)
quicken(TrackedSet)
