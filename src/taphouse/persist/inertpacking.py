"""Rows of inert values: what was read without its classes is written without them.

This module must never look a class up, nor know what a document is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from taphouse.durable import ClassRecord
from taphouse.persist import codes
from taphouse.persist.codec import Packer
from taphouse.persist.codes import CHUNKED, CodecError, Ref, pack_number
from taphouse.persist.containers import BYTEARRAY_CID, CHUNK_ENTRIES
from taphouse.persist.inert import Inert
from taphouse.persist.leaves import PackFailure
from taphouse.persist.packer import Ext, Tagged
from taphouse.persist.pending import container_of, has_pairs, parts_of
from taphouse.persist.records import Row
from taphouse.persist.scalars import SCALAR_PACKERS

__all__ = ["InertPacker"]


class InertPacker:
    """Writes inert values as the rows, chunks and operations of a tap.

    Args:
        classes: record -> number.
    """

    def __init__(self, classes: dict[ClassRecord, int]) -> None:
        self._classes = classes
        self._packer = Packer(self._shape)

    def object(self, record: ClassRecord, state: dict[str, Any]) -> Row:
        """Return the row of an object.

        Raises:
            PackFailure: if it cannot be written.
        """
        return self._classes[record], self._packer.pack_state(state)

    def container(self, cid: int, value: Any) -> tuple[Row, list[bytes]]:
        """Return the row of a container, and its chunks if it is a big one.

        Raises:
            CodecError: if it is of another kind, or cannot be written.
        """
        head, entries = parts_of(value, cid)
        step = CHUNK_ENTRIES * (2 if has_pairs(cid) else 1)
        if cid >= BYTEARRAY_CID or len(entries) <= step:
            return (cid, self._packer.pack(value)), []
        chunks = [self._packer.pack(entries[at : at + step]) for at in range(0, len(entries), step)]
        empty = container_of(cid, head, [])
        row = self._packer.pack_shape(None, Tagged(CHUNKED, head=(empty, 0, len(chunks), 0)))
        return (cid, row), chunks

    def operations(self, operations: Sequence[Any]) -> bytes:
        """Return operations as bytes.

        Raises:
            PackFailure: if they cannot be written.
        """
        return self._packer.pack(list(operations))  # type: ignore[no-any-return]

    def _shape(self, value: Any) -> int | Ext | Tagged:
        """Return how a value is written that is no builtin: the packer's hook."""
        kind = type(value)
        if kind is Ref:
            return int(value.oid)
        packer = SCALAR_PACKERS.get(kind)
        if packer is not None:
            code, pack = packer
            try:
                return Ext(code, pack(value))
            except CodecError as error:
                raise PackFailure(str(error)) from error
        if kind is not Inert:
            raise PackFailure(f"a {kind.__qualname__} cannot be saved")
        number = pack_number(self._classes[value.record]) if value.record is not None else b""
        if value.code == codes.CLASS:
            return Ext(codes.CLASS, number)
        if value.code == codes.BUILTIN:
            return Ext(codes.BUILTIN, value.text.encode("ascii"))
        if value.code == codes.BYTEARRAY:
            return Ext(codes.BYTEARRAY, value.items[0])
        return Tagged(value.code, number, body=value.items)
