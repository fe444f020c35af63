"""Ownership: whose row a tracked container is written in.

A container is *embedded* while exactly one owner holds it: it has no row and is
written inside its owner's.  It becomes *own*, for ever, when a second owner
takes it, when it closes a cycle, or when it lies too deep.  Owners are held
weakly: a container never keeps its owner alive.

Slots of a container: ``_tap_owner`` weak reference to the owner (of an own one only to
spell its path), ``_tap_key``
where the owner has it (exact for attributes and keys, a hint for indexes),
``_tap_slots`` how often the owner has it, ``_tap_row`` its row once own,
``_tap_logged`` the token of the ops in which its change is already noted.

This module must never know which kinds of containers there are.
"""

from __future__ import annotations

from _thread import get_ident
from collections.abc import Iterable
from typing import Any
from weakref import ref

from taphouse.durable import undo
from taphouse.durable.twin import Row
from taphouse.errors import InternalError, WrongThreadError
from taphouse.names import qualified_name

__all__ = [
    "HELD",
    "TRACKED",
    "Ops",
    "attached_home",
    "check_writer",
    "home_of",
    "join",
    "leave",
    "leave_all",
    "path_of",
    "promote",
    "refuse_writer",
    "restore_ownership",
    "touch",
]

TRACKED: set[type] = set()
"""The exact types of tracked containers; each adds itself."""

HELD: set[type] = {tuple}
"""TRACKED and the types whose values may carry tracked containers (tuples and named tuples)."""

MAX_CHAIN = 50
"""Containers embedded deeper than this in one row become own, so that no row nests without bound."""


class Ops(list[tuple[Any, ...]]):
    """The changes of an own container since they were last taken.

    Attributes:
        token: stands for this list where holding it would hold all its values.
    """

    __slots__ = ("token",)

    def __init__(self, ops: Iterable[tuple[Any, ...]] = ()) -> None:
        if ops:
            self.extend(ops)
        self.token = object()


def home_of(container: Any) -> Any:
    """Return the durable object or own container in whose row ``container`` is written, or None."""
    home = container
    while home._tap_row is None:
        owner = home._tap_owner
        if owner is None:
            # A durable object that is not attached has no row yet, but is a home.
            return home if type(home) not in TRACKED else None
        home = owner()
        if home is None:
            return None
    return home


def attached_home(container: Any) -> Any:
    """Return the home of ``container`` if it is attached to a ledger, else None."""
    home = home_of(container)
    row = None if home is None else home._tap_row
    return None if row is None or row.ledger is None else home


def refuse_writer(ledger: Any, target: Any) -> None:
    """Raise the error that says why this thread may not write ``target``."""
    if ledger.closed:
        raise InternalError(f"{path_of(target)}: {ledger.closed}", cure=ledger.cure)
    if not ledger.thread:
        raise InternalError(f"{path_of(target)}: its ledger has not begun")
    raise WrongThreadError(
        f"{path_of(target)} was written from another thread than the one that runs its application",
        cure="use durable.call(function) to run it there",
    )


def check_writer(row: Any, target: Any) -> None:
    """Raise unless the calling thread may write ``target``, whose row is ``row``."""
    if row is not None and row.ledger is not None and row.ledger.thread != get_ident():
        refuse_writer(row.ledger, target)


def touch(container: Any) -> None:
    """Do what is due before the contents of ``container`` change.

    The writer is checked, the row it is written in is marked dirty, and an own
    container above it that writes only its differences notes the entry.
    """
    home = container
    child = None
    row = home._tap_row
    while row is None:
        owner = home._tap_owner
        if owner is None:
            return
        child = home
        home = owner()
        if home is None:
            return
        row = home._tap_row
    ledger = row.ledger
    if ledger is not None and ledger.thread != get_ident():
        refuse_writer(ledger, container)
    ops = row.ops
    if ops is not None:
        if undo.BLOCKS:
            undo.mark_row(row)
        if child is not None and child._tap_logged is not ops.token:
            home._tap_note(child)
            child._tap_logged = ops.token
    if ledger is not None and not row.dirty:
        ledger.mark_row(home, row)


