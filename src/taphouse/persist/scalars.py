"""The values that are bytes alone: dates, exact numbers, names, addresses.

Everything here turns one immutable standard value into the payload of an
extension and back.  Decoding calls constructors of the standard library and
nothing else; this module must never know rows, references or the classes of an
application.
"""

from __future__ import annotations

import datetime
import decimal
import fractions
import ipaddress
import math
import pathlib
import re
import struct
import uuid
import zoneinfo
from collections.abc import Callable
from typing import Any, Final

from taphouse.persist.codes import (
    BIGINT,
    COMPLEX,
    DATE,
    DATETIME,
    DECIMAL,
    FRACTION,
    IPADDRESS,
    PATH,
    TEXT,
    TIME,
    TIMEDELTA,
    TIMEZONE,
    UUID,
    ZONEINFO,
    CodecError,
    big_integer,
)

__all__ = ["SCALAR_PACKERS", "unpack_scalar"]

# --- date and time ---------------------------------------------------------------------------

_DATETIME = struct.Struct(">HBBBBBIB")
_DATE = struct.Struct(">HBB")
_TIME = struct.Struct(">BBBIB")
_TIMEDELTA = struct.Struct(">iII")
# The keys of the tz database: no dot, so no walk out of its folder.
_ZONE_KEY = re.compile(r"[A-Za-z0-9_+-]{1,40}(/[A-Za-z0-9_+-]{1,40}){0,3}")


def _pack_timezone(value: datetime.timezone) -> bytes:
    offset, *name = value.__getinitargs__()  # type: ignore[attr-defined]
    micros = (offset.days * 86400 + offset.seconds) * 1_000_000 + offset.microseconds
    text = b"=" + str(name[0]).encode("utf-8", "surrogatepass") if name else b""
    return struct.pack(">q", micros) + text


def _unpack_timezone(payload: bytes) -> datetime.timezone:
    (micros,) = struct.unpack_from(">q", payload)
    offset = datetime.timedelta(microseconds=micros)
    if len(payload) == 8:
        return datetime.timezone(offset)
    if payload[8:9] != b"=":
        raise CodecError("a time zone without '=' before its name")
    return datetime.timezone(offset, payload[9:].decode("utf-8", "surrogatepass"))


def _pack_zoneinfo(value: zoneinfo.ZoneInfo) -> bytes:
    if value.key is None or not _ZONE_KEY.fullmatch(value.key):
        raise CodecError(f"a ZoneInfo without a key of the tz database ({value.key!r:.60})")
    return value.key.encode("ascii")


def _unpack_zoneinfo(payload: bytes) -> zoneinfo.ZoneInfo:
    key = payload.decode("ascii")
    if not _ZONE_KEY.fullmatch(key):
        raise CodecError(f"{key!r:.60} is no time zone")
    try:
        return zoneinfo.ZoneInfo(key)
    except (KeyError, OSError, ValueError) as error:
        raise CodecError(f"time zone {key} is not installed on this machine") from error


def _pack_zone(value: datetime.tzinfo | None) -> bytes:
    if value is None:
        return b""
    if type(value) is datetime.timezone:
        return b"T" + _pack_timezone(value)
    if type(value) is zoneinfo.ZoneInfo:
        return b"Z" + _pack_zoneinfo(value)
    raise CodecError(f"a tzinfo of type {type(value).__qualname__}: use datetime.timezone or zoneinfo")


def _unpack_zone(payload: bytes) -> datetime.tzinfo | None:
    if not payload:
        return None
    if payload[:1] == b"T":
        return _unpack_timezone(payload[1:])
    if payload[:1] == b"Z":
        return _unpack_zoneinfo(payload[1:])
    raise CodecError("an unknown kind of time zone")


def _pack_datetime(value: datetime.datetime) -> bytes:
    v = value
    head = _DATETIME.pack(v.year, v.month, v.day, v.hour, v.minute, v.second, v.microsecond, v.fold)
    return head + _pack_zone(v.tzinfo)


def _unpack_datetime(payload: bytes) -> datetime.datetime:
    year, month, day, hour, minute, second, micro, fold = _DATETIME.unpack_from(payload)
    zone = _unpack_zone(payload[_DATETIME.size :])
    return datetime.datetime(year, month, day, hour, minute, second, micro, zone, fold=fold)


def _pack_time(value: datetime.time) -> bytes:
    v = value
    return _TIME.pack(v.hour, v.minute, v.second, v.microsecond, v.fold) + _pack_zone(v.tzinfo)


def _unpack_time(payload: bytes) -> datetime.time:
    hour, minute, second, micro, fold = _TIME.unpack_from(payload)
    return datetime.time(hour, minute, second, micro, _unpack_zone(payload[_TIME.size :]), fold=fold)


def _unpack_timedelta(payload: bytes) -> datetime.timedelta:
    days, seconds, micros = _TIMEDELTA.unpack(payload)
    if seconds >= 86400 or micros >= 1_000_000:
        raise CodecError("a time span with too many seconds")
    return datetime.timedelta(days, seconds, micros)


# --- numbers ---------------------------------------------------------------------------------

# gcd takes quadratic time: a file from a stranger may not ask for it on megabytes.
_GCD_BYTES: Final = 8192


def _pack_fraction(value: fractions.Fraction) -> bytes:
    numerator = big_integer(value.numerator)
    return struct.pack(">I", len(numerator)) + numerator + big_integer(value.denominator)


