"""Everything a tap holds, read once, checked row by row, still bytes.

An image is what thaw, show and check work on.  It knows sums, the seal, the
order of epochs and how pages, chunks, deltas and journal lie over each other; it
must never decode a state or know a class of the application.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from taphouse.durable import ClassRecord
from taphouse.errors import TapError
from taphouse.persist.codes import CodecError
from taphouse.persist.opening import check_schema, damage_as_tap_error
from taphouse.persist.records import Base, Epoch, Page, Row, make_class
from taphouse.persist.schema import (
    CHUNKS_PER_OID,
    PAGE_OIDS,
    SUM_MASK,
    Counts,
    Mark,
    Meta,
    chain_sum,
    row_sum,
)
from taphouse.value import Value, field

__all__ = ["Image", "read_image", "read_mark"]


class Image(Value, frozen=False):
    """The content of a tap.

    Args:
        meta: as stored, up to epoch ``meta.epoch`` folded.
        mark: who owned it.
        classes: class number -> record, those of the journal too.
        pages: page number -> page, as folded.
        chunks: oid -> number -> chunk, as folded.
        deltas: oid -> (epoch, operations), as folded.
        journal: (number, epoch, link, bytes in the journal) not folded yet, oldest first.
        has_leftovers: the journal still has epochs that are folded, for the next fold to remove.
        late: oid -> chunks and operations in the journal, once they are asked for.
    """

    meta: Meta
    mark: Mark
    classes: dict[int, ClassRecord] = field(default_factory=dict)
    pages: dict[int, Page] = field(default_factory=dict)
    chunks: dict[int, dict[int, bytes]] = field(default_factory=dict)
    deltas: dict[int, list[tuple[int, bytes]]] = field(default_factory=dict)
    journal: list[tuple[int, Epoch, bytes, int]] = field(default_factory=list)
    has_leftovers: bool = False
    late: dict[int, tuple[dict[int, bytes], list[tuple[int, bytes]]]] | None = None

    @property
    def epoch(self) -> int:
        """The last commit."""
        return self.journal[-1][0] if self.journal else self.meta.epoch

    @property
    def chain(self) -> bytes:
        """The link of the last commit."""
        return self.journal[-1][2] if self.journal else self.meta.chain

    @property
    def next_oid(self) -> int:
        """The next number that no row ever had."""
        return self.journal[-1][1].next_oid if self.journal else self.meta.next_oid

    @property
    def plan(self) -> str:
        """The plan in force, JSON text."""
        plans = [epoch.plan for _number, epoch, _link, _size in self.journal if epoch.plan is not None]
        return plans[-1] if plans else self.meta.plan

    def rows(self) -> Iterator[tuple[int, int, bytes]]:
        """Yield oid, class number and state of every row as of the last commit."""
        if not self.journal:
            for pid, page in self.pages.items():
                yield from page.rows(pid)
            return
        merged: dict[int, Row | None] = {}
        for pid, page in self.pages.items():
            for oid, cid, state in page.rows(pid):
                merged[oid] = (cid, state)
        for number, epoch, _link, _size in self.journal:
            for oid, row in (*epoch.rows.items(), *dict.fromkeys(epoch.freed).items()):
                page_of = self.pages.get(oid // PAGE_OIDS)
                if page_of is None or page_of.epoch < number:
                    merged[oid] = row
        for oid, row in merged.items():
            if row is not None:
                yield oid, *row

    def count_rows(self) -> int:
        """Return how many rows :meth:`rows` yields."""
        if self.journal:
            return sum(1 for _row in self.rows())
        return sum(len(page.cids) - page.cids.count(None) for page in self.pages.values())

    def container(self, oid: int, base: Base) -> tuple[list[bytes], list[bytes]]:
        """Return the chunks of a container and the operations to be done on them, oldest first.

        Args:
            oid: its number.
            base: what its row says.

        Raises:
            CodecError: if a chunk is missing.
        """
        first, count, since = base
        chunks = self.all_chunks(oid)
        missing = next((n for n in range(first, first + count) if n not in chunks), None)
        if missing is not None:
            raise CodecError(f"{count} chunks promised, chunk {missing} is not there")
        return (
            [chunks[n] for n in range(first, first + count)],
            [ops for number, ops in self.all_deltas(oid) if number > since],
        )

    def all_chunks(self, oid: int) -> dict[int, bytes]:
        """Return every chunk there is of a container, those not in use too."""
        late = self._late().get(oid)
        folded = self.chunks.get(oid, {})
        return {**folded, **late[0]} if late else folded

    def all_deltas(self, oid: int) -> list[tuple[int, bytes]]:
        """Return every (epoch, operations) there is of a container, oldest first."""
        # What is of later epochs was folded by a run that did not end: the journal still has it.
        folded = [(number, ops) for number, ops in self.deltas.get(oid, ()) if number <= self.meta.epoch]
        late = self._late().get(oid)
        return folded + late[1] if late else folded

    def _late(self) -> dict[int, tuple[dict[int, bytes], list[tuple[int, bytes]]]]:
        """Return oid -> chunks and operations that the journal has."""
        if self.late is None:
            self.late = {}
            for number, epoch, _link, _size in self.journal:
                for oid, parts in epoch.chunks.items():
                    self.late.setdefault(oid, ({}, []))[0].update(parts)
                for oid, ops in epoch.deltas.items():
                    self.late.setdefault(oid, ({}, []))[1].append((number, ops))
        return self.late


class _Reader:
    """Reads the tables of one tap and keeps account of sums, counts and bytes."""

    def __init__(self, db: sqlite3.Connection, path: Path, limit: int) -> None:
        self.db, self.path, self.left = db, path, limit
        self.total = 0
        self.counts: dict[str, int] = {}

    def rows(
        self, table: str, columns: str, types: tuple[type, ...], key: int = 1
    ) -> Iterator[tuple[Any, ...]]:
        """Yield rows in the order of their keys, checked for types, order and size."""
        last: tuple[Any, ...] | None = None
        row: tuple[Any, ...] = ()
        sized = [place for place, kind in enumerate(types) if kind in (bytes, str)]
        with damage_as_tap_error(self.path, lambda: f"{table} row {row[0]!r:.60}" if row else table):
            for row in self.db.execute(f"SELECT {columns} FROM {table} ORDER BY 1, 2"):
                if tuple(map(type, row)) != types:
                    raise CodecError("columns of wrong types")
                if last is not None and row[:key] <= last:
                    raise CodecError("the row is there twice")
                last = row[:key]
                # No content can be longer than the file: more means that rows share pages.
                for place in sized:
                    self.left -= len(row[place])
                if self.left < 0:
                    raise CodecError("the rows hold more than the file")
                yield row
                row = ()  # what fails now is the way to the next one

    def summed(
        self, table: str, columns: str, types: tuple[type, ...], key: int = 1
    ) -> Iterator[tuple[Any, ...]]:
        """Yield rows as :meth:`rows`, their last column a sum that fits."""
        count = 0
        row: tuple[Any, ...] = (0,)
        with damage_as_tap_error(self.path, lambda: f"{table} row {row[0]}"):
            for row in self.rows(table, columns + ", sum", (*types, bytes), key):
                if row_sum(table, *row[:-1]) != row[-1]:
                    raise CodecError("the sum does not fit")
                count += 1
                self.total += int.from_bytes(row[-1], "big")
                yield row[:-1]
        self.counts["classes" if table == "class" else table] = count


def read_mark(db: sqlite3.Connection, path: Path) -> Mark:
    """Read the mark.

    Raises:
        TapError: if there is no valid one.
    """
    with damage_as_tap_error(path, "mark"):
        found = db.execute("SELECT session, previous, is_open, generation, sum FROM mark LIMIT 2").fetchall()
        if len(found) != 1:
            raise CodecError("there is not one row")
        return Mark.from_columns(found[0])


def read_image(db: sqlite3.Connection, path: Path, limit: int) -> Image:
    """Read and check everything.

    Args:
        db: an open tap.
        path: the name for messages.
        limit: bytes of file and WAL together.

    Raises:
        TapError: naming table and row of the first damage.
    """
    check_schema(db, path)
    reader = _Reader(db, path, limit)
    with damage_as_tap_error(path, "meta"):
        found = db.execute("SELECT k, v FROM meta LIMIT 100").fetchall()
        meta = Meta.from_rows(dict(found))
    image = Image(meta, read_mark(db, path))
    for cid, *columns in reader.summed(
        "class", "cid, name, module, qualname, kind, version", (int, str, str, str, str, int)
    ):
        with damage_as_tap_error(path, f"class row {cid}"):
            image.classes[cid] = make_class(columns)
    pid = 0
    with damage_as_tap_error(path, lambda: f"page row {pid}"):
        for pid, epoch, idx, data in reader.summed("page", "pid, epoch, idx, data", (int, int, bytes, bytes)):
            image.pages[pid] = Page.from_columns(epoch, idx, data)
    for chunk_id, _epoch, data in reader.summed("chunk", "id, epoch, data", (int, int, bytes)):
        oid, n = divmod(chunk_id, CHUNKS_PER_OID)
        image.chunks.setdefault(oid, {})[n] = data
    for oid, epoch, data in reader.summed("delta", "oid, epoch, data", (int, int, bytes), 2):
        image.deltas.setdefault(oid, []).append((epoch, data))
    with damage_as_tap_error(path):
        if reader.total & SUM_MASK != meta.total or Counts(**reader.counts) != meta.counts:
            raise CodecError("the seal does not fit: rows were dropped, added or swapped")
    _read_journal(reader, image)
    return image


def _read_journal(reader: _Reader, image: Image) -> None:
    folded = image.meta.epoch
    number, link = folded, image.meta.chain
    is_first = True
    for epoch, data, chain in reader.rows("journal", "epoch, data, chain", (int, bytes, bytes)):
        with damage_as_tap_error(reader.path, f"journal row {epoch}"):
            if is_first and epoch <= folded:
                image.has_leftovers = True
                number, link = epoch, chain  # what this one was chained to is removed already
            else:
                number += 1
                if epoch != number:
                    raise CodecError(f"epoch {number} is missing")
                link = chain_sum(link, epoch, data)
            is_first = False
            if link != chain or (number == folded and link != image.meta.chain):
                raise CodecError("the chain is broken")
            if number <= folded:
                continue
            parsed = Epoch.unpack(data)
            for cid, record in parsed.classes.items():
                if image.classes.setdefault(cid, record) != record:
                    raise CodecError(f"class {cid} is there twice")
            image.journal.append((epoch, parsed, link, len(data)))
    if number < folded:
        raise TapError(f"epoch {number + 1} is missing", path=str(reader.path), where=f"journal row {number}")
    for pid, page in image.pages.items():
        if not 0 <= page.epoch <= number or pid < 0:
            raise TapError(f"epoch {page.epoch} never was", path=str(reader.path), where=f"page row {pid}")
