"""TrackedDeque: a deque whose every change is noticed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from sys import getrefcount
from typing import Any, SupportsIndex

from taphouse.durable.adoption import FILL, WRAPPERS, prepare, settle
from taphouse.durable.container import (
    SLOTS,
    Container,
    add_kind,
    begin_change,
    changed_wholly,
    init_slots,
    let_go,
    log_op,
)
from taphouse.durable.holding import ALONE_IN_METHOD, measure_child
from taphouse.durable.lists import note_places, prepare_all
from taphouse.durable.twin import quicken

__all__ = ["TrackedDeque"]


class TrackedDeque(Container, deque):  # type: ignore[type-arg]
    """A deque in durable state; its ``maxlen`` is kept."""

    __slots__ = SLOTS

    def __new__(cls, iterable: Iterable[Any] = (), maxlen: int | None = None) -> TrackedDeque:
        self = deque.__new__(cls)
        init_slots(self)
        return self

    def __init__(self, iterable: Iterable[Any] = (), maxlen: int | None = None) -> None:
        values = list(iterable)
        if len(self) or maxlen != self.maxlen:
            gone = list(self)
            changed_wholly(self)
            deque.__init__(self, (), maxlen)
            for value in gone:
                let_go(value, self)
        self.extend(values)

    def append(self, value: Any, /) -> None:
        alone = getrefcount(value) <= ALONE_IN_METHOD
        stored, adoption = prepare(value, self, len(self), alone)
        log = begin_change(self)
        if self.maxlen is not None and len(self) >= self.maxlen:
            if not self.maxlen:
                return
            gone = self[0]
            deque.popleft(self)
            log_op(self, ("p", 0, 1, []))
            if log is not None:
                log.append((deque.appendleft, (self, gone)))
            let_go(gone, self)
        size = len(self)
        deque.append(self, stored)
        log_op(self, ("p", size, size, [stored]))
        if log is not None:
            log.append((deque.pop, (self,)))
        settle(adoption)

    def appendleft(self, value: Any, /) -> None:
        stored, adoption = prepare(value, self, 0)
        log = begin_change(self)
        if self.maxlen is not None and len(self) >= self.maxlen:
            if not self.maxlen:
                return
            gone = self[-1]
            deque.pop(self)
            log_op(self, ("p", len(self), len(self) + 1, []))
            if log is not None:
                log.append((deque.append, (self, gone)))
            let_go(gone, self)
        deque.appendleft(self, stored)
        log_op(self, ("p", 0, 0, [stored]))
        if log is not None:
            log.append((deque.popleft, (self,)))
        settle(adoption)

    def extend(self, values: Iterable[Any], /) -> None:
        if len(values := list(values)) > 1:
            prepare_all(values, self, 0)  # all are refused, or none
        for value in values:
            self.append(value)

    def extendleft(self, values: Iterable[Any], /) -> None:
        if len(values := list(values)) > 1:
            prepare_all(values, self, 0)
        for value in values:
            self.appendleft(value)

    def pop(self) -> Any:  # type: ignore[override]
        if not len(self):
            raise IndexError("pop from an empty deque")
        log = begin_change(self)
        value = deque.pop(self)
        log_op(self, ("p", len(self), len(self) + 1, []))
        if log is not None:
            log.append((deque.append, (self, value)))
        let_go(value, self)
        return value

    def popleft(self) -> Any:
        if not len(self):
            raise IndexError("pop from an empty deque")
        log = begin_change(self)
        value = deque.popleft(self)
        log_op(self, ("p", 0, 1, []))
        if log is not None:
            log.append((deque.appendleft, (self, value)))
        let_go(value, self)
        return value

    def clear(self) -> None:
        gone = list(self)
        log = begin_change(self)
        if log is not None:
            log.append((self._tap_revert, (gone,)))
        deque.clear(self)
        log_op(self, ("c",))
        for value in gone:
            let_go(value, self)

    def __setitem__(self, index: SupportsIndex, value: Any) -> None:  # type: ignore[override]
        at = index.__index__()
        old = self[at]
        at = at + len(self) if at < 0 else at
        stored, adoption = prepare(value, self, at)
        log = begin_change(self)
        deque.__setitem__(self, at, stored)
        log_op(self, ("p", at, at + 1, [stored]))
        if log is not None:
            log.append((deque.__setitem__, (self, at, old)))
        if old is not stored:
            settle(adoption)
            let_go(old, self)

    def __delitem__(self, index: SupportsIndex) -> None:  # type: ignore[override]
        at = index.__index__()
        old = self[at]
        at = at + len(self) if at < 0 else at
        self._splice_out(at, old)

    def _splice_out(self, at: int, old: Any) -> None:
        log = begin_change(self)
        deque.__delitem__(self, at)
        log_op(self, ("p", at, at + 1, []))
        if log is not None:
            log.append((deque.insert, (self, at, old)))
        let_go(old, self)

    def insert(self, index: SupportsIndex, value: Any, /) -> None:
        size = len(self)
        if self.maxlen is not None and size >= self.maxlen:
            raise IndexError("deque already at its maximum size")
        at = index.__index__()
        at = max(0, at + size) if at < 0 else min(at, size)
        stored, adoption = prepare(value, self, at)
        log = begin_change(self)
        deque.insert(self, at, stored)
        log_op(self, ("p", at, at, [stored]))
        if log is not None:
            log.append((deque.__delitem__, (self, at)))
        settle(adoption)

    def remove(self, value: Any, /) -> None:
        try:
            at = deque.index(self, value)
        except ValueError:
            raise ValueError("deque.remove(x): x not in deque") from None
        self._splice_out(at, self[at])

    def reverse(self) -> None:
        changed_wholly(self)
        deque.reverse(self)

    def rotate(self, steps: int = 1, /) -> None:
        changed_wholly(self)
        deque.rotate(self, steps)

    def __iadd__(self, values: Iterable[Any]) -> TrackedDeque:  # type: ignore[misc]
        self.extend(values)
        return self

    def __imul__(self, count: int) -> TrackedDeque:
        times = count.__index__()
        if times <= 0:
            self.clear()
        else:
            self.extend(list(self) * (times - 1))
        return self

    def __add__(self, other: Any) -> Any:
        return self._tap_plain() + (other._tap_plain() if isinstance(other, TrackedDeque) else other)

    def __mul__(self, count: int) -> Any:
        return self._tap_plain() * count

    def __rmul__(self, count: int) -> Any:
        return self._tap_plain() * count

    def copy(self) -> Any:
        """Return a plain deque of the same elements and maxlen."""
        return self._tap_plain()

    def __repr__(self) -> str:
        return repr(self._tap_plain())

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._tap_plain().__reduce_ex__(protocol)

    def _tap_plain(self) -> deque[Any]:
        return deque(self, self.maxlen)

    def _tap_empty(self) -> deque[Any]:
        return deque(maxlen=self.maxlen)

    def _tap_pour(self, plain: deque[Any], copy: Callable[[Any], Any]) -> None:
        plain.extend(copy(part) for part in self)

    def _tap_note(self, child: Any, places: int = 1) -> None:
        note_places(self, child, places)

    def _tap_revert(self, snapshot: Any) -> None:
        maxlen = snapshot.maxlen if isinstance(snapshot, deque) else self.maxlen
        deque.__init__(self, snapshot, maxlen)


def _fill(fresh: TrackedDeque, plain: deque[Any], adoption: Any) -> None:
    deque.__init__(fresh, [adoption.take(v, fresh, i) for i, v in enumerate(plain)], plain.maxlen)


WRAPPERS[deque] = TrackedDeque
FILL[deque] = _fill
add_kind(TrackedDeque)
quicken(TrackedDeque)
measure_child(deque, lambda child: deque([child]))
