"""Container: what every tracked container has beside the methods of its kind.

Slots, the ops list of own containers, undo by snapshot for the rare methods, and
how copies and pickles leave the tracked world: as plain builtins.

This module must never know one kind from another.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable
from typing import Any

from taphouse.durable import undo
from taphouse.durable.ownership import HELD, TRACKED, leave_all, touch

__all__ = [
    "SLOTS",
    "Container",
    "add_kind",
    "begin_change",
    "carries",
    "changed_wholly",
    "init_slots",
    "is_plain_key",
    "let_go",
    "log_op",
]

SLOTS = ("_tap_owner", "_tap_key", "_tap_slots", "_tap_row", "_tap_logged")

_PLAIN_KEYS = frozenset({str, int, bytes, type(None), uuid.UUID, datetime.date, datetime.datetime})

MAX_OPS = 100_000
"""A container with more changes than this in one epoch is written in full (bounds memory)."""


def is_plain_key(key: Any) -> bool:
    """Say whether an op may name ``key``: equal keys of these types are equally encoded."""
    kind = type(key)
    return kind in _PLAIN_KEYS or (kind is tuple and all(is_plain_key(part) for part in key))


class Container:
    """Mixin of all tracked containers."""

    __slots__ = ()

    _tap_owner: Any
    _tap_key: Any
    _tap_slots: int
    _tap_row: Any
    _tap_logged: Any

    def __copy__(self) -> Any:
        return self._tap_plain()

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        from copy import deepcopy

        plain = self._tap_empty()
        memo[id(self)] = plain
        self._tap_pour(plain, lambda part: deepcopy(part, memo))
        return plain

    def __reduce_ex__(self, protocol: Any) -> Any:
        return (
            self._tap_plain().__reduce_ex__(protocol)
            if self._tap_reduces
            else (
                type(self._tap_empty()),
                (self._tap_plain(),),
            )
        )

    _tap_reduces = False

    def _tap_plain(self) -> Any:
        """Return a shallow copy of the plain type."""
        raise NotImplementedError

    def _tap_empty(self) -> Any:
        """Return an empty container of the plain type (same maxlen, same factory)."""
        raise NotImplementedError

    def _tap_pour(self, plain: Any, copy: Callable[[Any], Any]) -> None:
        """Fill ``plain`` with copies of what is in here."""
        raise NotImplementedError

    def _tap_note(self, child: Any, places: int = 1) -> None:
        """Log ops of this own container that write ``child`` anew, in each of its ``places``."""
        raise NotImplementedError

    def _tap_revert(self, snapshot: Any) -> None:
        """Put the contents back to ``snapshot``, a plain copy; raw, owners are restored on their own."""
        raise NotImplementedError


def carries(value: Any, child: Any) -> bool:
    """Say whether ``value`` is ``child`` or a tuple with it somewhere inside."""
    if value is child:
        return True
    return isinstance(value, tuple) and any(carries(part, child) for part in tuple.__iter__(value))


def init_slots(self: Any) -> None:
    """Give a new container its slots."""
    self._tap_owner = None
    self._tap_key = None
    self._tap_slots = 0
    self._tap_row = None
    self._tap_logged = None


def log_op(self: Any, op: tuple[Any, ...] | None) -> None:
    """Note a change of an own container; None: it must be written in full."""
    row = self._tap_row
    if row is not None and row.ops is not None:
        if op is None or len(row.ops) >= MAX_OPS:
            row.ops = None
        else:
            row.ops.append(op)


def begin_change(self: Any) -> list[undo.Undo] | None:
    """Do what is due before a change; return the undo log if an atomic block is open."""
    touch(self)
    return undo.open_log() if undo.BLOCKS else None


def changed_wholly(self: Any) -> None:
    """Do what is due before a change that no op describes: touch, snapshot for undo, write in full."""
    log = begin_change(self)
    if log is not None:
        log.append((self._tap_revert, (self._tap_plain(),)))
    log_op(self, None)


def let_go(value: Any, owner: Any) -> None:
    """Tell containers in ``value`` that ``owner`` has it once less."""
    if type(value) in HELD:
        leave_all(value, owner)


def add_kind(cls: type) -> None:
    """Make ``cls`` known as a tracked container."""
    TRACKED.add(cls)
    HELD.add(cls)
