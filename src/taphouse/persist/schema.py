"""What is in a tap: tables, sums over rows, the seal over all of them.

A sum is blake2b with 16 bytes over the MessagePack array of the table's name
and the row's columns, so a row cannot be changed, or moved to another key,
unnoticed.  The seal adds the sums of all rows up (in any order) and covers the
rows of ``meta``, so no row can be dropped, doubled or swapped.  Sums find
damage, not forgery: whoever can write a tap can write sums too.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

from taphouse.errors import ConfigurationError
from taphouse.names import check_application_name
from taphouse.persist.codec import pack_plain
from taphouse.persist.codes import CodecError
from taphouse.value import Value, field, replace

__all__ = [
    "APPLICATION_ID",
    "CHUNKS_PER_OID",
    "DDL",
    "FORMAT",
    "PAGE_OIDS",
    "PAGE_SIZE",
    "ROLES",
    "SUM_MASK",
    "Counts",
    "Mark",
    "Meta",
    "chain_sum",
    "row_sum",
]

APPLICATION_ID: Final = 0x54415068
"""``TAPh``: bytes 68 to 71 of the file, what file(1) looks at."""
FORMAT: Final = 1
"""``user_version``: readers refuse what is higher."""
PAGE_SIZE: Final = 4096
PAGE_OIDS: Final = 64
"""Rows of objects to a row of ``page``: 64 small objects are about one SQLite page of 4 KiB."""
CHUNKS_PER_OID: Final = 1 << 20
"""``chunk.id`` is ``oid * 2**20 + n``."""
ROLES: Final = ("seed", "state")
SUM_MASK: Final = (1 << 128) - 1

DDL: Final[dict[str, str]] = {
    "meta": "CREATE TABLE meta (k TEXT PRIMARY KEY, v) WITHOUT ROWID",
    "mark": (
        "CREATE TABLE mark (id INTEGER PRIMARY KEY, session TEXT, previous TEXT, is_open INTEGER,"
        " generation INTEGER, sum BLOB)"
    ),
    "class": (
        "CREATE TABLE class (cid INTEGER PRIMARY KEY, name TEXT, module TEXT, qualname TEXT,"
        " kind TEXT, version INTEGER, sum BLOB)"
    ),
    "page": "CREATE TABLE page (pid INTEGER PRIMARY KEY, epoch INTEGER, idx BLOB, data BLOB, sum BLOB)",
    "chunk": "CREATE TABLE chunk (id INTEGER PRIMARY KEY, epoch INTEGER, data BLOB, sum BLOB)",
    "delta": (
        "CREATE TABLE delta (oid INTEGER, epoch INTEGER, data BLOB, sum BLOB,"
        " PRIMARY KEY (oid, epoch)) WITHOUT ROWID"
    ),
    "journal": "CREATE TABLE journal (epoch INTEGER PRIMARY KEY, data BLOB, chain BLOB)",
}
"""Table -> the exact text in ``sqlite_schema``; a tap with anything else in it is refused."""


def row_sum(table: str, *columns: int | str | bytes) -> bytes:
    """Return the sum of a row: 16 bytes over table and columns, all but the sum's own."""
    return hashlib.blake2b(pack_plain([table, *columns]), digest_size=16).digest()


def chain_sum(before: bytes, epoch: int, data: bytes) -> bytes:
    """Return the link of one journal row: 16 bytes over the link before it, epoch and content."""
    return row_sum("journal", before, epoch, data)


class Counts(Value):
    """How many rows each sealed table has."""

    page: int = 0
    chunk: int = 0
    delta: int = 0
    classes: int = 0


class Mark(Value):
    """The one row of table ``mark``: who owns the tap, and which WAL is its own.

    It lies on an SQLite page of its own, so that it can be read from a main file
    whose other pages a checkpoint has only half renewed.

    Args:
        session: random, of the last server that opened the tap for writing; empty in a seed.
        previous: the session before it.
        is_open: while a server owns the tap, or after it was killed.
        generation: counts how often the WAL began anew in this session.
    """

    session: str = ""
    previous: str = ""
    is_open: bool = False
    generation: int = 0

    def columns(self) -> tuple[str, str, int, int, bytes]:
        """Return the columns of the row."""
        values = (self.session, self.previous, int(self.is_open), self.generation)
        return *values, row_sum("mark", *values)

    @classmethod
    def from_columns(cls, columns: tuple[Any, ...]) -> Mark:
        """Return the mark that the columns hold.

        Raises:
            CodecError: if they hold none.
        """
        if [type(column) for column in columns] != [str, str, int, int, bytes]:
            raise CodecError("columns of wrong types")
        if row_sum("mark", *columns[:4]) != columns[4]:
            raise CodecError("the sum does not fit")
        session, previous, is_open, generation, _sum = columns
        return cls(session, previous, bool(is_open), generation)


