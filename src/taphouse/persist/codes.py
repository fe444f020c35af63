"""Extension codes of the tap's MessagePack, and the errors of its codec.

Numbers and small shapes only: what a payload means is in ``scalars`` (immutable
standard values), ``packer`` and ``unpacker`` (composites).  This module must
never know SQLite, rows or the classes of an application.
"""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = [
    "BUILTIN",
    "BYTEARRAY",
    "CHUNKED",
    "CLASS",
    "COUNTER",
    "DEFAULTDICT",
    "DEQUE",
    "ENUM",
    "FIRST_TAG",
    "FLAG",
    "FROZENSET",
    "METHOD",
    "NAMEDTUPLE",
    "OBJECT",
    "ORDEREDDICT",
    "PAIRS",
    "RANGE",
    "REF",
    "SET",
    "TEXT",
    "TUPLE",
    "BIGINT",
    "CodecError",
    "Defer",
    "Ref",
    "big_integer",
    "pack_number",
    "unpack_number",
    "COMPLEX",
    "DATE",
    "DATETIME",
    "DECIMAL",
    "FRACTION",
    "IPADDRESS",
    "PATH",
    "TIME",
    "TIMEDELTA",
    "TIMEZONE",
    "UUID",
    "ZONEINFO",
]

REF: Final = 1
BIGINT: Final = 2
TEXT: Final = 3
COMPLEX: Final = 4
DATETIME: Final = 5
DATE: Final = 6
TIME: Final = 7
TIMEDELTA: Final = 8
TIMEZONE: Final = 9
ZONEINFO: Final = 10
DECIMAL: Final = 11
FRACTION: Final = 12
UUID: Final = 13
PATH: Final = 14
IPADDRESS: Final = 15
BYTEARRAY: Final = 16
CLASS: Final = 17
BUILTIN: Final = 18

FIRST_TAG: Final = 32
"""Codes from here on are tags: they stand first in an array and say what the array is."""
TUPLE: Final = 32
SET: Final = 33
FROZENSET: Final = 34
DEQUE: Final = 35
ORDEREDDICT: Final = 36
DEFAULTDICT: Final = 37
COUNTER: Final = 38
PAIRS: Final = 39
NAMEDTUPLE: Final = 40
OBJECT: Final = 41
METHOD: Final = 42
RANGE: Final = 43
ENUM: Final = 44
FLAG: Final = 45
CHUNKED: Final = 46


class CodecError(ValueError):
    """The bytes are not what a tap may hold; the message says why, in one line."""


class Defer(Exception):
    """A value can only be made once objects that it hashes have their state.

    Args:
        waits_for: the object whose hash is needed.
    """

    def __init__(self, waits_for: object) -> None:
        super().__init__("waits for the state of another object")
        self.waits_for = waits_for


class Ref(NamedTuple):
    """A reference to another row, as inert readers see it.

    Args:
        oid: the row's number, at least 1.
    """

    oid: int


def pack_number(number: int) -> bytes:
    """Return ``number`` (0 to 2**64-1) in 1, 2, 4 or 8 bytes, the most significant first."""
    if number < 0x100:
        return number.to_bytes(1, "big")
    if number < 0x10000:
        return number.to_bytes(2, "big")
    if number < 0x100000000:
        return number.to_bytes(4, "big")
    return number.to_bytes(8, "big")


def unpack_number(payload: bytes) -> int:
    """Return the number that :func:`pack_number` wrote.

    Raises:
        CodecError: if it is not 1, 2, 4 or 8 bytes long.
    """
    if len(payload) not in (1, 2, 4, 8):
        raise CodecError(f"a number of {len(payload)} bytes")
    return int.from_bytes(payload, "big")


def big_integer(number: int) -> bytes:
    """Return ``number`` in two's complement, as few bytes as hold it."""
    return number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True)
