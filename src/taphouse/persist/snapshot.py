"""A snapshot: an application that does not run, as the content of a tap.

Rows are numbered by reachability from the root.  The objects keep no trace of
it: they are not attached to a ledger.  This module must never know files.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from taphouse.durable import Durable, is_own, path_of, raw_state
from taphouse.errors import NotDurableError
from taphouse.persist.containers import EMBEDDED_ENTRIES
from taphouse.persist.leaves import PackFailure
from taphouse.persist.opaque import check_opaque
from taphouse.persist.records import Epoch
from taphouse.persist.rowing import RowWriter, is_shared
from taphouse.persist.shaping import Classes

__all__ = ["Snapshot", "refuse_value"]


def refuse_value(failure: PackFailure, owner: object, label: str = "") -> NotDurableError:
    """Return the error for a value in the row of ``owner`` that cannot be written."""
    if not label:
        label = path_of(owner) if hasattr(owner, "_tap_row") else type(owner).__qualname__
    return NotDurableError(f"{label}{failure.path}: {failure.why}", cure="keep it in a _v_ attribute")


class Snapshot:
    """Numbers and writes everything that ``root`` reaches.

    Args:
        root: gets number 1.
        label_of: names an object for messages, or None.
    """

    def __init__(self, root: Durable, label_of: Callable[[Any], str] | None = None) -> None:
        self._root = root
        self._label_of = label_of
        self._shared: set[int] = set()
        self._begin()

    def _begin(self) -> None:
        self.classes = Classes()
        self.numbers: dict[int, int] = {}
        self.embeds = not self._shared
        self.found: list[Any] = []
        self._opaque: set[int] = set()
        self._writer = RowWriter(self, self.classes)
        self._number(self._root)

    def write(self) -> Epoch:
        """Return everything as one epoch.

        Raises:
            NotDurableError: with the path of the first value that cannot be written.
        """
        while True:
            shared = len(self._shared)
            epoch = self._write()
            if len(self._shared) == shared:
                return epoch
            # A container written inside its owner's row was met again in an opaque value: it needs its own.
            self._begin()

    def _write(self) -> Epoch:
        epoch = Epoch()
        writer, found, rows = self._writer, self.found, epoch.rows
        # The same as writer.durable(value), without a call for each of many thousand objects.
        number_of, pack_state = self.classes.number_of, writer.pack_state
        oid = 0
        try:
            while oid < len(found):
                value = found[oid]
                oid += 1
                if isinstance(value, Durable):
                    rows[oid] = number_of(type(value)), pack_state(raw_state(value))
                elif id(value) in self._opaque:
                    rows[oid] = writer.opaque(value)
                else:
                    rows[oid], chunks = writer.container(value)
                    if chunks:
                        epoch.chunks[oid] = dict(enumerate(chunks))
        except PackFailure as failure:
            label = self._label_of(found[oid - 1]) if self._label_of else ""
            raise refuse_value(failure, found[oid - 1], label) from failure
        epoch.classes = self.classes.take_fresh()
        epoch.next_oid = len(found) + 1
        return epoch

    def _number(self, value: Any) -> int:
        key = id(value)
        oid = self.numbers.get(key)
        if oid is None:
            self.found.append(value)  # held, so that no other object gets its id
            oid = self.numbers[key] = len(self.found)
        return oid

    of_durable = _number

    def of_container(self, value: Any) -> int:
        """Return the number of a tracked container, 0 if it is written inside its owner's row."""
        if len(value) > EMBEDDED_ENTRIES or is_own(value) or id(value) in self._shared:
            return self._number(value)
        return 0

    def of_shared(self, value: Any) -> int:
        """Return the number of a tracked container that an opaque value refers to."""
        if not is_own(value):
            self._shared.add(id(value))
        return self._number(value)

    def of_opaque(self, value: Any) -> int:
        """Return the number of a plain instance or bytearray."""
        if id(value) not in self._opaque:
            check_opaque(value)
            self._opaque.add(id(value))
        return self._number(value)

    def of_plain(self, value: Any) -> int:
        """Return the number of a plain container that is shared, else 0."""
        if id(value) in self.numbers or is_shared(sys.getrefcount(value)):
            return self.of_opaque(value)
        return 0
