"""Checking: is a value one that a tap can hold, all the way down?

Walks values and raises before anything is changed.  The rules are the lists of
``kinds``; what the application allowed by name is asked of ``registry``.  No
code of the application runs.  This module must never change or replace a value.
"""

from __future__ import annotations

import datetime
import types
import zoneinfo
from collections import Counter, OrderedDict, defaultdict, deque
from typing import Any, NoReturn

from taphouse.durable.kinds import (
    DURABLE_CLASSES,
    QUICK,
    SCALARS,
    describe_kind,
    instance_problem,
    is_enum_member,
    is_namedtuple,
    is_of_library,
    name_problem,
    raw_instance_dict,
    slot_values,
)
from taphouse.durable.ownership import HELD, TRACKED
from taphouse.durable.registry import is_registered
from taphouse.errors import NotDurableError

__all__ = ["MAX_BYTES", "MAX_DEPTH", "PLAIN", "check_leaf", "check_value", "refuse"]

MAX_DEPTH = 100
"""How deep a value may nest."""

MAX_BYTES = 256 << 20
"""How long one text or bytes value may be (SQLite takes 10**9 bytes a row, with all that is in it)."""

PLAIN: frozenset[type] = frozenset({list, dict, set, deque, OrderedDict, defaultdict, Counter})
"""Exact types that are replaced by tracked containers."""

FACTORIES: frozenset[Any] = frozenset(
    {None, int, float, str, bytes, bool, list, dict, set, tuple, frozenset, deque, OrderedDict, Counter}
)
"""What a defaultdict may make its values with, besides the application's own classes and functions."""


class Strictness:
    """Whether values must be storable now.

    While an application runs, a value that could not be written would stop it at
    the next commit; before, ``save()`` says it, and a program that never saves
    may use classes that no tap could name.
    """

    running = False


def refuse(path: str, why: str) -> NoReturn:
    """Raise NotDurableError for the value at ``path``."""
    raise NotDurableError(f"{path}: {why}", cure="keep it in a _v_ attribute, which is never saved")


def _check_zone(value: Any, path: str) -> None:
    zone = value.tzinfo
    if zone is None or type(zone) is datetime.timezone:
        return
    if type(zone) is not zoneinfo.ZoneInfo or zone.key is None:
        refuse(
            path, f"{describe_kind(zone)} as a time zone cannot be saved; use datetime.timezone or ZoneInfo"
        )


def check_leaf(value: Any, path: str) -> bool:
    """Check a value that is no container.

    Returns:
        False if it is a container or an instance with attributes of its own, to be looked into.

    Raises:
        NotDurableError: if no tap can hold it.
    """
    kind = type(value)
    if kind in QUICK or kind in DURABLE_CLASSES:
        return True
    if kind in SCALARS:
        if kind is str or kind is bytes:
            if len(value) > MAX_BYTES:
                refuse(path, f"{len(value)} bytes in one value are more than the {MAX_BYTES} a tap takes")
        elif kind is datetime.datetime or kind is datetime.time:
            _check_zone(value, path)
        elif kind is zoneinfo.ZoneInfo and value.key is None:
            refuse(path, "a time zone without a key cannot be saved")
        return True
    if kind in TRACKED or kind in PLAIN or kind is tuple or kind is frozenset or kind is bytearray:
        return False
    if kind is types.FunctionType:
        words = describe_kind(value)
        # A method that says super() and a decorated function close over something too, but have their name.
        if words == "a lambda" or (value.__closure__ is not None and "<locals>" in value.__qualname__):
            what = words if words == "a lambda" else "a closure"
            refuse(path, f"{what} cannot be saved; use a function of a module")
        _check_reference(value, words, path)
        return True
    if issubclass(kind, type):
        if value not in FACTORIES:
            _check_reference(value, describe_kind(value), path)
        return True
    if kind is types.MethodType:
        _check_method(value, path)
        return True
    if kind is types.BuiltinFunctionType:
        refuse(path, f"{describe_kind(value)} cannot be saved")
    if is_enum_member(kind):
        _check_reference(kind, f"the enumeration {kind.__qualname__}", path)
        return True
    return False


