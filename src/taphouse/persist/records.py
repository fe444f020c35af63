"""The records of a tap: one page of rows, one epoch of the journal.

Pure values and bytes: what a page or an epoch holds, checked shape by shape when
it is read.  States stay bytes here; this module must never decode one, open a
file or know a class.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from taphouse.durable import ClassRecord
from taphouse.persist.codec import pack_plain, unpack_plain
from taphouse.persist.codes import CodecError
from taphouse.persist.leaves import put_head
from taphouse.persist.schema import CHUNKS_PER_OID, PAGE_OIDS
from taphouse.value import Value, field

__all__ = [
    "KINDS",
    "Base",
    "Epoch",
    "Page",
    "Row",
    "check_base",
    "class_columns",
    "join_arrays",
    "make_class",
]

Row = tuple[int, bytes]
"""Class number (0: a container) and state."""

Base = tuple[int, int, int]
"""What a container's row builds on: its first chunk, how many there are, the last epoch in them."""

KINDS = ("durable", "plain", "enum", "namedtuple", "function", "class")
MAX_OID = 1 << 43


def class_columns(record: ClassRecord) -> tuple[str, str, str, str, int]:
    """Return a class record as the columns name, module, qualname, kind, version."""
    return record.name, record.module, record.qualname, record.kind, record.version


def make_class(columns: Any) -> ClassRecord:
    """Return the record of the columns name, module, qualname, kind, version.

    Raises:
        CodecError: if one has a wrong type.
    """
    if len(columns) != 5 or [type(column) for column in columns] != [str, str, str, str, int]:
        raise CodecError("a class with columns of wrong types")
    name, module, qualname, kind, version = columns
    if not (0 < len(name) <= 1000 and len(module) <= 1000 and len(qualname) <= 1000 and len(kind) <= 40):
        raise CodecError("a class with a name of a wrong length")
    if version < 1:
        raise CodecError(f"a class of version {version}")
    return ClassRecord(name=name, module=module, qualname=qualname, version=version, kind=kind)


class Page(Value, frozen=False):
    """The rows of 64 oids that follow each other.

    Args:
        epoch: up to which the journal is folded in.
        cids: class numbers, ``None`` for an oid without row.
        states: bytes, ``None`` likewise.
    """

    epoch: int = 0
    cids: list[int | None] = field(default_factory=list)
    states: list[bytes | None] = field(default_factory=list)

    def put(self, slot: int, row: Row | None) -> None:
        """Store or delete (``None``) the row of a slot, 0 to 63."""
        missing = slot + 1 - len(self.cids)
        if missing > 0:
            self.cids += [None] * missing
            self.states += [None] * missing
        self.cids[slot], self.states[slot] = row or (None, None)

    def columns(self) -> tuple[bytes, bytes]:
        """Return the columns ``idx`` and ``data``."""
        return pack_plain(self.cids), pack_plain(self.states)

    def is_empty(self) -> bool:
        """Say whether no row is left."""
        return all(cid is None for cid in self.cids)

    @classmethod
    def from_columns(cls, epoch: int, idx: bytes, data: bytes) -> Page:
        """Return the page that the columns hold.

        Raises:
            CodecError: if they hold none.
        """
        cids, states = unpack_plain(idx), unpack_plain(data)
        if (
            type(cids) is not list
            or type(states) is not list
            or not 0 < len(cids) == len(states) <= PAGE_OIDS
        ):
            raise CodecError("index and data do not fit")
        if set(map(type, cids)) == {int} and set(map(type, states)) == {bytes} and min(cids) >= 0:
            return cls(epoch, cids, states)  # nearly every page: no oid of it is without a row
        for cid, state in zip(cids, states, strict=True):
            if cid is None and state is None:
                continue
            if type(cid) is not int or cid < 0 or type(state) is not bytes:
                raise CodecError("index and data do not fit")
        return cls(epoch, cids, states)

    def rows(self, pid: int) -> Iterator[tuple[int, int, bytes]]:
        """Yield oid, class number and state of each row."""
        oid = pid * PAGE_OIDS
        for slot, (cid, state) in enumerate(zip(self.cids, self.states, strict=True)):
            if cid is not None and state is not None:
                yield oid + slot, cid, state