def _unpack_fraction(payload: bytes) -> fractions.Fraction:
    (size,) = struct.unpack_from(">I", payload)
    if size < 1 or 4 + size >= len(payload):
        raise CodecError("a fraction shorter than it says")
    numerator = int.from_bytes(payload[4 : 4 + size], "big", signed=True)
    denominator = int.from_bytes(payload[4 + size :], "big", signed=True)
    if denominator < 1:
        raise CodecError("a fraction over zero or less")
    if len(payload) <= _GCD_BYTES and math.gcd(numerator, denominator) != 1:
        raise CodecError("a fraction that is not reduced")
    made: Any = object.__new__(fractions.Fraction)
    made._numerator, made._denominator = numerator, denominator
    return made  # type: ignore[no-any-return]


def _unpack_decimal(payload: bytes) -> decimal.Decimal:
    text = payload.decode("ascii")
    if not text.isprintable() or "_" in text or text != text.strip():
        raise CodecError(f"{text!r:.60} is no decimal number")
    try:
        return decimal.Decimal(text)
    except decimal.InvalidOperation as error:
        raise CodecError(f"{text!r:.60} is no decimal number") from error


def _unpack_complex(payload: bytes) -> complex:
    real, imaginary = struct.unpack(">dd", payload)
    return complex(real, imaginary)


def _unpack_bigint(payload: bytes) -> int:
    if len(payload) < 8:
        raise CodecError("a big integer that is not big")
    return int.from_bytes(payload, "big", signed=True)


# --- names -----------------------------------------------------------------------------------


def _unpack_text(payload: bytes) -> str:
    return payload.decode("utf-8", "surrogatepass")


def _pack_path(value: pathlib.PurePath) -> bytes:
    kind = _PATH_KINDS[type(value)]
    return kind + str(value).encode("utf-8", "surrogatepass")


def _unpack_path(payload: bytes) -> pathlib.PurePath:
    text = payload[1:].decode("utf-8", "surrogatepass")
    kind = payload[:1]
    if kind == b"P":
        return pathlib.PosixPath(text)
    if kind == b"p":
        return pathlib.PurePosixPath(text)
    if kind == b"w":
        return pathlib.PureWindowsPath(text)
    raise CodecError("an unknown kind of path")


_PATH_KINDS: Final[dict[type, bytes]] = {
    pathlib.PosixPath: b"P",
    pathlib.PurePosixPath: b"p",
    pathlib.PureWindowsPath: b"w",
}
_IP_KINDS: Final[dict[type, bytes]] = {
    ipaddress.IPv4Address: b"a",
    ipaddress.IPv6Address: b"A",
    ipaddress.IPv4Network: b"n",
    ipaddress.IPv6Network: b"N",
    ipaddress.IPv4Interface: b"i",
    ipaddress.IPv6Interface: b"I",
}
_IP_MAKERS: Final[dict[bytes, Callable[[str], Any]]] = {kind: maker for maker, kind in _IP_KINDS.items()}


def _pack_ip(value: Any) -> bytes:
    return _IP_KINDS[type(value)] + str(value).encode("utf-8", "surrogatepass")


def _unpack_ip(payload: bytes) -> Any:
    maker = _IP_MAKERS.get(payload[:1])
    if maker is None:
        raise CodecError("an unknown kind of IP address")
    return maker(payload[1:].decode("utf-8", "surrogatepass"))


SCALAR_PACKERS: Final[dict[type, tuple[int, Callable[[Any], bytes]]]] = {
    complex: (COMPLEX, lambda v: struct.pack(">dd", v.real, v.imag)),
    datetime.datetime: (DATETIME, _pack_datetime),
    datetime.date: (DATE, lambda v: _DATE.pack(v.year, v.month, v.day)),
    datetime.time: (TIME, _pack_time),
    datetime.timedelta: (TIMEDELTA, lambda v: _TIMEDELTA.pack(v.days, v.seconds, v.microseconds)),
    datetime.timezone: (TIMEZONE, _pack_timezone),
    zoneinfo.ZoneInfo: (ZONEINFO, _pack_zoneinfo),
    decimal.Decimal: (DECIMAL, lambda v: str(v).encode("ascii")),
    fractions.Fraction: (FRACTION, _pack_fraction),
    uuid.UUID: (UUID, lambda v: v.bytes),
    **dict.fromkeys(_PATH_KINDS, (PATH, _pack_path)),
    **dict.fromkeys(_IP_KINDS, (IPADDRESS, _pack_ip)),
}
"""Exact type -> extension code and the function that gives the payload."""

_SCALAR_UNPACKERS: Final[dict[int, Callable[[bytes], Any]]] = {
    BIGINT: _unpack_bigint,
    TEXT: _unpack_text,
    COMPLEX: _unpack_complex,
    DATETIME: _unpack_datetime,
    DATE: lambda p: datetime.date(*_DATE.unpack(p)),
    TIME: _unpack_time,
    TIMEDELTA: _unpack_timedelta,
    TIMEZONE: _unpack_timezone,
    ZONEINFO: _unpack_zoneinfo,
    DECIMAL: _unpack_decimal,
    FRACTION: _unpack_fraction,
    UUID: lambda p: uuid.UUID(bytes=p),
    PATH: _unpack_path,
    IPADDRESS: _unpack_ip,
}


def unpack_scalar(code: int, payload: bytes) -> Any:
    """Return the immutable standard value that ``payload`` stands for.

    Args:
        code: the extension code, below 32, neither a reference nor a class.
        payload: the extension's bytes.

    Raises:
        CodecError: if it stands for none.
    """
    unpacker = _SCALAR_UNPACKERS.get(code)
    if unpacker is None:
        raise CodecError(f"extension code {code} has no meaning")
    try:
        return unpacker(payload)
    except CodecError:
        raise
    except (ValueError, OverflowError, struct.error) as error:
        raise CodecError(f"extension code {code}: {str(error).splitlines()[0]:.100}") from error
