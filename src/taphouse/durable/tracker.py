"""Tracker, the Python twin: rows, the ledger's core, and objects whose writes are tracked.

Its C twin is ``_tracker.c``; both run the same tests.  A *row* is the identity
of an object in a tap; it is made when the object is attached to a ledger and
dies with the object.  What is not fast is written once, in ``writing``, and
used by both twins.

This module must never know values, containers or how anything is stored.
"""

from __future__ import annotations

from _thread import get_ident
from collections.abc import Callable
from typing import Any, ClassVar, Self

from taphouse.durable.kinds import SHORT_TEXT

__all__ = [
    "LedgerCore",
    "Row",
    "Tracked",
    "install",
    "install_types",
    "quicken",
    "restore_simple",
    "set_row",
    "wrap_alone",
]

_write: Callable[[Any, str, Any], None]
_erase: Callable[[Any, str], None]
_quick: frozenset[type] = frozenset()
_held: set[type] = set()
_blocks: dict[int, Any] = {}


def install(
    write: Callable[[Any, str, Any], None],
    erase: Callable[[Any, str], None],
    quick: frozenset[type],
    held: set[type],
    blocks: dict[int, Any],
) -> None:
    """Hand in the slow path.

    Args:
        write: ``write(obj, name, value)``, any write at all.
        erase: ``erase(obj, name)``.
        quick: exact types of values that need no look.
        held: exact types of values that must be told when they are overwritten.
        blocks: the open atomic blocks; while there are any, every write is slow.
    """
    global _write, _erase, _quick, _held, _blocks
    _write, _erase, _quick, _held, _blocks = write, erase, quick, held, blocks


class LedgerCore:
    """What the fast paths need of a ledger.

    Attributes:
        thread: the identity of the only thread that may write; 0 when nobody may.
        dirty: durable objects and own containers that changed since the last drain.
        freed: row numbers whose objects died since the last drain.
        on_dirty: called when ``dirty`` gets its first entry, or None.
    """

    __slots__ = ("dirty", "freed", "on_dirty", "thread")

    def __init__(self) -> None:
        self.thread = 0
        self.dirty: list[Any] = []
        self.freed: list[int] = []
        self.on_dirty: Callable[[], object] | None = None

    def mark_row(self, target: Any, row: Row) -> None:
        """Put ``target``, whose row is ``row``, among the dirty."""
        if row.dirty:
            return
        row.dirty = True
        self.dirty.append(target)
        if len(self.dirty) == 1 and self.on_dirty is not None:
            self.on_dirty()


class Row:
    """The identity of a durable object or own container in a tap.

    Attributes:
        ledger: the ledger it is written in, or None for an own container not yet attached.
        oid: its number, or 0.
        dirty: whether it is among ``ledger.dirty``.
        ops: for own containers, what changed since the last take; None means everything.
    """

    __slots__ = ("dirty", "ledger", "oid", "ops")

    def __init__(self, ledger: LedgerCore | None = None, oid: int = 0) -> None:
        self.ledger = ledger
        self.oid = oid
        self.dirty = False
        self.ops: list[tuple[Any, ...]] | None = None

    def __del__(self) -> None:
        if self.oid and self.ledger is not None:
            self.ledger.freed.append(self.oid)


class _Layout:
    __slots__ = ("__weakref__", "_tap_known", "_tap_row", "_tap_state")

    _tap_known: set[str]
    _tap_row: Any
    _tap_state: dict[str, Any]


class _WithDict(_Layout):
    # Without __slots__, so that the interpreter keeps the attribute dict as it does for any
    # class: reads stay as fast as those of a plain object.
    pass


_real_dict = _WithDict.__dict__["__dict__"].__get__
_set_row = _Layout.__dict__["_tap_row"].__set__
_set_known = _Layout.__dict__["_tap_known"].__set__
_set_state = _Layout.__dict__["_tap_state"].__set__


class Tracked(_WithDict):
    """An object whose attribute writes are tracked."""

    __slots__ = ()

    _tap_names: ClassVar[set[str]] = set()
    """Names known, per class, to be ordinary attributes; filled and used by the slow path."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        self = super().__new__(cls)
        if (args or kwargs) and cls.__init__ is object.__init__:
            raise TypeError(f"{cls.__name__}() takes no arguments")
        _set_row(self, None)
        _set_state(self, _real_dict(self))
        _set_known(self, cls._tap_names)
        return self

    def __setattr__(self, name: str, value: Any) -> None:
        kind = type(value)
        if name in self._tap_known and (kind in _quick or (kind is str and len(value) <= SHORT_TEXT)):
            state = self._tap_state
            try:
                quick = type(state[name]) not in _held and not _blocks
            except KeyError:
                quick = not _blocks
            if quick:
                row = self._tap_row
                if row is None:
                    state[name] = value
                    return
                if row.ledger.thread == get_ident():
                    if not row.dirty:
                        row.ledger.mark_row(self, row)
                    state[name] = value
                    return
        _write(self, name, value)

    def __delattr__(self, name: str) -> None:
        _erase(self, name)


def install_types(*types: Any) -> None:
    """Hand in the types that wrapping knows; this twin leaves wrapping to adoption."""


def quicken(cls: type) -> None:
    """Lay faster methods over the common changes of a tracked class; this twin has none."""


def wrap_alone(plain: Any) -> Any:
    """Return the tracked form of a list or dict that nobody else holds, or None if there is more to it.

    This twin always says there is.
    """
    return None


def restore_simple(obj: Any, attributes: dict[str, Any], state: dict[str, Any]) -> list[str] | None:
    """Put ``state`` into ``attributes`` of ``obj``; return the names whose values have to be looked at."""
    attributes.update(state)
    return [name for name, value in state.items() if type(value) not in _quick] or None


def set_row(obj: Any, row: Row | None) -> None:
    """Give ``obj`` its row."""
    _set_row(obj, row)