class Epoch(Value, frozen=False):
    """What one commit changes.

    Args:
        classes: class number -> record, new ones.
        rows: oid -> row, new or changed.
        chunks: oid of a big container -> number -> chunk.
        deltas: oid of a container -> its operations since the epoch before.
        bases: oid of a container -> what its row says from now on; all other chunks of it, and all
            operations up to the epoch there, go.
        freed: oids whose rows go.
        next_oid: the next number that no row ever had.
        plan: JSON text if it changed.
    """

    classes: dict[int, ClassRecord] = field(default_factory=dict)
    rows: dict[int, Row] = field(default_factory=dict)
    chunks: dict[int, dict[int, bytes]] = field(default_factory=dict)
    deltas: dict[int, bytes] = field(default_factory=dict)
    bases: dict[int, Base] = field(default_factory=dict)
    freed: list[int] = field(default_factory=list)
    next_oid: int = 1
    plan: str | None = None

    @classmethod
    def begin(cls) -> Epoch:
        """Return an epoch that changes nothing yet; each turn of a loop has one, so it is made quickly."""
        epoch = cls.__new__(cls)
        epoch.__dict__.update(
            classes={}, rows={}, chunks={}, deltas={}, bases={}, freed=[], next_oid=1, plan=None
        )
        return epoch

    def is_empty(self) -> bool:
        """Say whether nothing changes."""
        changes = (self.classes, self.rows, self.chunks, self.deltas, self.bases, self.freed)
        return not any(changes) and self.plan is None

    def pack(self) -> bytes:
        """Return the journal's column ``data``."""
        classes: list[Any] = [[cid, *class_columns(record)] for cid, record in self.classes.items()]
        rows: list[Any] = []
        for oid, (cid, state) in self.rows.items():
            rows += (oid, cid, state)
        chunks: list[Any] = []
        for oid, parts in self.chunks.items():
            for n, data in parts.items():
                chunks += (oid, n, data)
        deltas: list[Any] = []
        for oid, ops in self.deltas.items():
            deltas += (oid, ops)
        bases: list[Any] = []
        for oid, base in self.bases.items():
            bases += (oid, *base)
        return pack_plain([classes, rows, chunks, deltas, bases, self.freed, self.next_oid, self.plan])

    @classmethod
    def unpack(cls, data: bytes) -> Epoch:
        """Return the epoch that ``data`` holds.

        Raises:
            CodecError: if it holds none.
        """
        parts = unpack_plain(data)
        if type(parts) is not list or [type(part) for part in parts[:7]] != [list] * 6 + [int]:
            raise CodecError("an epoch of a wrong shape")
        if len(parts) != 8 or not (parts[7] is None or type(parts[7]) is str):
            raise CodecError("an epoch of a wrong shape")
        classes, rows, chunks, deltas, bases, freed, next_oid, plan = parts
        epoch = cls(next_oid=next_oid, plan=plan, freed=freed)
        for entry in classes:
            if type(entry) is not list or len(entry) != 6:
                raise CodecError("a class of a wrong shape")
            epoch.classes[_number(entry[0])] = make_class(entry[1:])
        for oid, cid, state in _groups(rows, 3):
            if type(cid) is not int or cid < 0 or type(state) is not bytes:
                raise CodecError("a row of a wrong shape")
            epoch.rows[_number(oid)] = (cid, state)
        for oid, n, piece in _groups(chunks, 3):
            if type(n) is not int or not 0 <= n < CHUNKS_PER_OID or type(piece) is not bytes:
                raise CodecError("chunks of a wrong shape")
            epoch.chunks.setdefault(_number(oid), {})[n] = piece
        for oid, ops in _groups(deltas, 2):
            if type(ops) is not bytes:
                raise CodecError("operations of a wrong shape")
            epoch.deltas[_number(oid)] = ops
        for oid, *base in _groups(bases, 4):
            epoch.bases[_number(oid)] = check_base(base)
        for oid in freed:
            _number(oid)
        sizes = len(classes), len(rows) // 3, len(chunks) // 3, len(deltas) // 2, len(bases) // 4
        pieces = sum(map(len, epoch.chunks.values()))
        if sizes != (len(epoch.classes), len(epoch.rows), pieces, len(epoch.deltas), len(epoch.bases)):
            raise CodecError("the same number twice in one epoch")
        return epoch


def check_base(values: list[Any]) -> Base:
    """Return the base that three values of a tap stand for.

    Raises:
        CodecError: if they stand for none.
    """
    if [type(value) for value in values] == [int, int, int]:
        first, count, since = values
        if min(values) >= 0 and first + count <= CHUNKS_PER_OID and since < 1 << 63:
            return first, count, since
    raise CodecError("chunks of a container out of bounds")


def join_arrays(parts: list[bytes]) -> bytes:
    """Return arrays, each as bytes that a packer wrote, as one array of all their items."""
    if len(parts) == 1:
        return parts[0]
    count = 0
    bodies = []
    for data in parts:
        wide = {0xDC: 2, 0xDD: 4}.get(data[0], 0)
        count += int.from_bytes(data[1 : 1 + wide], "big") if wide else data[0] & 0x0F
        bodies.append(data[1 + wide :])
    # The head that a packer writes for so many items.
    head = bytearray()
    put_head(head, count, 0x90, 16, 0xDC)
    return b"".join((bytes(head), *bodies))


def _number(oid: Any) -> int:
    if type(oid) is not int or not 0 < oid < MAX_OID:
        raise CodecError(f"{oid!r:.40} is no row number")
    return oid


def _groups(flat: list[Any], size: int) -> Iterator[list[Any]]:
    if len(flat) % size:
        raise CodecError("an epoch of a wrong shape")
    for at in range(0, len(flat), size):
        yield flat[at : at + size]
