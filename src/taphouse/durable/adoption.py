"""Adoption: a plain container becomes a tracked one, nested ones and those inside tuples too.

Two steps, so that a refusal changes nothing: :func:`prepare` checks the value
and builds the tracked copies; after the write succeeded :func:`settle` records
the owners.  Only containers made in the first step are touched before the second.

This module must never know attributes of durable objects or how a container
writes itself; each kind of container hands in how it is filled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from taphouse.durable import aliases
from taphouse.durable.checking import (
    MAX_BYTES,
    MAX_DEPTH,
    PLAIN,
    check_factory,
    check_instance,
    check_leaf,
    check_value,
    describe_key,
    refuse,
)
from taphouse.durable.kinds import QUICK, is_namedtuple
from taphouse.durable.ownership import HELD, TRACKED, join, path_of

__all__ = ["FILL", "WRAPPERS", "Pending", "prepare", "prepare_key", "restore", "settle"]

WRAPPERS: dict[type, type] = {}
"""Plain type -> tracked type; filled by the container modules."""

FILL: dict[type, Callable[[Any, Any, Any], None]] = {}
"""Plain type -> ``fill(fresh, plain, take)``; ``take(part, key, path, fresh)`` gives what to store."""

Pending = list[tuple[Any, Any, Any]]
"""(container, owner, key) to join, and (plain, copy, None) to watch at the end."""


class _Adoption:
    """One walk over one value."""

    __slots__ = ("depth", "joins", "made", "path", "seen", "watching")

    def __init__(self, path: Callable[[], str]) -> None:
        self.path: list[Any] = [path]
        self.depth = 0
        self.made: dict[int, Any] = {}
        self.joins: Pending = []
        self.watching: list[tuple[Any, Any]] = []
        self.seen: set[int] = set()

    def where(self) -> str:
        root = self.path[0]
        return root() + "".join(str(part) for part in self.path[1:])

    def take(self, value: Any, owner: Any, key: Any, step: Any) -> Any:
        """Return what to store for ``value``, which ``owner`` gets at ``key``."""
        kind = type(value)
        if kind in QUICK:
            return value
        if kind in TRACKED:
            self.joins.append((value, owner, key))
            return value
        if kind is str and len(value) <= MAX_BYTES:
            return value
        self.path.append(step)
        self.depth += 1
        try:
            return self._take(value, kind, owner, key)
        finally:
            self.path.pop()
            self.depth -= 1

    def _take(self, value: Any, kind: type, owner: Any, key: Any) -> Any:
        if kind in PLAIN:
            return self._container(value, kind, owner, key)
        if kind is not tuple and check_leaf(value, _Lazy(self.where)):  # type: ignore[arg-type]
            return value
        if self.depth > MAX_DEPTH:
            refuse(self.where()[:200], f"nested deeper than {MAX_DEPTH}")
        if kind is tuple or is_namedtuple(kind):
            HELD.add(kind)
            parts = [self.take(p, owner, key, f"[{i}]") for i, p in enumerate(tuple.__iter__(value))]
            if all(a is b for a, b in zip(parts, tuple.__iter__(value), strict=True)):
                return value
            return tuple.__new__(kind, parts)
        if kind is frozenset:
            check_value(value, self.where())
        else:
            check_instance(value, self.where(), self.depth, self.seen)
        return value

    def _container(self, value: Any, kind: type, owner: Any, key: Any) -> Any:
        fresh = self.made.get(id(value))
        if fresh is None:
            fresh = aliases.known_copy(value)
        if fresh is None:
            if self.depth > MAX_DEPTH:
                refuse(self.where()[:200], f"nested deeper than {MAX_DEPTH}")
            fresh = WRAPPERS[kind].__new__(WRAPPERS[kind])
            self.made[id(value)] = fresh
            self.watching.append((value, fresh))
            FILL[kind](fresh, value, self)
        self.joins.append((fresh, owner, key))
        return fresh

    def key(self, key: Any) -> Any:
        """Check a dict key or set element."""
        if type(key) not in QUICK and type(key) is not str:
            check_value(key, f"{self.where()}[key {describe_key(key)}]")
        return key

    def factory(self, factory: Any) -> Any:
        """Check what a defaultdict makes its values with."""
        check_factory(factory, self.where())
        return factory


class _Lazy(str):
    """A path that is spelt only if a message needs it."""

    __slots__ = ("spell",)

    def __new__(cls, spell: Callable[[], str]) -> _Lazy:
        self = super().__new__(cls, "")
        self.spell = spell
        return self

    def __format__(self, spec: str) -> str:
        return self.spell()

    def __getitem__(self, part: Any) -> str:
        return self.spell()[part]


def step_of(owner: Any, key: Any) -> str:
    """Return how a path goes on from ``owner`` to ``key``."""
    return f"[{describe_key(key)}]" if type(owner) in TRACKED else f".{key}"


def prepare(value: Any, owner: Any, key: Any) -> tuple[Any, _Adoption | None]:
    """Check ``value`` and build what is to be stored for it; nothing that exists is changed.

    Args:
        value: what is to be written.
        owner: the durable object or container that gets it.
        key: the attribute, key or index it gets it at.

    Returns:
        What to store, and what to give to :func:`settle` once it is stored.

    Raises:
        NotDurableError: if no tap can hold it.
    """
    if type(value) in QUICK:
        return value, None
    adoption = _Adoption(lambda: path_of(owner))
    stored = adoption.take(value, owner, key, step_of(owner, key))
    return stored, adoption if adoption.joins else None


def prepare_key(key: Any, owner: Any) -> None:
    """Check a new dict key or set element of ``owner``."""
    kind = type(key)
    if kind in QUICK or (kind is str and len(key) <= MAX_BYTES):
        return
    check_value(key, f"{path_of(owner)}[key {describe_key(key)}]")


def settle(adoption: _Adoption | None) -> None:
    """Record the owners of what :func:`prepare` built, now that it is stored."""
    if adoption is None:
        return
    for plain, copy in adoption.watching:
        aliases.watch(plain, copy)
    # The outermost was appended last; joined first, chains are known when the inner ones join.
    for container, owner, key in reversed(adoption.joins):
        join(container, owner, key)


def restore(value: Any, owner: Any, key: Any) -> Any:
    """Return the tracked form of a value that comes from a tap: no check, no watch, no marking."""
    adoption = _Restoring(str)
    stored = adoption.take(value, owner, key, "")
    for container, holder, where in reversed(adoption.joins):
        join(container, holder, where)
    return stored


class _Restoring(_Adoption):
    """The walk over a value that comes from a tap."""

    __slots__ = ()

    def _take(self, value: Any, kind: type, owner: Any, key: Any) -> Any:
        if kind in PLAIN:
            return self._container(value, kind, owner, key)
        if kind is tuple or kind in HELD or (issubclass(kind, tuple) and is_namedtuple(kind)):
            HELD.add(kind)
            parts = [self.take(p, owner, key, "") for p in tuple.__iter__(value)]
            if all(a is b for a, b in zip(parts, tuple.__iter__(value), strict=True)):
                return value
            return tuple.__new__(kind, parts)
        return value

    def _container(self, value: Any, kind: type, owner: Any, key: Any) -> Any:
        fresh = self.made.get(id(value))
        if fresh is None:
            fresh = WRAPPERS[kind].__new__(WRAPPERS[kind])
            self.made[id(value)] = fresh
            FILL[kind](fresh, value, self)
        self.joins.append((fresh, owner, key))
        return fresh

    def key(self, key: Any) -> Any:
        return key

    def factory(self, factory: Any) -> Any:
        return factory
