"""Showing a tap: every object as inert data, and a check of everything.

For ``tap show`` and ``tap check``.  This module must never look up a class.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from taphouse.durable import ClassRecord
from taphouse.persist.codec import Unpacker
from taphouse.persist.codes import CHUNKED, CodecError, Ref
from taphouse.persist.containers import FIRST_CLASS, MADE_BY_CID
from taphouse.persist.image import Image
from taphouse.persist.inert import Inert, InertReader, RefRows
from taphouse.persist.opening import damage_as_tap_error
from taphouse.persist.reading import load_image
from taphouse.persist.records import Base, check_base
from taphouse.value import Value

__all__ = ["InertObject", "check_integrity", "object_of", "objects_of", "read_objects", "references_of"]


class InertObject(Value):
    """One row of a tap, as data.

    Args:
        oid: its number; 1 is the application.
        record: its class; None for a container.
        kind: the class's registered name, or "list", "dict", ...
        state: of an object its attributes by name; of a container an inert value.
        chunks: entries of a big container, as stored.
        operations: what was done to a container since, oldest first.
        cid: its class number; below 16 that of a kind of container.
    """

    oid: int
    record: ClassRecord | None
    kind: str
    state: Any
    chunks: tuple[Any, ...] = ()
    operations: tuple[Any, ...] = ()
    cid: int = 0


def read_objects(path: str | os.PathLike[str]) -> Iterator[InertObject]:
    """Read every row of a tap, in the order of their numbers, running nothing.

    Raises:
        TapError: naming the first damaged row.
    """
    name = Path(path)
    image = load_image(name)
    return objects_of(image, name)


def objects_of(image: Image, name: Path) -> Iterator[InertObject]:
    """Yield every row of ``image``, read from the tap ``name``, in the order of their numbers.

    Raises:
        TapError: naming the first damaged row.
    """
    unpacker = _unpacker_of(image)
    for oid, cid, state in sorted(image.rows()):
        yield object_of(image, name, oid, cid, state, unpacker)


def _unpacker_of(image: Image) -> Any:
    reader = InertReader(image.classes)
    return Unpacker(RefRows(), reader.scalar, reader.tagged)


def object_of(
    image: Image, name: Path, oid: int, cid: int, state: bytes, unpacker: Any = None
) -> InertObject:
    """Return one row of ``image``, read from the tap ``name``.

    Raises:
        TapError: if it is damaged.
    """
    unpacker = unpacker or _unpacker_of(image)
    with damage_as_tap_error(name, f"row {oid}"):
        value = unpacker.unpack(state)
        if cid >= FIRST_CLASS:
            record = image.classes.get(cid)
            if record is None:
                raise CodecError(f"class {cid} does not exist")
            if type(value) is not dict:
                raise CodecError("the state of an object is no map of names")
            return InertObject(oid, record, record.name, value, cid=cid)
        kind = MADE_BY_CID.get(cid)
        if kind is None:
            raise CodecError(f"class {cid} does not exist")
        base: Base = (0, 0, 0)
        if type(value) is Inert and value.code == CHUNKED:
            value, *numbers = value.items
            base = check_base(numbers)
        chunks, operations = image.container(oid, base)
        return InertObject(
            oid,
            None,
            kind.__qualname__.removeprefix("Tracked"),
            value,
            tuple(entry for data in chunks for entry in unpacker.unpack(data)),
            tuple(op for data in operations for op in unpacker.unpack(data)),
            cid,
        )


def check_integrity(path: str | os.PathLike[str]) -> None:
    """Read and decode everything in a tap, and follow every reference.

    Raises:
        TapError: naming the first damage.
    """
    name = Path(path)
    image = load_image(name)
    rows = {oid for oid, _cid, _state in image.rows()}
    for found in objects_of(image, name):
        with damage_as_tap_error(name, f"row {found.oid}"):
            # Chunks and operations may name what is gone, and so may what operations are done on; whether
            # it is out again, only thawing tells.
            for oid in () if found.operations else references_of(found.state):
                if oid not in rows:
                    raise CodecError(f"a reference to row {oid}, which does not exist")


def references_of(value: Any) -> Iterator[int]:
    """Yield the number of each row that an inert value refers to."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if type(part) is Ref:
            yield part.oid
        elif type(part) is Inert:
            waiting += part.items
        elif type(part) is dict:
            waiting += part.values()
        elif type(part) in (list, tuple):
            waiting += part
