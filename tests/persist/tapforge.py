"""Forged taps: their content is hostile and every sum, link and seal fits.

Such a file cannot be told from an honest one by its sums; what must hold is
that it is refused in one line or thaws to something harmless, in bounded time
and memory.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from taphouse.durable import ClassRecord
from taphouse.persist.building import build_tap, make_pages
from taphouse.persist.image import Image
from taphouse.persist.reading import load_image
from taphouse.persist.records import Row
from taphouse.value import replace

Rows = dict[int, Row]

BOMBS: dict[str, bytes] = {
    "array of four billion": b"\xdd\xff\xff\xff\xff",
    "map of four billion": b"\xdf\xff\xff\xff\xff",
    "text of four gigabytes": b"\xdb\xff\xff\xff\xff",
    "bytes of four gigabytes": b"\xc6\xff\xff\xff\xff",
    "extension of four gigabytes": b"\xc9\xff\xff\xff\xff\x01",
    "arrays in arrays": b"\x91" * 100_000,
    "arrays that each claim all the rest": b"".join(
        b"\xdd" + (n).to_bytes(4, "big") for n in range(5000, 0, -5)
    ),
    "maps in maps": b"\x81\xa1k" * 50_000,
    "tuples in tuples": b"\x92\xc7\x00\x20" * 50_000,
    "never used byte": b"\xc1",
    "half a number": b"\xcf\x00",
    "nothing": b"",
    "two values": b"\x01\x02",
    "32 bit float": b"\xca\x00\x00\x00\x00",
    "reference to nobody": b"\xd6\x01\x00\xff\xff\xff",
    "reference of three bytes": b"\xc7\x03\x01\x00\x00\x01",
    "class of nobody": b"\xd5\x11\xff\xff",
    "tag alone": b"\xc7\x00\x21",
    "tag without meaning": b"\x92\xc7\x00\x7f\x01",
    "extension without meaning": b"\xd4\x1f\x00",
    "list as a key": b"\x81\x91\x01\x02",
    "the same key twice": b"\x82\x01\x02\x01\x03",
    "the same element twice": b"\x93\xc7\x00\x21\x01\x01",
    "list in a set": b"\x92\xc7\x00\x21\x91\x01",
    "broken UTF-8": b"\xa2\xff\xfe",
    "date of month 13": b"\xd6\x06\x07\xea\x0d\x01",
    "zone that walks": b"\xc7\x0b\x0a../../etc/x",
    "zone that is a module": b"\xc7\x04\x0aimpo",
    "decimal of words": b"\xc7\x05\x0bhello",
    "fraction over zero": b"\xc7\x06\x0c\x00\x00\x00\x01\x01\x00",
    "deque that is too long": b"\x95\xc7\x00\x23\x01\x01\x02\x03",
    "deque of negative length": b"\x92\xc7\x00\x23\xff",
    "default dict of a function of builtins": b"\x92\xc7\x00\x25\xc7\x04\x12eval",
    "default dict of a number": b"\x92\xc7\x00\x25\x05",
    "method of a number": b"\x93\xc7\x00\x2a\x05\xa3bit",
    "method that is none": b"\x93\xc7\x00\x2a\xd4\x01\x01\xa8__init__",
    "method of builtins": b"\x93\xc7\x00\x2a\xd4\x01\x01\xaf__subclasshook__",
    "range of step zero": b"\x94\xc7\x00\x2b\x01\x02\x00",
    "range of text": b"\x94\xc7\x00\x2b\xa1x\x02\x01",
    "enumeration of a class that is none": b"\x92\xd4\x2c\x10\xa3RED",
    "named tuple of a class that is none": b"\x92\xd4\x28\x10\x01",
    "big container within": b"\x91\x93\xc7\x00\x2e\x90\x00",
    "key without value": b"\x92\xc7\x00\x27\x01",
    "small number as a big one": b"\xd4\x02\x05",
}
"""Values that no writer makes, by what is wrong with them."""

STATES: dict[str, bytes] = {
    "volatile attribute": b"\x81\xa9_v_secret\x01",
    "dunder attribute": b"\x81\xa9__class__\xd4\x01\x01",
    "number as a name": b"\x81\x05\x01",
    "no map": b"\x90",
}
"""States of an object that no writer makes."""


def forge(path: Path, change: Callable[[Image, Rows], None]) -> None:
    """Build the tap at ``path`` anew with its content changed and everything sealed."""
    image = load_image(path)
    rows = {oid: (cid, state) for oid, cid, state in image.rows()}
    change(image, rows)
    oids = sorted({*image.chunks, *image.deltas, *rows})
    chunks = {oid: parts for oid in oids if (parts := image.all_chunks(oid))}
    deltas = [(oid, epoch, ops) for oid in oids for epoch, ops in image.all_deltas(oid)]
    for leftover in (path, path.with_name(path.name + "-wal")):
        leftover.unlink(missing_ok=True)
    meta = image.meta.with_(epoch=image.epoch, chain=image.chain, next_oid=image.next_oid)
    mark = replace(image.mark, is_open=False)
    build_tap(path, meta, mark, image.classes, make_pages(rows.items(), 0), chunks, deltas, wal=False)


def with_value(value: bytes) -> Callable[[Image, Rows], None]:
    """Give the application an attribute that holds these bytes."""

    def change(_image: Image, rows: Rows) -> None:
        rows[1] = (rows[1][0], b"\x81\xa1x" + value)

    return change


def with_state(state: bytes) -> Callable[[Image, Rows], None]:
    """Make these bytes the state of the application."""

    def change(_image: Image, rows: Rows) -> None:
        rows[1] = (rows[1][0], state)

    return change


def damage_state(rng: random.Random, data: bytes) -> bytes:
    """Return the bytes of a state with something changed, put in or left out."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(out) + 1)
        kind = rng.randrange(6)
        if kind == 0 and at < len(out):
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 1 and at < len(out):
            out[at] = rng.choice(
                (0x80, 0x8F, 0x90, 0x9F, 0xC0, 0xC7, 0xC9, 0xD4, 0xD8, 0xDC, 0xDD, 0xDF, 0xFF)
            )
        elif kind == 2:
            del out[at : at + rng.randrange(1, 9)]
        elif kind == 3:
            out[at:at] = rng.randbytes(rng.randrange(1, 9))
        elif kind == 4:
            out[at:at] = rng.choice(list(BOMBS.values()))
        else:
            other = rng.randrange(len(out) + 1)
            out[at:at] = out[other : other + rng.randrange(1, 40)]
    return bytes(out)


