"""Adoption: a plain container becomes a tracked one, nested ones and those inside tuples too.

Two steps, so that a refusal changes nothing: :func:`prepare` checks the value
and builds the tracked copies; after the write succeeded :func:`settle` records
the owners.  Only containers made in the first step are touched before the second.

This module must never know attributes of durable objects or how a container
writes itself; each kind of container hands in how it is filled.
"""

from __future__ import annotations

from collections.abc import Callable
from sys import getrefcount
from typing import Any

from taphouse.durable import aliases
from taphouse.durable.checking import (
    MAX_DEPTH,
    PLAIN,
    check_factory,
    check_instance,
    check_leaf,
    check_value,
    describe_key,
    refuse,
)
from taphouse.durable.kinds import DURABLE_CLASSES, LEAVES, QUICK, SHORT_TEXT, TEXTS, is_namedtuple
from taphouse.durable.ownership import HELD, TRACKED, join, path_of
from taphouse.durable.twin import wrap_alone

__all__ = [
    "CHILD_REFS",
    "FILL",
    "WRAPPERS",
    "Adoption",
    "prepare",
    "prepare_key",
    "restore",
    "restore_items",
    "settle",
]

WRAPPERS: dict[type, type] = {}
"""Plain type -> tracked type; filled by the container modules."""

FILL: dict[type, Callable[[Any, Any, Any], None]] = {}
"""Plain type -> ``fill(fresh, plain, adoption)``; ``adoption.take(part, fresh, key)`` gives what to store."""


_NEVER_ALONE = -1
_AS_KEY: Any = object()

CHILD_REFS: dict[type, int] = {}
"""Plain type -> references to an element that nobody but its container has, as seen by ``_container``."""


def _blank(kind: type) -> Any:
    tracked: Any = WRAPPERS[kind]
    return tracked.__new__(tracked)


class Adoption:
    """One walk over one value."""

    __slots__ = ("alone", "joins", "made", "path", "seen", "watching")

    def __init__(self, owner: Any, key: Any, alone: bool) -> None:
        self.path: list[Any] = [owner]
        self.alone = alone
        self.made: dict[int, Any] = {}
        self.joins: list[tuple[Any, Any, Any]] = []
        self.watching: list[tuple[Any, Any]] = []
        self.seen: set[int] | None = None

    def where(self) -> str:
        """Spell the path of the value being looked at."""
        owner, key, *rest = self.path
        first = f"[{describe_key(key)}]" if type(owner) in TRACKED else f".{key}"
        return path_of(owner) + first + "".join(f"[{describe_key(part)}]" for part in rest)

    def take(self, value: Any, owner: Any, key: Any, step: Any = _AS_KEY) -> Any:
        """Return what to store for ``value``, which ``owner`` gets at ``key``, inside a tuple at ``step``."""
        kind = type(value)
        if kind in LEAVES or ((kind is str or kind is bytes) and len(value) <= SHORT_TEXT):
            return value
        if kind in PLAIN:
            return self._container(value, kind, owner, key, key if step is _AS_KEY else step)
        if kind in TRACKED:
            self.joins.append((value, owner, key))
            return value
        if kind in DURABLE_CLASSES:
            return value
        self.path.append(key if step is _AS_KEY else step)
        try:
            return self._take(value, kind, owner, key)
        finally:
            self.path.pop()

    def _take(self, value: Any, kind: type, owner: Any, key: Any) -> Any:
        if kind is not tuple and check_leaf(value, _Lazy(self.where)):
            return value
        self._check_depth()
        if kind is tuple or is_namedtuple(kind):
            HELD.add(kind)
            alone, self.alone = self.alone, False
            parts = [self.take(p, owner, key, i) for i, p in enumerate(tuple.__iter__(value))]
            self.alone = alone
            if all(a is b for a, b in zip(parts, tuple.__iter__(value), strict=True)):
                return value
            return tuple.__new__(kind, parts)
        if kind is frozenset:
            check_value(value, self.where())
        else:
            if self.seen is None:
                self.seen = set()
            check_instance(value, self.where(), len(self.path), self.seen)
        return value

    def _check_depth(self) -> None:
        if len(self.path) > MAX_DEPTH + 1:
            refuse(self.where()[:200], f"nested deeper than {MAX_DEPTH}")

    def _container(self, value: Any, kind: type, owner: Any, key: Any, step: Any) -> Any:
        identity = id(value)
        fresh = self.made.get(identity)
        if fresh is None:
            fresh = aliases.known_copy(value)
        if fresh is None:
            self.path.append(step)
            self._check_depth()
            alone = self.alone
            if alone and len(self.path) > 2:
                # Reached through a container that nobody else has: is this one held elsewhere?
                references = getrefcount(value)
                self.alone = references <= CHILD_REFS.get(type(owner), _NEVER_ALONE)
            fresh = _blank(kind)
            self.made[identity] = fresh
            if not self.alone:
                self.watching.append((value, fresh))
            FILL[kind](fresh, value, self)
            self.alone = alone
            self.path.pop()
        self.joins.append((fresh, owner, key))
        return fresh

    def key(self, key: Any) -> Any:
        """Check a dict key or set element."""
        if type(key) not in QUICK and type(key) is not str:
            check_value(key, f"{self.where()}[key {describe_key(key)}]")
        return key

    def factory(self, factory: Any) -> Any:
        """Check what a defaultdict makes its values with."""
        check_factory(factory, _Lazy(self.where))
        return factory


