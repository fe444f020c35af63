"""Folding: what the journal says moves into pages, chunks and deltas, a slice at a time.

A run folds everything committed before it began.  Until all of it is written the
journal rows stay, and a page knows up to which epoch it is folded, so a crash
between any two slices loses and doubles nothing; then ``meta`` says that they
are folded, and they are removed in slices, too.  This module must never commit
a transaction or know files: the store does that.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Final

from taphouse.durable import ClassRecord
from taphouse.persist.records import Base, Epoch, Page, Row, class_columns, join_arrays
from taphouse.persist.schema import CHUNKS_PER_OID, PAGE_OIDS, PAGE_SIZE, SUM_MASK, Counts, Meta, row_sum

__all__ = ["PACE_BYTES", "Folder"]

PACE_BYTES: Final = PAGE_SIZE // 3
"""For each so many bytes that a turn brings a row is to be folded: what is written down as operations costs
one row to write and one to clear for every 4096, and who folds no faster than others write never ends."""
DELTA_BYTES: Final = 1 << 16
"""Operations of several epochs on one container become one row of about this size."""
DROP_ROWS: Final = 32
"""Rows of an old base that are dropped at a time."""
CLEAR_BYTES: Final = 1 << 16
CLEAR_ROWS: Final = 500
"""So much of the journal is removed at a time: all 4 MB in one statement take 12 ms, and 8 to commit."""
_ROW_BYTES: Final = 40  # that a journal row takes beside its data


class _Deltas:
    """Operations of epochs that follow each other, to be one row."""

    __slots__ = ("is_closed", "number", "parts", "size")

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.number = 0
        self.size = 0
        self.is_closed = False

    def add(self, number: int, ops: bytes) -> None:
        """Add the operations of the next epoch that has some."""
        self.parts.append(ops)
        self.number = number
        self.size += len(ops)


class _Changes:
    """What a number of epochs change, together."""

    def __init__(self) -> None:
        self.classes: dict[int, ClassRecord] = {}
        self.pages: dict[int, dict[int, Row | None]] = {}
        self.chunks: dict[int, dict[int, bytes]] = {}
        self.bases: dict[int, Base] = {}
        self.deltas: dict[int, list[_Deltas]] = {}
        self.epoch = 0
        self.chain = b""
        self.next_oid = 1
        self.plan: str | None = None
        self.size = 0

    def add(self, number: int, epoch: Epoch, chain: bytes, size: int) -> None:
        """Add one epoch, the next."""
        self.classes.update(epoch.classes)
        for oid, row in epoch.rows.items():
            self.pages.setdefault(oid // PAGE_OIDS, {})[oid % PAGE_OIDS] = row
        for oid, parts in epoch.chunks.items():
            self.chunks.setdefault(oid, {}).update(parts)
        for oid, ops in epoch.deltas.items():
            groups = self.deltas.setdefault(oid, [])
            if not groups or groups[-1].is_closed or groups[-1].size > DELTA_BYTES:
                groups.append(_Deltas())
            groups[-1].add(number, ops)
        for oid in (*epoch.chunks, *epoch.bases):
            # A base that is begun here will hold the operations up to here: later ones are kept apart.
            if oid in self.deltas:
                self.deltas[oid][-1].is_closed = True
        for oid, base in epoch.bases.items():
            self._begin(oid, base)
        for oid in epoch.freed:
            self.pages.setdefault(oid // PAGE_OIDS, {})[oid % PAGE_OIDS] = None
            self._begin(oid, (0, 0, number))
        self.epoch, self.chain, self.next_oid = number, chain, epoch.next_oid
        self.plan = epoch.plan if epoch.plan is not None else self.plan
        self.size += size

    def _begin(self, oid: int, base: Base) -> None:
        """A container has a new base: what is not in it goes."""
        first, count, since = base
        self.bases[oid] = base
        if oid in self.chunks:
            self.chunks[oid] = {n: data for n, data in self.chunks[oid].items() if first <= n < first + count}
        if oid in self.deltas:
            self.deltas[oid] = [group for group in self.deltas[oid] if group.number > since]
            if not self.deltas[oid]:
                del self.deltas[oid]


class Folder:
    """Folds the journal of one tap.

    Args:
        meta: as stored.
        has_leftovers: whether the journal still has epochs that are folded.
    """

    def __init__(self, meta: Meta, *, has_leftovers: bool = False) -> None:
        self.meta = meta
        self._has_leftovers = has_leftovers
        self._waiting = _Changes()
        self._run: Iterator[int] | None = None
        self._big: set[int] = set()

    def add(self, number: int, epoch: Epoch, chain: bytes, size: int) -> None:
        """Note an epoch that stands in the journal."""
        self._waiting.add(number, epoch, chain, size)

    def add_big(self, oid: int) -> None:
        """Note a container that has chunk or delta rows."""
        self._big.add(oid)

    @property
    def waiting_bytes(self) -> int:
        """Bytes of journal that no run has begun to fold."""
        return self._waiting.size

    @property
    def is_running(self) -> bool:
        """Whether a run was begun and not finished."""
        return self._run is not None

    @property
    def is_done(self) -> bool:
        """Whether everything is folded."""
        return self._run is None and not self._waiting.epoch and not self._has_leftovers

    def slice(self, db: sqlite3.Connection, rows: int) -> bool:
        """Fold about ``rows`` rows inside the open transaction, and write ``meta``.

        Returns:
            Whether there is more to do.

        Raises:
            sqlite3.Error: if a statement fails.
        """
        if self._run is None:
            if self._waiting.epoch:
                changes, self._waiting = self._waiting, _Changes()
                self._run = self._steps(db, changes)
            elif self._has_leftovers:
                self._run = self._clear(db)
            else:
                return False
        done = 0
        for cost in self._run:
            done += cost
            if done >= rows:
                break
        else:
            self._run = None
        self.write_meta(db)
        return not self.is_done

    def write_meta(self, db: sqlite3.Connection) -> None:
        """Write the rows of ``meta`` with a fresh seal."""
        db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", self.meta.rows().items())

    def _steps(self, db: sqlite3.Connection, changes: _Changes) -> Iterator[int]:
        """Do one row after the other, yielding what each cost, in rows of the size of an SQLite page."""
        for cid, record in changes.classes.items():
            if self._put(db, "class", (cid, *class_columns(record)), None):
                yield 1
        for pid in sorted(changes.pages):
            self._fold_page(db, pid, changes.pages[pid], changes.epoch)
            yield 1
        for oid, base in changes.bases.items():
            if oid in self._big:
                yield from self._drop(db, oid, base)
        for oid, parts in changes.chunks.items():
            self._big.add(oid)
            for n, data in parts.items():
                self._put(db, "chunk", (oid * CHUNKS_PER_OID + n, changes.epoch, data), None)
                yield 1 + len(data) // PAGE_SIZE
        for oid, groups in changes.deltas.items():
            if oid in self._big:
                # A run that did not end may have left operations that are put together otherwise here.
                yield from self._delete(db, "delta", oid, self.meta.epoch + 1, 1 << 62)
            self._big.add(oid)
            for group in groups:
                self._put(db, "delta", (oid, group.number, join_arrays(group.parts)), None)
                yield 1 + group.size // PAGE_SIZE
        self.meta = self.meta.with_(epoch=changes.epoch, chain=changes.chain, next_oid=changes.next_oid)
        if changes.plan is not None:
            self.meta = self.meta.with_(plan=changes.plan)
        yield from self._clear(db)

    def _clear(self, db: sqlite3.Connection) -> Iterator[int]:
        """Remove what is folded from the journal, oldest first; readers pass over it by ``meta.epoch``."""
        self._has_leftovers = True
        while found := db.execute(
            "SELECT epoch, length(data) FROM journal WHERE epoch <= ? ORDER BY epoch LIMIT ?",
            (self.meta.epoch, CLEAR_ROWS),
        ).fetchall():
            last = size = 0
            for number, (epoch, data_bytes) in enumerate(found, 1):
                last, size = epoch, size + data_bytes + _ROW_BYTES
                # Never one alone: each commit brings one, and the journal would only grow.
                if size >= CLEAR_BYTES and number > 1:
                    break
            db.execute("DELETE FROM journal WHERE epoch <= ?", (last,))
            yield 1 + size // PAGE_SIZE
        self._has_leftovers = False

    def _fold_page(self, db: sqlite3.Connection, pid: int, slots: dict[int, Row | None], epoch: int) -> None:
        found = db.execute("SELECT epoch, idx, data, sum FROM page WHERE pid = ?", (pid,)).fetchone()
        page = Page.from_columns(*found[:3]) if found else Page()
        for slot, row in slots.items():
            page.put(slot, row)
        page.epoch = epoch
        if page.is_empty():
            if found:
                db.execute("DELETE FROM page WHERE pid = ?", (pid,))
                self._account("page", -1, -int.from_bytes(found[3], "big"))
            return
        self._put(db, "page", (pid, epoch, *page.columns()), found[3] if found else None)

    def _put(
        self, db: sqlite3.Connection, table: str, row: tuple[int | str | bytes, ...], before: bytes | None
    ) -> bool:
        """Insert a row, or replace the one with sum ``before``; a class that is there already stays."""
        keys = 2 if table == "delta" else 1
        if before is None and table in ("class", "delta", "chunk"):
            key = "oid = ? AND epoch = ?" if keys == 2 else ("cid = ?" if table == "class" else "id = ?")
            found = db.execute(f"SELECT sum FROM {table} WHERE {key}", row[:keys]).fetchone()
            if found:
                before = found[0]
        made = row_sum(table, *row)
        marks = ",".join("?" * (len(row) + 1))
        db.execute(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", (*row, made))
        change = int.from_bytes(made, "big") - (int.from_bytes(before, "big") if before else 0)
        self._account(table, 0 if before else 1, change)
        return before != made

    def _drop(self, db: sqlite3.Connection, oid: int, base: Base) -> Iterator[int]:
        """Delete the chunks of a container that are not in ``base``, and the deltas that are."""
        first, count, since = base
        start = oid * CHUNKS_PER_OID
        yield from self._delete(db, "chunk", oid, start, start + first)
        yield from self._delete(db, "chunk", oid, start + first + count, start + CHUNKS_PER_OID)
        yield from self._delete(db, "delta", oid, 0, since + 1)
        if not count:
            self._big.discard(oid)

    def _delete(self, db: sqlite3.Connection, table: str, oid: int, low: int, high: int) -> Iterator[int]:
        """Delete chunks, or deltas of ``oid``, with numbers from ``low`` up to, not with, ``high``."""
        key = "id" if table == "chunk" else "epoch"
        where = f"{key} >= ? AND {key} < ?" + ("" if table == "chunk" else f" AND oid = {oid:d}")
        while True:
            found = db.execute(
                f"SELECT {key}, sum FROM {table} WHERE {where} ORDER BY {key} LIMIT {DROP_ROWS}", (low, high)
            ).fetchall()
            if found:
                db.execute(f"DELETE FROM {table} WHERE {where}", (low, found[-1][0] + 1))
                self._account(table, -len(found), -sum(int.from_bytes(each, "big") for _key, each in found))
                yield len(found)
            if len(found) < DROP_ROWS:
                break

    def _account(self, table: str, rows: int, change: int) -> None:
        name = "classes" if table == "class" else table
        counts = Counts(**{**self.meta.counts.__dict__, name: getattr(self.meta.counts, name) + rows})
        self.meta = self.meta.with_(total=(self.meta.total + change) & SUM_MASK, counts=counts)