def forge_states(rng: random.Random, path: Path) -> None:
    def change(_image: Image, rows: Rows) -> None:
        for oid in rng.sample(sorted(rows), 2):
            cid, state = rows[oid]
            rows[oid] = (cid, damage_state(rng, state))

    forge(path, change)


def forge_rows(rng: random.Random, path: Path) -> None:
    """Give rows other classes, drop them, move their states: every reference may now mean something else."""

    def change(image: Image, rows: Rows) -> None:
        oids = sorted(rows)
        for _ in range(rng.choice((1, 2, 10))):
            oid, other = rng.choice(oids), rng.choice(oids)
            kind = rng.randrange(4)
            if kind == 0:
                rows[oid] = (rng.choice([*image.classes, *range(17), 999]), rows[oid][1])
            elif kind == 1 and oid in rows and len(rows) > 2:
                rows[oid] = rows[other]
            elif kind == 2:
                rows[oid + 64 * rng.randrange(9)] = rows[other]
            else:
                rows[oid] = (rows[other][0], rows[oid][1])

    forge(path, change)


def forge_big(rng: random.Random, path: Path) -> None:
    """Change chunks and operations of big containers."""

    def change(image: Image, _rows: Rows) -> None:
        for oid in list(image.chunks):
            parts = [data for _n, data in sorted(image.chunks[oid].items())]
            at = rng.randrange(len(parts))
            parts[at] = damage_state(rng, parts[at])
            parts = rng.choice((parts, parts[::-1], parts + parts, parts[:-1] or parts))
            image.chunks[oid] = dict(enumerate(parts, rng.choice((0, 0, 0, 1, 1 << 19))))
            if image.deltas.get(oid):
                epoch, ops = rng.choice(image.deltas[oid])
                image.deltas[oid] = [(epoch, damage_state(rng, ops))]

    forge(path, change)


def forge_classes(rng: random.Random, path: Path) -> None:
    """Give class numbers other names, kinds and versions, also those of what must never be reached."""

    def change(image: Image, _rows: Rows) -> None:
        for cid in rng.sample(sorted(image.classes), 2):
            record = image.classes[cid]
            other = image.classes[rng.choice(sorted(image.classes))]
            fields: dict[str, Any] = rng.choice(
                (
                    {"name": "builtins.eval", "module": "builtins", "qualname": "eval", "kind": "function"},
                    {"name": "os.system", "module": "os", "qualname": "system"},
                    {"qualname": "Plain.__init__.__globals__"},
                    {"qualname": "Root.__class__"},
                    {"kind": rng.choice(("durable", "plain", "enum", "namedtuple", "function", "x"))},
                    {"version": rng.choice((1, 2, 2**40))},
                    {
                        "name": other.name,
                        "module": other.module,
                        "qualname": other.qualname,
                        "kind": other.kind,
                    },
                )
            )
            names = ("name", "module", "qualname", "version", "kind")
            image.classes[cid] = ClassRecord(**{name: getattr(record, name) for name in names} | fields)

    forge(path, change)


FORGERIES: dict[str, Callable[[random.Random, Path], None]] = {
    "forged: states": forge_states,
    "forged: rows": forge_rows,
    "forged: big containers": forge_big,
    "forged: classes": forge_classes,
}
"""Mutations after which everything fits; the content may differ then."""