class Meta(Value):
    """The rows of table ``meta``.

    Args:
        role: ``seed`` or ``state``.
        lineage: 32 hex digits, made at build and inherited.
        name: of the application.
        created: ISO 8601, UTC.
        taphouse: version that wrote the file.
        python: version that wrote the file.
        plan: JSON text.
        epoch: up to which everything is folded.
        begin: epoch of a state tap's first commit, 0 in a seed.
        chain: link of the journal at ``epoch``.
        next_oid: the next number that no row ever had.
        total: sum of the sums of all rows, modulo 2**128.
        counts: rows of each table.
    """

    role: str
    lineage: str
    name: str
    created: str
    taphouse: str
    python: str
    plan: str = "{}"
    epoch: int = 0
    begin: int = 0
    chain: bytes = bytes(16)
    next_oid: int = 1
    total: int = 0
    counts: Counts = field(default_factory=Counts)

    def rows(self) -> dict[str, int | str | bytes]:
        """Return key -> value as they stand in the table, ``format`` and ``seal`` too."""
        rows: dict[str, int | str | bytes] = {
            name: value for name, value in self.as_dict().items() if name not in ("total", "counts")
        }
        rows["format"] = FORMAT
        rows["total"] = self.total.to_bytes(16, "big")
        for name, count in self.counts.as_dict().items():
            rows[f"rows.{name}"] = count
        rows["seal"] = _seal(rows)
        return rows

    @classmethod
    def from_rows(cls, rows: dict[str, Any]) -> Meta:
        """Return the value that the rows of a tap stand for.

        Raises:
            CodecError: if one is missing, unknown, of a wrong type or value, or the seal does not fit.
        """
        rows = dict(rows)
        if rows.pop("format", None) != FORMAT:
            raise CodecError("row 'format' does not fit the header")
        seal = rows.pop("seal", None)
        if seal != _seal({**rows, "format": FORMAT}):
            raise CodecError("the seal does not fit: rows were changed, dropped or added")
        total = rows.pop("total", None)
        if type(total) is not bytes or len(total) != 16:
            raise CodecError("row 'total' is not 16 bytes")
        counts = {name: rows.pop(f"rows.{name}", None) for name in Counts.field_names()}
        expected = {
            name: _TYPES[cls.__annotations__[name]]
            for name in cls.field_names()
            if name not in ("total", "counts")
        }
        if rows.keys() != expected.keys():
            raise CodecError(f"rows are missing or unknown: {sorted(rows.keys() ^ expected.keys())!r:.100}")
        values: dict[str, Any] = {**rows, **counts}
        for name, kind in {**expected, **dict.fromkeys(counts, int)}.items():
            value = values[name]
            if type(value) is not kind or (isinstance(value, int) and value < 0):
                raise CodecError(f"row {name!r} has a value of a wrong type")
        meta = cls(**rows, total=int.from_bytes(total, "big"), counts=Counts(**counts))
        meta._check()
        return meta

    def _check(self) -> None:
        try:
            check_application_name(self.name)
        except ConfigurationError as error:
            raise CodecError(error.message) from error
        if self.role not in ROLES or len(self.chain) != 16:
            raise CodecError("rows 'role' or 'chain' have values that do not exist")
        self.plan_dict()

    def plan_dict(self) -> dict[str, Any]:
        """Return the plan.

        Raises:
            CodecError: if it is no JSON object, or nested deeper than any that a program has made.
        """
        try:
            plan = json.loads(self.plan)
        except (ValueError, RecursionError) as error:
            raise CodecError("row 'plan' is no JSON") from error
        if type(plan) is not dict:
            raise CodecError("row 'plan' is no JSON object")
        level = [plan]
        for _ in range(_MAX_PLAN_DEPTH):
            level = [
                inner
                for part in level
                for inner in (part.values() if type(part) is dict else part)
                if type(inner) in (dict, list)
            ]
            if not level:
                return plan
        # Whoever prints or compares it goes down by calls, and Python's stack ends at a thousand.
        raise CodecError("row 'plan' is nested too deep")

    def with_(self, **changes: Any) -> Meta:
        """Return a copy with some values changed."""
        return replace(self, **changes)


_MAX_PLAN_DEPTH: Final = 64
_TYPES: Final[dict[str, type]] = {"str": str, "int": int, "bytes": bytes}


def _seal(rows: dict[str, Any]) -> bytes:
    for key, value in rows.items():
        if type(key) is not str or type(value) not in (int, str, bytes):
            raise CodecError(f"row {key!r:.40} has a key or value of a wrong type")
    flat: list[Any] = []
    for key in sorted(rows.keys() - {"seal"}):
        flat += [key, rows[key]]
    return row_sum("meta", flat)  # type: ignore[arg-type]