def restore_ownership(container: Any, owner: Any, key: Any, slots: int, row: Any) -> None:
    """Put the ownership of ``container`` back to what it was (undo)."""
    container._tap_owner = owner
    container._tap_key = key
    container._tap_slots = slots
    container._tap_row = row


def _remember(container: Any) -> None:
    log = undo.open_log()
    if log is not None:
        c = container
        log.append((restore_ownership, (c, c._tap_owner, c._tap_key, c._tap_slots, c._tap_row)))


def join(container: Any, owner: Any, key: Any) -> None:
    """Record that ``owner`` now has ``container`` at ``key`` (once more)."""
    if undo.BLOCKS:
        _remember(container)
    if container._tap_row is not None:
        return
    held = container._tap_owner
    first = None if held is None else held()
    if first is None or container._tap_slots == 0:
        depth = 0
        above = owner
        while above is not None and type(above) in TRACKED and above._tap_row is None:
            depth += 1
            if above is container or depth > MAX_CHAIN:
                promote(container)
                return
            up = above._tap_owner
            above = None if up is None else up()
        if above is container:
            promote(container)
            return
        container._tap_owner = ref(owner)
        container._tap_key = key
        container._tap_slots = 1
    elif first is owner:
        # Perhaps only for a moment, as in ``l[0], l[1] = l[1], l[0]``: is_own() decides when it is asked.
        row = owner._tap_row
        if row is not None and row.ops is not None:
            # All places: which of them is the one that is written inline on disk is not known.
            owner._tap_note(container, container._tap_slots + 1)
        container._tap_slots += 1
        container._tap_key = key
    else:
        promote(container)


def promote(container: Any) -> None:
    """Make ``container`` own: the rows that hold it inline are marked, to be written with a reference."""
    if container._tap_row is not None:
        return
    if undo.BLOCKS:
        _remember(container)
    touch(container)
    container._tap_row = Row()
    container._tap_owner = None
    container._tap_slots = 0
    container._tap_key = None


def leave(container: Any, owner: Any) -> None:
    """Record that ``owner`` has ``container`` once less."""
    held = container._tap_owner
    if held is None or held() is not owner:
        return
    if container._tap_row is not None:
        container._tap_owner = None  # it only spelt the path
        return
    if undo.BLOCKS:
        _remember(container)
    container._tap_slots -= 1
    if container._tap_slots <= 0:
        container._tap_slots = 0
        container._tap_owner = None


def leave_all(value: Any, owner: Any) -> None:
    """Record that ``owner`` no longer has ``value``, looking for containers inside tuples."""
    if type(value) in TRACKED:
        leave(value, owner)
    elif type(value) in HELD:
        for part in value:
            if type(part) in HELD:
                leave_all(part, owner)


def path_of(target: Any) -> str:
    """Return where ``target`` is, ``otk.Keys.cache['k'][3]``."""
    tail = ""
    while type(target) in TRACKED:
        owner = target._tap_owner
        above = None if owner is None else owner()
        if above is None:
            break
        if type(above) in TRACKED:
            tail = f"[{target._tap_key!r:.60}]{tail}"
        else:
            tail = f".{target._tap_key}{tail}"
        target = above
    return label_of(target) + tail


def label_of(target: Any) -> str:
    """Return the best name there is for a durable object or a container without an owner."""
    row = target._tap_row
    ledger = None if row is None else row.ledger
    if type(target) in TRACKED:
        number = row.oid if row is not None else 0
        return f"<{type(target).__name__}{f' #{number}' if number else ''}>"
    name = ledger.label_of(target) if ledger is not None and ledger.label_of is not None else ""
    return name or qualified_name(type(target))
