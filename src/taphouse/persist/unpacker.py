"""From bytes to values: the reading half of the codec, in Python.

The bytes may come from a stranger.  Nothing is believed: every length is held
against the bytes that are left, entries still owed to outer containers counted
in, so what is made is never more than a fixed multiple of what was read; depth
is bounded; nothing is hashed whose hash is code of an application.  This module
must never know SQLite, files or classes.  ``_codec.c`` is its twin.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final, Protocol

from taphouse.persist.codes import FIRST_TAG, REF, TUPLE, CodecError, unpack_number

__all__ = ["MAX_READ_DEPTH", "Unpacker"]

MAX_READ_DEPTH: Final = 256
"""Levels of nesting a reader accepts; writers stop at 200."""

_DOUBLE = struct.Struct(">d")
_KEY_TYPES: Final = frozenset({str, int, bytes, float, bool, type(None)})


class SupportsRows(Protocol):
    """Row number -> the object a reference to it becomes; KeyError if there is none."""

    def __getitem__(self, oid: int, /) -> Any: ...


class Unpacker:
    """Reads MessagePack as a tap uses it.

    Args:
        rows: row number -> the object a reference to it becomes.
        scalar: makes the value of an extension below 32 that is no reference.
        tagged: makes the value of a tagged array from code, payload and items.
    """

    has_parts = True
    """Whether a value that was poured may be more than text, bytes or a number; this twin does not look."""

    def __init__(
        self,
        rows: SupportsRows,
        scalar: Callable[[int, bytes], Any],
        tagged: Callable[[int, bytes, list[Any]], Any],
    ) -> None:
        self._rows = rows
        self._scalar = scalar
        self._tagged = tagged
        self._data = b""
        self._at = 0
        self._owed = 0

    def unpack(self, data: bytes) -> Any:
        """Return the one value that ``data`` holds.

        Raises:
            CodecError: if it does not hold exactly one, or one that a tap may not hold.
            Defer: if it can only be made once other objects have their state.
        """
        outer = self._data, self._at, self._owed
        self._data, self._at, self._owed = data, 0, 0
        try:
            value = self._value(0)
            if self._at != len(data):
                raise CodecError(f"{len(data) - self._at} bytes too many")
            return value
        finally:
            self._data, self._at, self._owed = outer

    def unpack_state(self, data: bytes) -> dict[str, Any]:
        """Return the map of attribute names to values that ``data`` holds.

        Raises:
            CodecError: also if it is no map of names, or has a name that is never stored
                (``_v_...``, ``__...__``).
            Defer: as :meth:`unpack`.
        """
        state = self.unpack(data)
        if type(state) is not dict:
            raise CodecError("the state of an object is no map of names")
        for name in state:
            if type(name) is not str or name.startswith("_v_") or (name[:2] == "__" == name[-2:]):
                raise CodecError(f"an attribute {name!r:.60}, which is never stored")
        return state

    def pour(self, _made: dict[Any, Any], data: bytes) -> Any:
        """Put keys and values, in turn, into a dict; return what is left to be put in, or None.

        This twin puts in nothing.

        Raises:
            CodecError, Defer: as :meth:`unpack`.
        """
        return self.unpack(data)

    def operate(self, _made: dict[Any, Any], data: bytes) -> Any:
        """Do operations on a dict; return those that are left to be done, or None.

        This twin does none.

        Raises:
            CodecError, Defer: as :meth:`unpack`.
        """
        return self.unpack(data)

    def _take(self, size: int) -> bytes:
        at = self._at
        end = at + size
        # An entry that is owed takes a byte at least: who claims more lies.
        if end + self._owed > len(self._data):
            raise CodecError(f"{size} bytes promised at offset {at}, fewer are left")
        self._at = end
        return self._data[at:end]

    def _number(self, size: int) -> int:
        return int.from_bytes(self._take(size), "big")

    def _value(self, depth: int) -> Any:
        code = self._take(1)[0]
        if code < 0x80:
            return code
        if code >= 0xE0:
            return code - 0x100
        if code < 0x90:
            return self._map(code & 0x0F, depth)
        if code < 0xA0:
            return self._array(code & 0x0F, depth)
        if code < 0xC0:
            return self._text(code & 0x1F)
        return _READERS[code](self, depth)

    def _text(self, size: int) -> str:
        try:
            return self._take(size).decode("utf-8")
        except UnicodeDecodeError as error:
            raise CodecError("text that is not UTF-8") from error

    def _owe(self, count: int, depth: int) -> None:
        if depth >= MAX_READ_DEPTH:
            raise CodecError(f"nested more than {MAX_READ_DEPTH} levels deep")
        if self._at + self._owed + count > len(self._data):
            raise CodecError(f"{count} entries promised at offset {self._at}, fewer bytes are left")
        self._owed += count

    def _array(self, count: int, depth: int) -> Any:
        self._owe(count, depth)
        items: list[Any] = []
        if count and self._peek_tag():
            self._owed -= 1
            code, payload = self._extension()
            self._items(items, count - 1, depth)
            if code == TUPLE and not payload:
                return tuple(items)
            return self._tagged(code, payload, items)
        self._items(items, count, depth)
        return items

    def _items(self, items: list[Any], count: int, depth: int) -> None:
        for _ in range(count):
            self._owed -= 1
            items.append(self._value(depth + 1))

    def _map(self, count: int, depth: int) -> dict[Any, Any]:
        self._owe(2 * count, depth)
        result: dict[Any, Any] = {}
        for _ in range(count):
            self._owed -= 1
            key = self._value(depth + 1)
            if type(key) not in _KEY_TYPES:
                raise CodecError("a map with a key that is no number, text or bytes")
            self._owed -= 1
            result[key] = self._value(depth + 1)
        if len(result) != count:
            raise CodecError("a map with the same key twice")
        return result

    def _peek_tag(self) -> bool:
        """Say whether an extension of a tag code comes next."""
        data, at = self._data, self._at
        code = data[at]
        if 0xD4 <= code <= 0xD8:
            kind = data[at + 1 : at + 2]
        elif 0xC7 <= code <= 0xC9:
            width = 1 << code - 0xC7
            kind = data[at + 1 + width : at + 2 + width]
        else:
            return False
        return bool(kind) and FIRST_TAG <= kind[0] < 128

    def _extension(self) -> tuple[int, bytes]:
        code = self._take(1)[0]
        size = 1 << code - 0xD4 if code >= 0xD4 else self._number(1 << code - 0xC7)
        kind = self._take(1)[0]
        return kind, self._take(size)

    def _ext(self, _depth: int) -> Any:
        self._at -= 1
        kind, payload = self._extension()
        if kind == REF:
            oid = unpack_number(payload)
            try:
                return self._rows[oid]
            except KeyError:
                raise CodecError(f"a reference to row {oid}, which does not exist") from None
        if kind >= FIRST_TAG:
            raise CodecError(f"extension code {kind} outside the front of an array")
        return self._scalar(kind, payload)

    def _refuse(self, _depth: int) -> Any:
        raise CodecError(f"byte {self._data[self._at - 1]:#x} at offset {self._at - 1} begins no value")


def _signed(size: int) -> Callable[[Unpacker, int], int]:
    return lambda u, _depth: int.from_bytes(u._take(size), "big", signed=True)


def _unsigned(size: int) -> Callable[[Unpacker, int], int]:
    return lambda u, _depth: u._number(size)


_READERS: Final[dict[int, Callable[[Unpacker, int], Any]]] = {
    0xC0: lambda _u, _depth: None,
    0xC1: Unpacker._refuse,
    0xC2: lambda _u, _depth: False,
    0xC3: lambda _u, _depth: True,
    0xC4: lambda u, _depth: u._take(u._number(1)),
    0xC5: lambda u, _depth: u._take(u._number(2)),
    0xC6: lambda u, _depth: u._take(u._number(4)),
    **dict.fromkeys((0xC7, 0xC8, 0xC9, *range(0xD4, 0xD9)), Unpacker._ext),
    0xCA: Unpacker._refuse,  # writers of taps use 64 bits for every float
    0xCB: lambda u, _depth: _DOUBLE.unpack(u._take(8))[0],
    **{0xCC + n: _unsigned(1 << n) for n in range(4)},
    **{0xD0 + n: _signed(1 << n) for n in range(4)},
    0xD9: lambda u, _depth: u._text(u._number(1)),
    0xDA: lambda u, _depth: u._text(u._number(2)),
    0xDB: lambda u, _depth: u._text(u._number(4)),
    0xDC: lambda u, depth: u._array(u._number(2), depth),
    0xDD: lambda u, depth: u._array(u._number(4), depth),
    0xDE: lambda u, depth: u._map(u._number(2), depth),
    0xDF: lambda u, depth: u._map(u._number(4), depth),
}
