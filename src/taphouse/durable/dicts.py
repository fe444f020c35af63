"""TrackedDict, and what its kin share: dicts whose every change is noticed.

``_raw_*`` are the methods of the plain type that store; everything that
mutates ends in ``__setitem__``, ``__delitem__`` or a snapshot.
"""

from __future__ import annotations

from collections.abc import Callable
from sys import getrefcount
from typing import Any

from taphouse.durable.adoption import FILL, WRAPPERS, prepare, prepare_key, settle
from taphouse.durable.container import (
    SLOTS,
    Container,
    add_kind,
    begin_change,
    carries,
    init_slots,
    is_plain_key,
    let_go,
    log_op,
)
from taphouse.durable.holding import ALONE_IN_SETITEM, measure_child
from taphouse.durable.kinds import QUICK, SHORT_TEXT, TEXTS
from taphouse.durable.ownership import HELD, touch
from taphouse.durable.twin import quicken
from taphouse.durable.undo import BLOCKS

__all__ = ["DictMethods", "TrackedDict", "fill_dict"]

_MISSING: Any = object()
_get: Any = dict.get
_item: Any = dict.__getitem__
_items: Any = dict.items
_values: Any = dict.values
_set: Any = dict.__setitem__


class DictMethods(Container):
    """The mutating methods of a dict."""

    __slots__ = ()

    _raw_set: Callable[..., None] = dict.__setitem__
    _raw_del: Callable[..., None] = dict.__delitem__
    _raw_clear: Callable[..., None] = dict.clear

    def __setitem__(self, key: Any, value: Any) -> None:
        alone = getrefcount(value) <= ALONE_IN_SETITEM
        self._store(key, value, alone)

    def _store(self, key: Any, value: Any, alone: bool) -> None:
        if type(key) is not str:
            prepare_key(key, self)
        stored, adoption = (value, None) if type(value) in QUICK else prepare(value, self, key, alone)
        old = _get(self, key, _MISSING)
        log = begin_change(self)
        self._raw_set(key, stored)
        row = self._tap_row
        if row is not None and row.ops is not None:
            log_op(self, ("s", key, stored) if is_plain_key(key) else None)
        if log is not None:
            self._log_set(log, key, old)
        if old is not stored:
            if adoption is not None:
                settle(adoption)
            if type(old) in HELD:
                let_go(old, self)

    def _log_set(self, log: Any, key: Any, old: Any) -> None:
        if old is _MISSING:
            log.append((self._raw_del, (key,)))
        else:
            log.append((self._raw_set, (key, old)))

    def __delitem__(self, key: Any) -> None:
        old = _get(self, key, _MISSING)
        if old is _MISSING:
            raise KeyError(key)
        self._remove(key, old)

    def _remove(self, key: Any, old: Any) -> None:
        log = begin_change(self)
        if log is not None:
            self._log_del(log, key, old)
        self._raw_del(key)
        row = self._tap_row
        if row is not None and row.ops is not None:
            log_op(self, ("d", key) if is_plain_key(key) else None)
        if type(old) in HELD:
            let_go(old, self)

    def _log_del(self, log: Any, key: Any, old: Any) -> None:
        """Log how a deletion is undone: the last and the first entry cheaply, others by snapshot."""
        last = next(reversed(self))  # type: ignore[call-overload]
        if last is key or (type(last) is type(key) and is_plain_key(key) and last == key):
            log.append((self._raw_set, (last, old)))
            return
        first = next(iter(self))  # type: ignore[call-overload]
        if first is key or (type(first) is type(key) and is_plain_key(key) and first == key):
            log.append((self._put_first, (first, old)))
            return
        log.append((self._tap_revert, (self._tap_plain(),)))

    def _put_first(self, key: Any, value: Any) -> None:
        rest = dict(self.items())  # type: ignore[attr-defined]
        self._raw_clear()
        self._raw_set(key, value)
        for k, v in rest.items():
            self._raw_set(k, v)

    def setdefault(self, key: Any, default: Any = None, /) -> Any:
        """Like dict.setdefault; returns what is stored, the tracked form of ``default``."""
        found = _get(self, key, _MISSING)
        if found is not _MISSING:
            return found
        self[key] = default
        return _item(self, key)

    def pop(self, key: Any, default: Any = _MISSING, /) -> Any:
        old = _get(self, key, _MISSING)
        if old is _MISSING:
            if default is _MISSING:
                raise KeyError(key)
            return default
        self._remove(key, old)
        return old

    def popitem(self) -> tuple[Any, Any]:
        if not len(self):  # type: ignore[arg-type]
            raise KeyError("popitem(): dictionary is empty")
        key = next(reversed(self))  # type: ignore[call-overload]
        return key, self.pop(key)

    def clear(self) -> None:
        gone = list(_values(self))
        log = begin_change(self)
        if log is not None:
            log.append((self._tap_revert, (self._tap_plain(),)))
        self._raw_clear()
        log_op(self, ("c",))
        for value in gone:
            let_go(value, self)

    def update(self, *args: Any, **kwargs: Any) -> None:
        new: dict[Any, Any] = {}
        new.update(*args, **kwargs)
        self._take_all(new)

    def _take_all(self, new: dict[Any, Any]) -> None:
        """Store all of ``new``, or nothing if one of them is refused."""
        prepared = []
        for key, value in new.items():
            prepare_key(key, self)
            prepared.append((key, *prepare(value, self, key)))
        log = begin_change(self)
        for key, stored, adoption in prepared:
            old = _get(self, key, _MISSING)
            self._raw_set(key, stored)
            log_op(self, ("s", key, stored) if is_plain_key(key) else None)
            if log is not None:
                self._log_set(log, key, old)
            if old is not stored:
                settle(adoption)
                let_go(old, self)

    def __ior__(self, other: Any) -> Any:
        self.update(other)
        return self

    def copy(self) -> Any:
        """Return a plain copy."""
        return self._tap_plain()

    def _tap_plain(self) -> Any:
        return dict(self)  # type: ignore[call-overload]

    def _tap_empty(self) -> Any:
        return {}

    def _tap_pour(self, plain: Any, copy: Callable[[Any], Any]) -> None:
        for key, value in _items(self):
            plain[copy(key)] = copy(value)

    def _tap_note(self, child: Any, places: int = 1) -> None:
        key = child._tap_key
        if places == 1 and is_plain_key(key) and carries(_get(self, key), child):
            log_op(self, ("s", key, _item(self, key)))
            return
        # There more than once, or the key is stale because the place it named is left.
        found = [(key, part) for key, part in _items(self) if carries(part, child)]
        if len(found) < places or not all(is_plain_key(key) for key, _ in found):
            log_op(self, None)
            return
        for key, part in found:
            child._tap_key = key
            log_op(self, ("s", key, part))

    def _tap_revert(self, snapshot: Any) -> None:
        self._raw_clear()
        for key, value in snapshot.items():
            self._raw_set(key, value)


