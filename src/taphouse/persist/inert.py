"""Inert values: what stands for something whose class is not at hand.

``tap show`` sees everything this way; a running application sees values of
classes that it no longer has this way, and gives them back unchanged when they
are written again.  This module must never look a class up.
"""

from __future__ import annotations

from typing import Any

from taphouse.durable import ClassRecord
from taphouse.persist import codes
from taphouse.persist.codes import CodecError, Ref, unpack_number
from taphouse.persist.scalars import unpack_scalar
from taphouse.value import Value

__all__ = ["Inert", "InertReader", "KIND_NAMES", "RefRows"]

KIND_NAMES = {
    codes.BUILTIN: "builtin",
    codes.CLASS: "class",
    codes.TUPLE: "tuple",
    codes.SET: "set",
    codes.FROZENSET: "frozenset",
    codes.DEQUE: "deque",
    codes.ORDEREDDICT: "OrderedDict",
    codes.DEFAULTDICT: "defaultdict",
    codes.COUNTER: "Counter",
    codes.PAIRS: "dict",
    codes.NAMEDTUPLE: "namedtuple",
    codes.METHOD: "method",
    codes.RANGE: "range",
    codes.ENUM: "enum",
    codes.FLAG: "flag",
    codes.CHUNKED: "chunked",
    codes.BYTEARRAY: "bytearray",
}


class Inert(Value):
    """A composite value as data.

    Args:
        code: the tag code, see docs/tap-format.md.
        record: the class it names, if it names one.
        items: the parts in stored order (of a dict: key, value, key, ...).
        text: of a built-in factory its name.
    """

    code: int
    record: ClassRecord | None
    items: tuple[Any, ...] = ()
    text: str = ""

    @property
    def kind(self) -> str:
        """What it is, in Python's words: "set", "enum", "namedtuple"."""
        return KIND_NAMES.get(self.code, str(self.code))


class RefRows(dict[int, Any]):
    """Every reference becomes a :class:`Ref`; whether the row exists is for others to ask."""

    def __missing__(self, oid: int) -> Ref:
        return Ref(oid)


class InertReader:
    """The unpacker's two functions for inert values.

    Args:
        classes: class number -> record.
    """

    def __init__(self, classes: dict[int, ClassRecord]) -> None:
        self._classes = classes

    def record(self, payload: bytes) -> ClassRecord:
        """Return the class that a payload names.

        Raises:
            CodecError: if there is none of that number.
        """
        cid = unpack_number(payload)
        record = self._classes.get(cid)
        if record is None:
            raise CodecError(f"class {cid} does not exist")
        return record

    def scalar(self, code: int, payload: bytes) -> Any:
        """Return the value of an extension."""
        if code == codes.CLASS:
            return Inert(code, self.record(payload))
        if code == codes.BUILTIN:
            return Inert(code, None, (), payload.decode("ascii", "replace"))
        if code == codes.BYTEARRAY:
            return Inert(code, None, (bytes(payload),))
        return unpack_scalar(code, payload)

    def tagged(self, code: int, payload: bytes, items: list[Any]) -> Any:
        """Return the value of a tagged array."""
        if code not in KIND_NAMES:
            raise CodecError(f"tag {code} has no meaning")
        return Inert(code, self.record(payload) if payload else None, tuple(items))