Settling = Adoption | tuple[Any, Any, Any] | None
"""What is left to do once a value is stored: much, one join, or nothing."""


class _Lazy(str):
    """A path that is spelt only if a message needs it."""

    __slots__ = ("spell",)

    spell: Callable[[], str]

    def __new__(cls, spell: Callable[[], str]) -> _Lazy:
        self = super().__new__(cls, "")
        self.spell = spell
        return self

    def __format__(self, spec: str) -> str:
        return self.spell()


def prepare(value: Any, owner: Any, key: Any, alone: bool = False) -> tuple[Any, Settling]:
    """Check ``value`` and build what is to be stored for it; nothing that exists is changed.

    Args:
        value: what is to be written.
        owner: the durable object or container that gets it.
        key: the attribute, key or index it gets it at.
        alone: whether nobody but the caller's expression holds ``value``.

    Returns:
        What to store, and what to give to :func:`settle` once it is stored.

    Raises:
        NotDurableError: if no tap can hold it.
    """
    kind = type(value)
    if kind in LEAVES or kind in DURABLE_CLASSES or (kind in TEXTS and len(value) <= SHORT_TEXT):
        return value, None
    if kind in TRACKED:
        return value, (value, owner, key)
    if alone and (kind is dict or kind is list):
        fresh = wrap_alone(value)
        if fresh is not None:
            return fresh, (fresh, owner, key)
    adoption = Adoption(owner, key, alone)
    stored = adoption.take(value, owner, key)
    return stored, adoption if adoption.joins else None


def prepare_key(key: Any, owner: Any) -> None:
    """Check a new dict key or set element of ``owner``."""
    kind = type(key)
    if kind in QUICK or (kind in TEXTS and len(key) <= SHORT_TEXT):
        return
    check_value(key, f"{path_of(owner)}[key {describe_key(key)}]")


def settle(adoption: Settling) -> None:
    """Record the owners of what :func:`prepare` built, now that it is stored."""
    if adoption is None:
        return
    if type(adoption) is tuple:
        join(*adoption)
        return
    assert isinstance(adoption, Adoption)
    for plain, copy in adoption.watching:
        aliases.watch(plain, copy)
    # The outermost was appended last; joined first, chains are known when the inner ones join.
    for container, owner, key in reversed(adoption.joins):
        join(container, owner, key)


class _Restoring(Adoption):
    """The walk over a value that comes from a tap: no check, no watch."""

    __slots__ = ()

    def _take(self, value: Any, kind: type, owner: Any, key: Any) -> Any:
        if kind is tuple or (issubclass(kind, tuple) and is_namedtuple(kind)):
            HELD.add(kind)
            parts = [self.take(p, owner, key) for p in tuple.__iter__(value)]
            if all(a is b for a, b in zip(parts, tuple.__iter__(value), strict=True)):
                return value
            return tuple.__new__(kind, parts)
        return value

    def _container(self, value: Any, kind: type, owner: Any, key: Any, step: Any) -> Any:
        fresh = self.made.get(id(value))
        if fresh is None:
            fresh = _blank(kind)
            self.made[id(value)] = fresh
            FILL[kind](fresh, value, self)
        self.joins.append((fresh, owner, key))
        return fresh

    def key(self, key: Any) -> Any:
        return key

    def factory(self, factory: Any) -> Any:
        return factory


def restore(value: Any, owner: Any, key: Any) -> Any:
    """Return the tracked form of a value that comes from a tap: no check, no watch, no marking."""
    restoring = _Restoring(owner, key, False)
    stored = restoring.take(value, owner, key)
    for container, holder, where in reversed(restoring.joins):
        join(container, holder, where)
    return stored


def restore_items(fresh: Any, plain: Any) -> None:
    """Fill the blank tracked container ``fresh`` with what the plain one of its kind holds, from a tap."""
    restoring = _Restoring(fresh, None, False)
    kind = next(base for base in type(fresh).__mro__ if base in FILL)
    FILL[kind](fresh, plain, restoring)
    for container, holder, where in reversed(restoring.joins):
        join(container, holder, where)