class TrackedDict(DictMethods, dict):  # type: ignore[type-arg]
    """A dict in durable state."""

    __slots__ = (*SLOTS, "__weakref__")

    def __new__(cls, *args: Any, **kwargs: Any) -> TrackedDict:
        self = dict.__new__(cls)
        init_slots(self)
        return self

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if args or kwargs:
            self.update(*args, **kwargs)

    def __setitem__(self, key: Any, value: Any) -> None:
        kind = type(value)
        if (kind in QUICK or (kind in TEXTS and len(value) <= SHORT_TEXT)) and not BLOCKS:
            old = _get(self, key, _MISSING)
            # Where an equal key is there already, this one need not be checked.
            if type(old) not in HELD and (old is not _MISSING or type(key) is str):
                touch(self)
                _set(self, key, value)
                row = self._tap_row
                if row is not None and row.ops is not None:
                    log_op(self, ("s", key, value) if is_plain_key(key) else None)
                return
        alone = getrefcount(value) <= ALONE_IN_SETITEM
        self._store(key, value, alone)

    @classmethod
    def fromkeys(cls, keys: Any, value: Any = None, /) -> dict[Any, Any]:
        """Return a plain dict."""
        return dict.fromkeys(keys, value)


def fill_dict(fresh: Any, plain: Any, adoption: Any) -> None:
    """Fill a new tracked dict (of any kind) from a plain one."""
    take = adoption.take
    check = adoption.key
    put = fresh._raw_set
    for key, value in plain.items():
        if type(key) is not str:
            check(key)
        if type(value) not in QUICK:
            value = take(value, fresh, key)
        put(key, value)


WRAPPERS[dict] = TrackedDict
FILL[dict] = fill_dict
add_kind(TrackedDict)
quicken(TrackedDict)
measure_child(dict, lambda child: {0: child})
