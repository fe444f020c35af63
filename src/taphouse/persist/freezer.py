"""The freezer: at the end of a turn of the loop, what changed becomes one epoch.

Runs on the thread that owns the state, without giving up control, so everything
it writes belongs to one moment.  New objects get their numbers by reachability
from what changed.  This module must never know files, nor run code of the
application.
"""

from __future__ import annotations

import logging
import sys
import time
from typing import Any, Final

from taphouse.durable import Durable, Ledger, attach, is_own, is_tracked, make_own, oid_of, path_of, take_ops
from taphouse.errors import InternalError
from taphouse.persist.containers import CHUNK_ENTRIES
from taphouse.persist.leaves import PackFailure
from taphouse.persist.opaque import OpaqueEntry, check_opaque, digest_of
from taphouse.persist.origin import plan_text
from taphouse.persist.records import Epoch
from taphouse.persist.rowing import RowWriter, is_shared
from taphouse.persist.shaping import Classes
from taphouse.persist.turns import Store, Turn
from taphouse.persist.unknown import Unknown

__all__ = ["Freezer"]

_log = logging.getLogger("taphouse.persist")
_SLOW_COMPARE_S: Final = 0.001
_REWRITE_BYTES: Final = 1 << 16
"""Operations on a big container are kept up to this size before its chunks are written anew."""


