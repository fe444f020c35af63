"""Room ``durable``: objects and containers whose every change is noticed.

Tracks attribute writes and container changes, checks what is written, undoes
``atomic()`` blocks, knows classes by stable names, and tells a *ledger* what
changed.  It is pure: it must never do I/O, know an event loop, or know how
anything is encoded, stored or served.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from taphouse.durable.volatile import volatile
from taphouse.lazy import lazy_door

if TYPE_CHECKING:
    from taphouse.durable.base import Durable as Durable
    from taphouse.durable.base import make_blank as make_blank
    from taphouse.durable.base import raw_state as raw_state
    from taphouse.durable.checking import check_value as check_value
    from taphouse.durable.deques import TrackedDeque as TrackedDeque
    from taphouse.durable.dicts import TrackedDict as TrackedDict
    from taphouse.durable.holder import durable as durable
    from taphouse.durable.kinds import describe_kind as describe_kind
    from taphouse.durable.ledger import Drained as Drained
    from taphouse.durable.ledger import Ledger as Ledger
    from taphouse.durable.ledger import attach as attach
    from taphouse.durable.ledger import is_own as is_own
    from taphouse.durable.ledger import is_tracked as is_tracked
    from taphouse.durable.ledger import make_own as make_own
    from taphouse.durable.ledger import oid_of as oid_of
    from taphouse.durable.ledger import restore_container as restore_container
    from taphouse.durable.ledger import restore_state as restore_state
    from taphouse.durable.ledger import take_ops as take_ops
    from taphouse.durable.lists import TrackedList as TrackedList
    from taphouse.durable.mappings import TrackedCounter as TrackedCounter
    from taphouse.durable.mappings import TrackedDefaultDict as TrackedDefaultDict
    from taphouse.durable.mappings import TrackedOrderedDict as TrackedOrderedDict
    from taphouse.durable.ownership import path_of as path_of
    from taphouse.durable.registry import ClassRecord as ClassRecord
    from taphouse.durable.registry import class_record as class_record
    from taphouse.durable.registry import find_registered as find_registered
    from taphouse.durable.registry import is_registered as is_registered
    from taphouse.durable.registry import register as register
    from taphouse.durable.sets import TrackedSet as TrackedSet
    from taphouse.durable.twin import TRACKER as TRACKER
    from taphouse.durable.undo import atomic as atomic
    from taphouse.durable.undo import in_atomic as in_atomic

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
    "take_ops",
    "volatile",
]

if not TYPE_CHECKING:  # a type checker knows every name; it should miss the others
    __getattr__ = lazy_door(
        __name__,
        {
            "base": ["Durable", "make_blank", "raw_state"],
            "checking": ["check_value"],
            "deques": ["TrackedDeque"],
            "dicts": ["TrackedDict"],
            "holder": ["durable"],
            "kinds": ["describe_kind"],
            "ledger": [
                "Drained",
                "Ledger",
                "attach",
                "is_own",
                "is_tracked",
                "make_own",
                "oid_of",
                "restore_container",
                "restore_state",
                "take_ops",
            ],
            "lists": ["TrackedList"],
            "mappings": ["TrackedCounter", "TrackedDefaultDict", "TrackedOrderedDict"],
            "ownership": ["path_of"],
            "registry": ["ClassRecord", "class_record", "find_registered", "is_registered", "register"],
            "sets": ["TrackedSet"],
            "twin": ["TRACKER"],
            "undo": ["atomic", "in_atomic"],
        },
    )
