"""Writing: the whole truth about a write to an attribute of a durable object.

The fast paths of both trackers handle the write of a plain value over a plain
value; every other write and every deletion comes here.  This module must never
know which tracker is in use.
"""

from __future__ import annotations

from sys import getrefcount
from typing import Any

from taphouse.durable import undo
from taphouse.durable.adoption import prepare, settle
from taphouse.durable.holding import measure_setattr
from taphouse.durable.kinds import QUICK
from taphouse.durable.ownership import HELD, check_writer, leave_all
from taphouse.durable.twin import install

__all__ = ["VOLATILE", "copy_attributes", "erase", "write"]

VOLATILE = "_v_"
"""Attributes whose names begin with this are neither tracked nor saved (ZODB's convention)."""

_MISSING: Any = object()


def find_data_descriptor(cls: type, name: str) -> Any:
    """Return the data descriptor that ``name`` means in ``cls``, or None."""
    for base in cls.__mro__:
        if name in base.__dict__:
            found = base.__dict__[name]
            kind = type(found)
            return found if hasattr(kind, "__set__") or hasattr(kind, "__delete__") else None
    return None


def _before(obj: Any) -> Any:
    """Check the writer and mark ``obj`` dirty; return the undo log or None."""
    row = obj._tap_row
    if row is not None:
        check_writer(row, obj)
        if not row.dirty:
            row.ledger.mark_row(obj, row)
    return undo.open_log() if undo.BLOCKS else None


def write(obj: Any, name: str, value: Any) -> None:
    """Set attribute ``name`` of ``obj``.

    Raises:
        NotDurableError: if no tap can hold ``value``; nothing is changed.
        WrongThreadError: if this is not the thread of the application ``obj`` belongs to.
    """
    cls = type(obj)
    if name not in cls._tap_names:
        if name.startswith("_tap_"):
            raise AttributeError(f"{name!r} is a name of the tracker; use another")
        descriptor = find_data_descriptor(cls, name)
        if descriptor is not None:
            if not hasattr(type(descriptor), "__set__"):
                raise AttributeError(f"attribute {name!r} of {cls.__name__!r} objects cannot be set")
            type(descriptor).__set__(descriptor, obj, value)
            return
        if name.startswith(VOLATILE):
            obj._tap_state[name] = value
            return
        cls._tap_names.add(name)
    row = obj._tap_row
    if row is not None:
        check_writer(row, obj)
    alone = getrefcount(value) <= _ALONE
    stored, adoption = (value, None) if type(value) in QUICK else prepare(value, obj, name, alone)
    log = _before(obj)
    state = obj._tap_state
    old = state.get(name, _MISSING)
    if log is not None:
        log.append((state.pop, (name, None)) if old is _MISSING else (state.__setitem__, (name, old)))
    state[name] = stored
    if old is not stored:
        settle(adoption)
        if type(old) in HELD:
            leave_all(old, obj)


def _put_back(state: dict[str, Any], before: dict[str, Any]) -> None:
    volatile = {k: v for k, v in state.items() if k.startswith(VOLATILE)}
    state.clear()
    state.update(before)
    state.update(volatile)


def erase(obj: Any, name: str) -> None:
    """Delete attribute ``name`` of ``obj``.

    Raises:
        AttributeError: if there is none.
        WrongThreadError: if this is not the thread of the application ``obj`` belongs to.
    """
    cls = type(obj)
    descriptor = find_data_descriptor(cls, name)
    if descriptor is not None:
        if not hasattr(type(descriptor), "__delete__"):
            raise AttributeError(f"attribute {name!r} of {cls.__name__!r} objects cannot be deleted")
        type(descriptor).__delete__(descriptor, obj)
        return
    state = obj._tap_state
    if name not in state:
        raise AttributeError(f"{cls.__name__!r} object has no attribute {name!r}")
    if name.startswith(VOLATILE):
        del state[name]
        return
    log = _before(obj)
    if log is not None:
        log.append((_put_back, (state, dict(state))))
    leave_all(state.pop(name), obj)


def copy_attributes(obj: Any, copy: Any) -> Any:
    """Return a new, unattached object of the class of ``obj`` with ``copy(value)`` of each attribute."""
    cls: Any = type(obj)
    twin = cls.__new__(cls)
    for name, value in list(obj._tap_state.items()):
        if not name.startswith(VOLATILE):
            write(twin, name, copy(value))
    return twin


_ALONE = measure_setattr()
install(write, erase, QUICK, HELD, undo.BLOCKS)
