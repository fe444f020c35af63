"""The numbers that containers with a row of their own have in place of a class number.

The number says what to make before anything is read, so that rows may refer to
each other in circles.  This module must never know bytes or rows.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from typing import Any, Final

from taphouse.durable import (
    TrackedCounter,
    TrackedDefaultDict,
    TrackedDeque,
    TrackedDict,
    TrackedList,
    TrackedOrderedDict,
    TrackedSet,
)

__all__ = [
    "BYTEARRAY_CID",
    "CHUNK_ENTRIES",
    "CONTAINER_CIDS",
    "EMBEDDED_ENTRIES",
    "FIRST_CLASS",
    "MADE_BY_CID",
    "PLAIN_CONTAINERS",
    "plain_kind",
]

CHUNK_ENTRIES: Final = 1000
"""Entries of a big container to a row of ``chunk``; what has more is written in such rows."""
EMBEDDED_ENTRIES: Final = 64
"""A container with more entries gets a row of its own; from then on its changes are written as operations.

Writing 64 entries costs about as much as writing one operation, its row in the fold counted in.
"""
BYTEARRAY_CID: Final = 8
FIRST_CLASS: Final = 16
"""Class numbers of the application begin here."""

MADE_BY_CID: Final[dict[int, type]] = {
    1: TrackedList,
    2: TrackedDict,
    3: TrackedSet,
    4: TrackedDeque,
    5: TrackedOrderedDict,
    6: TrackedDefaultDict,
    7: TrackedCounter,
    BYTEARRAY_CID: bytearray,
    9: list,
    10: dict,
    11: set,
    12: deque,
    13: OrderedDict,
    14: defaultdict,
    15: Counter,
}
"""1 to 7 are tracked containers, 8 to 15 what only opaque objects refer to."""
CONTAINER_CIDS: Final = {kind: cid for cid, kind in MADE_BY_CID.items()}
PLAIN_CONTAINERS: Final = frozenset({list, dict, set, deque, OrderedDict, defaultdict, Counter})


def plain_kind(value: Any) -> type:
    """Return the builtin kind of a tracked or plain container."""
    # Subclasses first: an OrderedDict is a dict too.
    return next(
        kind
        for kind in (OrderedDict, defaultdict, Counter, dict, list, set, deque, bytearray)
        if isinstance(value, kind)
    )
