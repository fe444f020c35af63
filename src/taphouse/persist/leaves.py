"""Values without parts as bytes: numbers, text, bytes, and the heads of everything else.

The lower end of the packer; ``_leaves.h`` is its twin.  This module must never
know containers.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final

from taphouse.persist.codes import BIGINT, TEXT, CodecError, big_integer

__all__ = ["LEAVES", "PackFailure", "put_ext", "put_head", "put_text"]

_pack_float = struct.Struct(">Bd").pack


class PackFailure(CodecError):
    """A value cannot be written.

    Args:
        why: one phrase.
        path: how to get there from the row's state, ``['k'][3]``; filled on the way out.
    """

    def __init__(self, why: str, path: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.path = path


def put_head(out: bytearray, count: int, fix: int, limit: int, wide: int) -> None:
    """Write the head of an array (fix 0x90) or map (0x80): one byte, or code and 16 or 32 bits."""
    if count < limit:
        out.append(fix | count)
    elif count < 0x10000:
        out.append(wide)
        out += count.to_bytes(2, "big")
    elif count < 0x100000000:
        out.append(wide + 1)
        out += count.to_bytes(4, "big")
    else:
        raise PackFailure(f"{count} entries in one container")


def put_size(out: bytearray, code: int, size: int) -> None:
    """Write ``code`` for 8 bits of length, ``code + 1`` for 16 or ``code + 2`` for 32."""
    if size < 0x100:
        out += bytes((code, size))
    elif size < 0x10000:
        out.append(code + 1)
        out += size.to_bytes(2, "big")
    elif size < 0x100000000:
        out.append(code + 2)
        out += size.to_bytes(4, "big")
    else:
        raise PackFailure(f"{size} bytes in one value")


_FIX_EXT: Final = {1: 0xD4, 2: 0xD5, 4: 0xD6, 8: 0xD7, 16: 0xD8}


def put_ext(out: bytearray, code: int, payload: bytes) -> None:
    """Write an extension value."""
    fix = _FIX_EXT.get(len(payload))
    if fix is None:
        put_size(out, 0xC7, len(payload))
        out.append(code)
    else:
        out += bytes((fix, code))
    out += payload


def _put_none(out: bytearray, _value: None) -> None:
    out.append(0xC0)


def _put_bool(out: bytearray, value: bool) -> None:
    out.append(0xC3 if value else 0xC2)


def _put_int(out: bytearray, value: int) -> None:
    if 0 <= value < 0x80:
        out.append(value)
    elif -32 <= value < 0:
        out.append(value & 0xFF)
    elif value > 0:
        for code, size in (0xCC, 1), (0xCD, 2), (0xCE, 4), (0xCF, 8):
            if value >> 8 * size == 0:
                out.append(code)
                out += value.to_bytes(size, "big")
                return
        put_ext(out, BIGINT, big_integer(value))
    else:
        for code, size in (0xD0, 1), (0xD1, 2), (0xD2, 4), (0xD3, 8):
            if value >= -(1 << 8 * size - 1):
                out.append(code)
                out += value.to_bytes(size, "big", signed=True)
                return
        put_ext(out, BIGINT, big_integer(value))


def _put_float(out: bytearray, value: float) -> None:
    out += _pack_float(0xCB, value)


def put_text(out: bytearray, value: str) -> None:
    """Write text; with lone surrogates, which UTF-8 cannot hold, as an extension."""
    try:
        data = value.encode("utf-8")
    except UnicodeEncodeError:
        put_ext(out, TEXT, value.encode("utf-8", "surrogatepass"))
        return
    if len(data) < 32:
        out.append(0xA0 | len(data))
    else:
        put_size(out, 0xD9, len(data))
    out += data


def _put_bytes(out: bytearray, value: bytes) -> None:
    put_size(out, 0xC4, len(value))
    out += value


LEAVES: Final[dict[type, Callable[[bytearray, Any], None]]] = {
    type(None): _put_none,
    bool: _put_bool,
    int: _put_int,
    float: _put_float,
    str: put_text,
    bytes: _put_bytes,
}
