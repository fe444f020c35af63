"""Room ``durable``: objects and containers whose every change is noticed.

Tracks attribute writes and container changes, checks what is written, undoes
``atomic()`` blocks, knows classes by stable names, and tells a *ledger* what
changed.  It is pure: it must never do I/O, know an event loop, or know how
anything is encoded, stored or served.
"""

from taphouse.durable.base import Durable, make_blank, raw_state
from taphouse.durable.checking import check_value
from taphouse.durable.deques import TrackedDeque
from taphouse.durable.dicts import TrackedDict
from taphouse.durable.holder import durable
from taphouse.durable.kinds import describe_kind
from taphouse.durable.ledger import (
    Drained,
    Ledger,
    attach,
    detach,
    is_own,
    is_tracked,
    make_own,
    oid_of,
    restore_container,
    restore_state,
    share,
    take_ops,
)
from taphouse.durable.lists import TrackedList
from taphouse.durable.mappings import TrackedCounter, TrackedDefaultDict, TrackedOrderedDict
from taphouse.durable.ownership import path_of
from taphouse.durable.registry import ClassRecord, class_record, find_registered, is_registered, register
from taphouse.durable.sets import TrackedSet
from taphouse.durable.twin import TRACKER
from taphouse.durable.undo import atomic, in_atomic
from taphouse.durable.volatile import volatile

__all__ = [
    "TRACKER",
    "ClassRecord",
    "Drained",
    "Durable",
    "Ledger",
    "TrackedCounter",
    "TrackedDefaultDict",
    "TrackedDeque",
    "TrackedDict",
    "TrackedList",
    "TrackedOrderedDict",
    "TrackedSet",
    "atomic",
    "attach",
    "check_value",
    "class_record",
    "describe_kind",
    "detach",
    "durable",
    "find_registered",
    "in_atomic",
    "is_own",
    "is_registered",
    "is_tracked",
    "make_blank",
    "make_own",
    "oid_of",
    "path_of",
    "raw_state",
    "register",
    "restore_container",
    "restore_state",
    "share",
    "take_ops",
    "volatile",
]