def _check_reference(obj: Any, words: str, path: str) -> None:
    """Check that a tap may name a class or function."""
    if is_registered(obj):
        return
    if is_of_library(obj):
        refuse(
            path,
            f"{words} is not the application's own and no tap names it; register({obj.__name__}) allows it",
        )
    problem = name_problem(obj) if Strictness.running else ""
    if problem:
        refuse(path, f"{words} {problem}")


def _check_method(value: Any, path: str) -> None:
    owner = value.__self__
    if type(owner) not in DURABLE_CLASSES:
        refuse(path, f"{describe_kind(value)} cannot be saved; only methods of durable objects can")
    name = value.__func__.__name__ if type(value.__func__) is types.FunctionType else ""
    for base in type(owner).__mro__:
        if name in base.__dict__:
            if base.__dict__[name] is value.__func__:
                return
            break
    refuse(path, f"a method that {type(owner).__qualname__} does not have as {name!r} cannot be saved")


def check_instance(value: Any, path: str, depth: int, seen: set[int]) -> None:
    """Check a plain instance (or bytearray): its class, then all its attributes."""
    kind = type(value)
    if kind is bytearray:
        if len(value) > MAX_BYTES:
            refuse(path, f"{len(value)} bytes in one value are more than the {MAX_BYTES} a tap takes")
        return
    registered = is_registered(kind)
    problem = instance_problem(kind, registered)
    if problem:
        refuse(path, problem)
    problem = name_problem(kind) if Strictness.running and not registered else ""
    if problem:
        refuse(path, f"an instance of a class that {problem}")
    if id(value) in seen:
        return
    seen.add(id(value))
    for name, part in (raw_instance_dict(value) or {}).items():
        _walk(part, f"{path}.{name}", depth + 1, seen)
    for name, part in slot_values(value).items():
        _walk(part, f"{path}.{name}", depth + 1, seen)


def _walk(value: Any, path: str, depth: int, seen: set[int]) -> None:
    kind = type(value)
    if kind in QUICK or check_leaf(value, path):
        return
    if depth > MAX_DEPTH:
        refuse(path[:200], f"nested deeper than {MAX_DEPTH}")
    if kind in TRACKED:
        return
    if kind is tuple or (kind not in PLAIN and is_namedtuple(kind)):
        HELD.add(kind)
        for index, part in enumerate(tuple.__iter__(value)):
            _walk(part, f"{path}[{index}]", depth + 1, seen)
    elif kind is frozenset:
        for part in value:
            _walk(part, f"{path}{{...}}", depth + 1, seen)
    elif kind not in PLAIN:
        check_instance(value, path, depth, seen)
    elif id(value) not in seen:
        seen.add(id(value))
        if isinstance(value, dict):
            if isinstance(value, defaultdict):
                check_factory(value.default_factory, path)
            for key, part in value.items():
                if type(key) not in QUICK:
                    _walk(key, f"{path}[key {describe_key(key)}]", depth + 1, seen)
                _walk(part, f"{path}[{describe_key(key)}]", depth + 1, seen)
        else:
            for index, part in enumerate(value):
                _walk(part, f"{path}[{index}]", depth + 1, seen)


def describe_key(key: Any) -> str:
    """Return a key as a path shows it, without running its code."""
    return f"{key!r:.60}" if type(key) in SCALARS else f"<{type(key).__qualname__}>"


def check_factory(factory: Any, path: str) -> None:
    """Check what a defaultdict makes its values with."""
    if factory is None or (isinstance(factory, type) and factory in FACTORIES):
        return
    if not check_leaf(factory, f"{path}.default_factory"):
        refuse(f"{path}.default_factory", f"{describe_kind(factory)} cannot be saved")


def check_value(value: object, path: str) -> None:
    """Check that a tap can hold ``value``, all the way down.

    Args:
        value: anything.
        path: what the value is called in messages, ``otk.Keys.cache``.

    Raises:
        NotDurableError: naming the part that cannot be saved.
    """
    _walk(value, path, 0, set())
