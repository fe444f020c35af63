"""Durable: the base class of everything whose attributes are remembered.

What a class statement must say (name, version) and must not do (mutable class
attributes, ``__slots__``) is decided here.  This module must never know how
a write is tracked, nor what a Factory or an Application is.
"""

from __future__ import annotations

import gc
import types
from collections import deque
from typing import Any, ClassVar, NoReturn

from taphouse.durable.kinds import DURABLE_CLASSES
from taphouse.durable.ownership import TRACKED
from taphouse.durable.registry import record_class
from taphouse.durable.twin import Tracked
from taphouse.durable.writing import copy_attributes
from taphouse.errors import NotDurableError

__all__ = ["Durable", "make_blank", "raw_state"]

_MUTABLE = (list, dict, set, deque, bytearray)

# Class attributes the language or its tools put there themselves, which no program mutates by accident.
_BY_TOOLS = frozenset({"__annotations__", "__dataclass_fields__", "__match_args__", "__static_attributes__"})


class Durable(Tracked):
    """An object whose attributes are tracked, committed and restored.

    ``class Keys(Durable, version=2, name="otk.Keys")``: the name is what a tap
    stores, the qualified name if not given; the version is raised when the meaning
    of attributes changes, with a method ``upgrade_from_1(state)`` beside it.

    Attributes hold values a tap can hold: numbers, text, bytes, dates, and the
    like, tuples, plain lists, dicts, sets and deques (they become tracked ones),
    durable objects, instances of ordinary classes, classes, functions.  Names that
    begin with ``_v_`` hold anything and are never saved.
    """

    __dict__ = property(lambda self: types.MappingProxyType(self._tap_state))

    _tap_is_durable: ClassVar[bool] = True
    _tap_owner: ClassVar[None] = None

    def __init_subclass__(cls, *, version: int = 1, name: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _refuse_mutable_defaults(cls)
        _refuse_slots(cls)
        cls._tap_names = set()
        record_class(cls, name, version)
        DURABLE_CLASSES.add(cls)
        _guard_dict(cls)

    def __copy__(self) -> Any:
        return copy_attributes(self, lambda value: value)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        from copy import deepcopy

        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        for name, value in list(raw_state(self).items()):
            if not name.startswith("_v_"):
                setattr_plain(twin, name, deepcopy(value, memo))
        return twin

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise NotDurableError(
            f"a durable object ({type(self).__qualname__}) is not pickled",
            cure="save its application to a tap",
        )


def setattr_plain(obj: Any, name: str, value: Any) -> None:
    """Set an attribute as the tracker does, past any ``__setattr__`` of the class."""
    Tracked.__setattr__(obj, name, value)


def _refuse_mutable_defaults(cls: type) -> None:
    for base in cls.__mro__:
        if base is Durable or base is object:
            continue
        for name, value in base.__dict__.items():
            if isinstance(value, _MUTABLE) and name not in _BY_TOOLS and not name.startswith("_tap_"):
                if base is not cls and (name in cls.__dict__ or base in DURABLE_CLASSES):
                    continue
                if name.startswith("__") and name.endswith("__"):
                    continue
                kind = type(value).__name__
                raise TypeError(
                    f"{cls.__qualname__}.{name}: a {kind} as a class attribute is shared by all "
                    "objects and never saved; set it in __init__ (a constant: a tuple, or outside the class)"
                )


def _refuse_slots(cls: type) -> None:
    for base in cls.__mro__:
        if base in Tracked.__mro__:
            continue
        for name, value in base.__dict__.items():
            if isinstance(value, types.MemberDescriptorType):
                slot = f"{base.__qualname__}.{name}"
                raise TypeError(
                    f"{cls.__qualname__}: a durable class cannot have __slots__ ({slot}); remove them"
                )


def _guard_dict(cls: type) -> None:
    """Make ``obj.__dict__`` the read-only view although a plain base before Durable has its own."""
    first = next(base.__dict__["__dict__"] for base in cls.__mro__ if "__dict__" in base.__dict__)
    if first is Durable.__dict__["__dict__"]:
        return
    # No assignment takes this name once the class is made, so it goes into the class's own dict,
    # which the collector hands out.
    (space,) = (held for held in gc.get_referents(cls.__dict__) if type(held) is dict)
    space["__dict__"] = Durable.__dict__["__dict__"]
    cls._tap_is_durable = True  # type: ignore[attr-defined]  # any assignment drops the type's lookup cache


def raw_state(obj: Any) -> dict[str, Any]:
    """Return the attribute dict itself of a durable object, volatile attributes included."""
    return obj._tap_state  # type: ignore[no-any-return]


def make_blank(cls: type) -> Any:
    """Make an object of ``cls`` without running any of its code.

    Args:
        cls: a durable class, a tracked container class, or a plain class.
    """
    if cls in DURABLE_CLASSES or issubclass(cls, Tracked):
        return Tracked.__new__(cls)
    if cls in TRACKED:
        return cls.__new__(cls)
    for base in cls.__mro__:
        made = base.__dict__.get("__new__")
        if isinstance(made, types.BuiltinFunctionType):
            return made(cls)
    raise AssertionError("object has a __new__")


DURABLE_CLASSES.add(Durable)
