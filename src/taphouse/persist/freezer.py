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

from taphouse.durable import (
    Durable,
    Ledger,
    attach,
    is_own,
    is_tracked,
    make_own,
    oid_of,
    path_of,
    share,
    take_ops,
)
from taphouse.errors import InternalError
from taphouse.persist.containers import EMBEDDED_ENTRIES
from taphouse.persist.leaves import PackFailure
from taphouse.persist.opaque import OpaqueEntry, check_opaque, digest_of
from taphouse.persist.origin import plan_text
from taphouse.persist.records import Epoch, join_arrays
from taphouse.persist.rewriting import Rewriting, other_half
from taphouse.persist.rowing import RowWriter, is_shared
from taphouse.persist.shaping import Classes
from taphouse.persist.turns import Store, Turn
from taphouse.persist.unknown import Unknown

__all__ = ["Freezer"]

_log = logging.getLogger("taphouse.persist")
_SLOW_COMPARE_S: Final = 0.001
_REWRITE_BYTES: Final = 1 << 12
"""Operations on a container are kept up to this size, or that of its base, before it is written anew."""
_SLICE_BYTES: Final = 1 << 16
"""A container up to this size is written anew at once; of bigger ones about so much along with an epoch,
which takes 1 to 2 ms where its values are scattered over the memory."""


class _Written:
    """What is in the tap of a container whose changes are written as operations.

    Args:
        size: bytes of what the operations are done on.
        changes: bytes of the operations.
        first: number of its first chunk.
    """

    __slots__ = ("changes", "first", "rewriting", "size")

    def __init__(self, size: int, changes: int = 0, first: int = 0) -> None:
        self.size, self.changes, self.first = size, changes, first
        self.rewriting: Rewriting | None = None

    @property
    def is_outgrown(self) -> bool:
        """Whether there are more operations than it is worth to keep."""
        return self.changes >= max(self.size, _REWRITE_BYTES)


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
        self, ledger: Ledger, store: Store, chunk_bytes: dict[int, tuple[int, int, int]] | None = None
    ) -> None:
        self._ledger = ledger
        self._number = store.epoch
        self._classes = Classes(dict(store.classes))
        self._writer = RowWriter(self, self._classes)
        self._queue: list[Any] = []
        self._written = {oid: _Written(*numbers) for oid, numbers in (chunk_bytes or {}).items()}
        self._rewriting: set[int] = set()
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
        epoch = Epoch.begin()
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
                if self._rewriting and not compared and not epoch.is_empty():
                    self._rewrite_some(epoch)
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
        written = self._written.get(oid)
        number = self._number + 1
        if written is None or ops is None or (oid in epoch.bases and epoch.bases[oid][2] == number):
            self._write_whole(container, oid, epoch, written is not None)
            return
        if not ops:
            return
        is_begun = written.rewriting is not None
        if written.is_outgrown and not is_begun and written.size <= _SLICE_BYTES:
            self._write_whole(container, oid, epoch, True)
            return
        data = self._writer.operations(ops)
        written.changes += len(data)
        epoch.deltas[oid] = join_arrays([epoch.deltas[oid], data]) if oid in epoch.deltas else data
        if written.rewriting is not None:
            written.rewriting.changes += len(data)
            if written.rewriting.since == number:
                # Begun in this very epoch, before these operations: it would have to be begun again.
                written.rewriting = None
                self._rewriting.discard(oid)
                epoch.chunks.pop(oid, None)
        elif written.is_outgrown:
            written.rewriting = Rewriting(container, other_half(written.first), number)
            self._rewriting.add(oid)

    def _write_whole(self, container: Any, oid: int, epoch: Epoch, is_known: bool) -> None:
        number = self._number + 1
        row, chunks = self._writer.container(container, number if is_known else 0)
        epoch.rows[oid] = row
        epoch.chunks.pop(oid, None)
        if chunks:
            epoch.chunks[oid] = dict(enumerate(chunks))
        if is_known:
            epoch.bases[oid] = (0, len(chunks), number)
            epoch.deltas.pop(oid, None)
            self._rewriting.discard(oid)
        if is_known or len(container) > EMBEDDED_ENTRIES:
            self._written[oid] = _Written(sum(map(len, chunks)) or len(row[1]))

    def _rewrite_some(self, epoch: Epoch) -> None:
        """Write some chunks of containers that are written anew; faster than operations come."""
        left = max(_SLICE_BYTES, 2 * sum(map(len, epoch.deltas.values())))
        for oid in sorted(self._rewriting):
            written = self._written[oid]
            work = written.rewriting
            assert work is not None
            # The first chunks come with the epoch of the copy: the fold puts no operations of before and
            # after such an epoch together.
            if left <= 0 and work.since != self._number + 1:
                continue
            self._current = work.container
            before = work.size
            epoch.chunks.setdefault(oid, {}).update(work.take(max(left, 1), self._writer.chunk))
            left -= work.size - before
            if work.is_done:
                epoch.bases[oid] = base = work.base
                epoch.rows[oid] = self._writer.head(work.container, base)
                self._written[oid] = _Written(work.size, work.changes, base[0])
                self._rewriting.discard(oid)

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
        self._written.pop(oid, None)
        self._rewriting.discard(oid)
        epoch.chunks.pop(oid, None)
        epoch.deltas.pop(oid, None)
        epoch.bases.pop(oid, None)

    # --- row numbers, asked by the shaper -----------------------------------------------------

    def of_durable(self, value: Durable) -> int:
        """Return the number of a durable object, a new one if it has none yet."""
        return oid_of(value) or self._attach(value)

    def of_container(self, value: Any) -> int:
        """Return the number of a tracked container, 0 if it is written inside its owner's row."""
        if not is_own(value):
            if len(value) <= EMBEDDED_ENTRIES:
                return 0
            make_own(value)
        return oid_of(value) or self._attach(value)

    def of_shared(self, value: Any) -> int:
        """Return the number of a tracked container that an opaque value refers to."""
        if not is_own(value):
            share(value)
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
