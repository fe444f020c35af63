"""Ledger: what changed in one running application since it was last asked.

Also the doors through which the store gives objects their rows, takes the
differences of containers and restores state.  This module must never know how
anything is encoded or written.
"""

from __future__ import annotations

from _thread import get_ident
from collections.abc import Callable
from typing import Any, NamedTuple

from taphouse.durable import aliases, undo
from taphouse.durable.adoption import restore, restore_items
from taphouse.durable.auditing import Auditor
from taphouse.durable.checking import PLAIN, Strictness
from taphouse.durable.dicts import TrackedDict
from taphouse.durable.kinds import DURABLE_CLASSES, LEAVES
from taphouse.durable.lists import TrackedList
from taphouse.durable.ownership import TRACKED, Ops, attached_home, home_of, path_of, promote
from taphouse.durable.twin import LedgerCore, Row, install_types, restore_simple, set_row
from taphouse.errors import InternalError

__all__ = ["Drained", "Ledger"]


class Drained(NamedTuple):
    """What changed.

    Attributes:
        dirty: durable objects and own containers that changed, in order of their first change.
        freed: row numbers of objects that are no more.
    """

    dirty: list[Any]
    freed: list[int]


class _CurrentLedger(type):
    """Lets ``Ledger.current = ledger`` also say that an application runs in this process."""

    _current: Ledger | None = None

    @property
    def current(cls) -> Ledger | None:
        """The ledger of the application that runs in this process, or None."""
        return _CurrentLedger._current

    @current.setter
    def current(cls, ledger: Ledger | None) -> None:
        _CurrentLedger._current = ledger
        Strictness.running = ledger is not None


class Ledger(LedgerCore, metaclass=_CurrentLedger):
    """The record of what changed.

    Args:
        on_dirty: called once when the ledger goes from clean to dirty, or None.

    Attributes:
        thread: identity of the only thread that may write.
        root: what :meth:`begin` was given.
        next_oid: the next row number :meth:`new_oid` gives.
        opaque: values that are compared each epoch, by id; owned by the freezer.
        committer: an object with ``async committed()`` and ``call(function)``, or None.
        auditor: compares everything at each drain, see :meth:`audit`, or None.
        label_of: names a durable object for messages ("Keys#1"), or None.
    """

    def __init__(self, on_dirty: Callable[[], object] | None = None) -> None:
        super().__init__()
        self.on_dirty = on_dirty
        self.root: Any = None
        self.next_oid = 1
        self.opaque: dict[int, Any] = {}
        self.committer: Any = None
        self.label_of: Callable[[Any], str] | None = None
        self.auditor: Auditor | None = None
        self.closed = ""
        self.cure = ""

    def begin(self, root: Any, next_oid: int = 1) -> None:
        """Begin with ``root``, in the calling thread, giving row numbers from ``next_oid`` on."""
        self.root = root
        self.next_oid = next_oid
        self.adopt_thread()

    def adopt_thread(self) -> None:
        """Make the calling thread the only one that may write."""
        if not self.closed:
            self.thread = get_ident()

    def new_oid(self) -> int:
        """Return a row number never given before."""
        oid = self.next_oid
        self.next_oid = oid + 1
        return oid

    @property
    def is_dirty(self) -> bool:
        """Whether anything changed since the last drain."""
        return bool(self.dirty or self.freed)

    def mark(self, target: Any) -> None:
        """Mark a durable object or own container of this ledger dirty."""
        row = target._tap_row
        if row is not None and row.ledger is self:
            self.mark_row(target, row)

    def check_aliases(self) -> None:
        """Compare the plain containers adopted in this epoch with what they held then.

        Raises:
            InternalError: naming the path, if one was changed through an alias.
        """

        def concerns(copy: Any) -> bool | None:
            home = attached_home(copy)
            if home is not None:
                return home._tap_row.ledger is self
            return None if home_of(copy) is None else False

        if aliases.WATCHED:
            aliases.release_checked(concerns, path_of)

    def audit(self) -> None:
        """From now on let every drain find what changed past the methods of containers (slow)."""
        self.auditor = Auditor(self.root)

    def drain(self) -> Drained:
        """Return what changed since the last drain, and begin anew.

        Raises:
            InternalError: if a container was changed through an alias, or, when audited, past its methods.
        """
        if undo.BLOCKS:
            undo.break_suspended()
        self.check_aliases()
        if self.auditor is not None:
            self.auditor.check(self.dirty)
        dirty, self.dirty = self.dirty, []
        freed, self.freed = self.freed, []
        for target in dirty:
            target._tap_row.dirty = False
        return Drained(dirty, freed)

    def close(self, reason: str = "its application has stopped", cure: str = "") -> None:
        """End: from now on every write to an attached object raises InternalError with ``reason``."""
        self.closed = reason
        self.cure = cure
        self.thread = 0
        self.on_dirty = None
        if Ledger.current is self:
            Ledger.current = None


