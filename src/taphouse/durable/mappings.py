"""The kin of TrackedDict: ordered, with default, and counting."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable
from typing import Any

from taphouse.durable.adoption import FILL, WRAPPERS
from taphouse.durable.checking import check_factory
from taphouse.durable.container import (
    SLOTS,
    add_kind,
    begin_change,
    changed_wholly,
    init_slots,
    is_plain_key,
    log_op,
)
from taphouse.durable.dicts import DictMethods, fill_dict
from taphouse.durable.holding import measure_child
from taphouse.durable.ownership import path_of
from taphouse.durable.twin import quicken

__all__ = ["TrackedCounter", "TrackedDefaultDict", "TrackedOrderedDict"]

_MISSING: Any = object()


class TrackedOrderedDict(DictMethods, OrderedDict):  # type: ignore[type-arg]
    """An OrderedDict in durable state."""

    __slots__ = SLOTS

    _raw_set = OrderedDict.__setitem__
    _raw_del = OrderedDict.__delitem__
    _raw_clear = OrderedDict.clear

    def __new__(cls, *args: Any, **kwargs: Any) -> TrackedOrderedDict:
        self = OrderedDict.__new__(cls)
        init_slots(self)
        return self

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if args or kwargs:
            self.update(*args, **kwargs)

    def popitem(self, last: bool = True) -> tuple[Any, Any]:
        if not len(self):
            raise KeyError("dictionary is empty")
        key = next(reversed(self)) if last else next(iter(self))
        return key, self.pop(key)

    def move_to_end(self, key: Any, last: bool = True) -> None:
        if key not in self:
            raise KeyError(key)
        log = begin_change(self)
        if log is not None:
            log.append((self._tap_revert, (self._tap_plain(),)))
        OrderedDict.move_to_end(self, key, last)
        log_op(self, ("e", key, bool(last)) if is_plain_key(key) else None)

    @classmethod
    def fromkeys(cls, keys: Any, value: Any = None) -> OrderedDict[Any, Any]:
        """Return a plain OrderedDict."""
        return OrderedDict.fromkeys(keys, value)

    def __or__(self, other: Any) -> Any:
        return self._tap_plain() | other

    def __ror__(self, other: Any) -> Any:
        return (
            other | self._tap_plain()
            if type(other) is OrderedDict
            else OrderedDict(other) | self._tap_plain()
        )

    def __repr__(self) -> str:
        return repr(self._tap_plain())

    def _tap_plain(self) -> OrderedDict[Any, Any]:
        return OrderedDict(self.items())

    def _tap_empty(self) -> OrderedDict[Any, Any]:
        return OrderedDict()


class TrackedDefaultDict(DictMethods, defaultdict):  # type: ignore[type-arg]
    """A defaultdict in durable state."""

    __slots__ = (*SLOTS, "__weakref__")

    def __new__(cls, *args: Any, **kwargs: Any) -> TrackedDefaultDict:
        self = defaultdict.__new__(cls)
        init_slots(self)
        return self

    def __init__(self, default_factory: Any = None, /, *args: Any, **kwargs: Any) -> None:
        if default_factory is not self.default_factory:
            if default_factory is not None and not callable(default_factory):
                raise TypeError("first argument must be callable or None")
            self.default_factory = default_factory
        if args or kwargs:
            self.update(*args, **kwargs)

    @property
    def default_factory(self) -> Any:
        """What makes missing values: None or a callable without arguments."""
        return _get_factory(self)

    @default_factory.setter
    def default_factory(self, factory: Any) -> None:
        check_factory(factory, path_of(self))
        changed_wholly(self)
        _set_factory(self, factory)

    def __missing__(self, key: Any) -> Any:
        factory = _get_factory(self)
        if factory is None:
            raise KeyError(key)
        self[key] = factory()
        return dict.__getitem__(self, key)

    @classmethod
    def fromkeys(cls, keys: Any, value: Any = None, /) -> Any:
        """Return a plain defaultdict."""
        return defaultdict.fromkeys(keys, value)

    def __or__(self, other: Any) -> Any:
        return self._tap_plain() | other

    def __ror__(self, other: Any) -> Any:
        return other | self._tap_plain()

    def __repr__(self) -> str:
        return repr(self._tap_plain())

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._tap_plain().__reduce_ex__(protocol)

    def _tap_plain(self) -> defaultdict[Any, Any]:
        return defaultdict(_get_factory(self), dict.items(self))

    def _tap_empty(self) -> defaultdict[Any, Any]:
        return defaultdict(_get_factory(self))

    def _tap_revert(self, snapshot: defaultdict[Any, Any]) -> None:
        super()._tap_revert(snapshot)
        _set_factory(self, snapshot.default_factory)


_factory_member = defaultdict.__dict__["default_factory"]
_get_factory = _factory_member.__get__
_set_factory = _factory_member.__set__


class TrackedCounter(DictMethods, Counter):  # type: ignore[type-arg]
    """A Counter in durable state."""

    __slots__ = SLOTS

    def __new__(cls, *args: Any, **kwargs: Any) -> TrackedCounter:
        self = Counter.__new__(cls)
        init_slots(self)
        return self

    def __init__(self, iterable: Any = None, /, **kwargs: Any) -> None:
        if iterable is not None or kwargs:
            self.update(iterable, **kwargs)

    def __delitem__(self, key: Any) -> None:
        """Like Counter: a missing key is no error."""
        if key in self:
            super().__delitem__(key)

    def update(self, iterable: Any = None, /, **kwargs: Any) -> None:
        """Add counts, as Counter.update does."""
        self._become(lambda plain: plain.update(iterable, **kwargs))

    def subtract(self, iterable: Any = None, /, **kwargs: Any) -> None:
        """Subtract counts, as Counter.subtract does."""
        self._become(lambda plain: plain.subtract(iterable, **kwargs))

    def _become(self, change: Callable[[Counter[Any]], object]) -> None:
        """Do to the contents what ``change`` does to a plain copy, by the fewest single changes."""
        new = self._tap_plain()
        change(new)
        for key in [key for key in self if key not in new]:
            del self[key]
        self._take_all({k: v for k, v in new.items() if dict.get(self, k, _MISSING) is not v})

    def _in_place(self, operator: str, other: Any) -> TrackedCounter:
        self._become(lambda plain: getattr(plain, operator)(other))
        return self

    def __iadd__(self, other: Any) -> TrackedCounter:  # type: ignore[misc]
        return self._in_place("__iadd__", other)

    def __isub__(self, other: Any) -> TrackedCounter:  # type: ignore[misc]
        return self._in_place("__isub__", other)

    def __ior__(self, other: Any) -> TrackedCounter:  # type: ignore[override,misc]
        return self._in_place("__ior__", other)

    def __iand__(self, other: Any) -> TrackedCounter:  # type: ignore[misc]
        return self._in_place("__iand__", other)

    def __repr__(self) -> str:
        return repr(self._tap_plain())

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._tap_plain().__reduce_ex__(protocol)

    def _tap_plain(self) -> Counter[Any]:
        plain: Counter[Any] = Counter()
        dict.update(plain, self)
        return plain

    def _tap_empty(self) -> Counter[Any]:
        return Counter()


def _fill_default(fresh: Any, plain: Any, adoption: Any) -> None:
    _set_factory(fresh, adoption.factory(plain.default_factory))
    fill_dict(fresh, plain, adoption)


for _plain, _tracked, _fill in (
    (OrderedDict, TrackedOrderedDict, fill_dict),
    (defaultdict, TrackedDefaultDict, _fill_default),
    (Counter, TrackedCounter, fill_dict),
):
    WRAPPERS[_plain] = _tracked
    FILL[_plain] = _fill
    add_kind(_tracked)

quicken(TrackedDefaultDict)
quicken(TrackedCounter)

measure_child(OrderedDict, lambda child: OrderedDict({0: child}))
measure_child(defaultdict, lambda child: defaultdict(None, {0: child}))