class Freezer:
    """Makes epochs of what a ledger noticed.

    Args:
        ledger: has begun.
        store: gives the last epoch and the numbers of classes; nothing is written to it here.
        chunk_bytes: what :class:`Thawed` says about big containers.
    """

    numbers = found = None
    embeds = True

    def __init__(
        self, ledger: Ledger, store: Store, chunk_bytes: dict[int, tuple[int, int]] | None = None
    ) -> None:
        self._ledger = ledger
        self._number = store.epoch
        self._classes = Classes(dict(store.classes))
        self._writer = RowWriter(self, self._classes)
        self._queue: list[Any] = []
        self._sizes = dict(chunk_bytes or {})
        self._big: set[int] = set(self._sizes)
        self._plan: str | None = store.info.plan_text if store.info is not None else None
        self._warned = False
        self._current: Any = None

    @property
    def has_opaque(self) -> bool:
        """Whether there are values that only comparing tells to have changed: freeze every turn then."""
        return bool(self._ledger.opaque)

    def snapshot_start(self, root: Durable) -> None:
        """Begin a new application: everything that ``root`` reaches is in the next turn."""
        if not oid_of(root):
            attach(root, self._ledger, self._ledger.new_oid())
        self._queue.append(root)

    def freeze(self, plan: dict[str, Any] | None = None) -> Turn | None:
        """Return everything that changed since the last call, or None if nothing did.

        Args:
            plan: the plan as it is now; stored if it changed.

        Raises:
            InternalError: naming the path, if a value cannot be written, or a plain container was
                changed through an alias.
        """
        epoch = Epoch()
        self._current = None
        try:
            freed: list[int] = []
            compared = False
            while True:
                drained = self._ledger.drain()
                freed += drained.freed
                self._queue += drained.dirty
                while self._queue:
                    self._current = self._queue.pop()
                    self._write(self._current, epoch)
                if compared and not self._ledger.is_dirty:
                    break
                # Writing an opaque value may give a container a row of its own, which marks its holder.
                self._compare_opaque(epoch, freed)
                compared = True
                if not self._queue and not self._ledger.is_dirty:
                    break
        except PackFailure as failure:
            owner = self._current.value if type(self._current) is OpaqueEntry else self._current
            where = path_of(owner) if hasattr(owner, "_tap_row") else type(owner).__qualname__
            raise InternalError(
                f"{where}{failure.path}: {failure.why}", cure="keep it in a _v_ attribute"
            ) from failure
        epoch.freed = [oid for oid in dict.fromkeys(freed) if oid not in epoch.rows or epoch.rows.pop(oid)]
        for oid in epoch.freed:
            self._forget(oid, epoch)
        return self._finish(epoch, plan)

    def _finish(self, epoch: Epoch, plan: dict[str, Any] | None) -> Turn | None:
        epoch.classes = self._classes.take_fresh()
        if plan is not None:
            text = plan_text(plan)
            if text != self._plan:
                epoch.plan = self._plan = text
        if epoch.is_empty():
            return None
        epoch.next_oid = self._ledger.next_oid
        self._number += 1
        return Turn(self._number, epoch, epoch.pack())

    def _write(self, value: Any, epoch: Epoch) -> None:
        if type(value) is OpaqueEntry:
            row = self._writer.opaque(value.value)
            value.digest = digest_of(row)
            epoch.rows[value.oid] = row
        elif is_tracked(value):
            self._write_container(value, oid_of(value), epoch)
        elif type(value) is not Unknown:
            epoch.rows[oid_of(value)] = self._writer.durable(value)

    def _write_container(self, container: Any, oid: int, epoch: Epoch) -> None:
        ops = take_ops(container)
        base, changes = self._sizes.get(oid, (0, 0))
        is_rewritten = oid not in self._sizes or oid in epoch.chunks or changes >= max(base, _REWRITE_BYTES)
        if ops is not None and not is_rewritten:
            if ops:
                epoch.deltas[oid] = data = self._writer.operations(ops)
                self._sizes[oid] = (base, changes + len(data))
            return
        row, chunks = self._writer.container(container)
        epoch.rows[oid] = row
        if chunks or oid in self._sizes:
            epoch.chunks[oid] = chunks
            epoch.deltas.pop(oid, None)
        if chunks:
            self._sizes[oid] = (sum(map(len, chunks)), 0)
        else:
            self._sizes.pop(oid, None)

    def _compare_opaque(self, epoch: Epoch, freed: list[int]) -> None:
        """Write the rows of opaque values again and keep those that changed; forget the dead."""
        opaque = self._ledger.opaque
        if not opaque:
            return
        begun = time.perf_counter()
        for key, entry in list(opaque.items()):
            # The entry's own reference and the argument: nobody else has it.
            if sys.getrefcount(entry.value) <= 2:
                del opaque[key]
                freed.append(entry.oid)
                continue
            if entry.oid in epoch.rows:
                continue
            self._current = entry
            row = self._writer.opaque(entry.value)
            digest = digest_of(row)
            if digest != entry.digest:
                entry.digest = digest
                epoch.rows[entry.oid] = row
        took = time.perf_counter() - begun
        if took > _SLOW_COMPARE_S and not self._warned:
            self._warned = True
            kinds = sorted({type(entry.value).__qualname__ for entry in opaque.values()})
            _log.warning(
                "comparing %d values that cannot be tracked took %.1f ms (%s): mark their classes @durable",
                len(opaque),
                took * 1000,
                ", ".join(kinds[:5]),
            )

    def _forget(self, oid: int, epoch: Epoch) -> None:
        self._sizes.pop(oid, None)
        epoch.chunks.pop(oid, None)
        epoch.deltas.pop(oid, None)

    # --- row numbers, asked by the shaper -----------------------------------------------------

    def of_durable(self, value: Durable) -> int:
        """Return the number of a durable object, a new one if it has none yet."""
        return oid_of(value) or self._attach(value)

    def of_container(self, value: Any) -> int:
        """Return the number of a tracked container, 0 if it is written inside its owner's row."""
        if not is_own(value):
            if len(value) <= CHUNK_ENTRIES:
                return 0
            make_own(value)
        return oid_of(value) or self._attach(value)

    def of_shared(self, value: Any) -> int:
        """Return the number of a tracked container that an opaque value refers to."""
        if not is_own(value):
            home = _home_of(value)
            make_own(value)
            if home is not None:
                self._ledger.mark(home)
        return oid_of(value) or self._attach(value)

    def _attach(self, value: Any) -> int:
        oid = self._ledger.new_oid()
        attach(value, self._ledger, oid)
        self._queue.append(value)
        return oid

    def of_opaque(self, value: Any) -> int:
        """Return the number of a plain instance or bytearray, a new one if it has none yet."""
        entry = self._ledger.opaque.get(id(value))
        if entry is None:
            check_opaque(value)
            entry = self._ledger.opaque[id(value)] = OpaqueEntry(self._ledger.new_oid(), value)
            self._queue.append(entry)
        return entry.oid

    def of_plain(self, value: Any) -> int:
        """Return the number of a plain container that is shared among opaque values, else 0."""
        if id(value) in self._ledger.opaque or is_shared(sys.getrefcount(value)):
            return self.of_opaque(value)
        return 0


def _home_of(container: Any) -> Any:
    """Return the durable object or own container in whose row ``container`` is written, or None."""
    home = container
    while is_tracked(home) and home._tap_row is None:
        owner = home._tap_owner
        home = owner() if owner is not None else None
    return home