def oid_of(target: Any) -> int:
    """Return the row number of a durable object or own container; 0 if it has none."""
    row = target._tap_row
    return 0 if row is None else row.oid


def attach(target: Any, ledger: Ledger, oid: int) -> None:
    """Give a durable object or own container its row ``oid`` in ``ledger``.

    Raises:
        InternalError: if it belongs to another ledger, or was changed through an alias.
    """
    row = target._tap_row
    if row is None and type(target) not in TRACKED:
        set_row(target, Row(ledger, oid))
    else:
        if row is None:
            make_own(target)
            row = target._tap_row
        if row.ledger is not None and (row.ledger is not ledger or row.oid != oid):
            raise InternalError(f"{path_of(target)} belongs to another application")
        row.ledger = ledger
        row.oid = oid
    if aliases.WATCHED:
        aliases.check_home(target, home_of, path_of)


def detach(target: Any) -> None:
    """Take a durable object or own container out of its ledger; it can be attached to another.

    A container stays own.
    """
    row = target._tap_row
    if type(target) not in TRACKED:
        set_row(target, None)
    elif row is not None:
        target._tap_row = Row()


def is_tracked(value: object) -> bool:
    """Say whether ``value`` is a tracked container."""
    return type(value) in TRACKED


def is_own(container: Any) -> bool:
    """Say whether a tracked container has a row of its own.

    One that its owner has twice becomes own by being asked.
    """
    if container._tap_row is None and container._tap_slots > 1:
        make_own(container)
    return container._tap_row is not None


def make_own(container: Any) -> None:
    """Give a tracked container a row of its own, for ever; the rows around it are not marked."""
    if container._tap_row is None:
        container._tap_row = Row()
        if container._tap_slots != 1:
            # The only owner is kept to spell paths by, nothing else.
            container._tap_owner = None
            container._tap_key = None
        container._tap_slots = 0


def share(container: Any) -> None:
    """Give a tracked container a row of its own, for ever; what holds it inline is marked."""
    promote(container)


def take_ops(container: Any) -> list[tuple[Any, ...]] | None:
    """Return the changes of an own container since the last take; None: write it in full.

    From the first take on its changes are logged.
    """
    row = container._tap_row
    ops: list[tuple[Any, ...]] | None = row.ops
    row.ops = Ops()
    return ops


def restore_state(obj: Any, state: dict[str, Any]) -> None:
    """Make ``state`` the attributes of a durable object: no check, no tracking.

    Plain containers in it become tracked ones.  It is a tree: only containers with rows
    of their own may be in it more than once.
    """
    attributes = obj._tap_state
    attributes.clear()
    for name in restore_simple(obj, attributes, state) or ():
        attributes[name] = restore(state[name], obj, name)


def restore_container(container: Any, items: Any) -> None:
    """Fill a blank tracked container from a plain one: no check, no tracking."""
    restore_items(container, items)


__all__ += [
    "attach",
    "detach",
    "is_own",
    "is_tracked",
    "make_own",
    "oid_of",
    "restore_container",
    "restore_state",
    "share",
    "take_ops",
]

install_types(TrackedList, TrackedDict, LEAVES, DURABLE_CLASSES, PLAIN, TRACKED)
