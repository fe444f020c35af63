"""The tags of a document that stand for bytes alone: numbers, text, dates, names, addresses.

Each function makes one value of what stands after its tag and beside it.  This
module must never know objects or classes.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import ipaddress
import re
import struct
import uuid
from collections.abc import Callable
from typing import Any, Final, Protocol

from taphouse.persist import codes
from taphouse.persist.codes import big_integer
from taphouse.persist.inert import Inert
from taphouse.persist.problems import Problem, expect
from taphouse.persist.scalars import unpack_scalar

__all__ = ["SCALAR_TAGS", "Makes", "text_of"]

_OFFSET: Final = re.compile(r"([+-])(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{6}))?)?")
_DIGITS: Final = re.compile(r"-?[0-9]{1,4300}|-?0x[0-9a-fA-F]+")


class Makes(Protocol):
    """Makes the values inside a value."""

    def value(self, value: Any, /) -> Any:
        """Return the inert value that a JSON value stands for."""

    def part(self, more: dict[str, Any], key: str, /) -> Any:
        """Return the value that stands beside a tag, None if there is none."""


def text_of(make: Makes, body: Any) -> str:
    """Return text, with its escapes undone.

    Raises:
        Problem: if it is none.
    """
    return str(expect(make.value(body), str))


def _integer(_make: Makes, body: Any, _more: Any) -> int:
    if not _DIGITS.fullmatch(expect(body, str)):
        raise Problem("is no whole number: digits are, or 0x and digits of base 16")
    return int(body, 16 if "0x" in body else 10)


def _float(_make: Makes, body: Any, _more: Any) -> float:
    if expect(body, str)[:2] == "0x":
        (made,) = struct.unpack(">d", bytes.fromhex(body[2:]))
        return float(made)
    if body not in ("nan", "inf", "-inf"):
        raise Problem('is none of "nan", "inf" and "-inf"')
    return float(body)


def _text(_make: Makes, body: Any, _more: Any) -> str:
    return str(expect(body, str).encode("ascii").decode("unicode_escape"))


def _bytes(_make: Makes, body: Any, _more: Any) -> bytes:
    if not expect(body, str).isascii():
        raise Problem('has characters beyond ASCII; such bytes are written {"$base64": ...}')
    return bytes(body, "ascii")


def _base64(_make: Makes, body: Any, _more: Any) -> bytes:
    try:
        return base64.b64decode(expect(body, str), validate=True)
    except binascii.Error as error:
        raise Problem(f"is no base64: {error}") from error


def _bytearray(make: Makes, body: Any, _more: Any) -> Any:
    data = make.value(body)
    if type(data) is not bytes:
        raise Problem('{"$bytes": ...} or {"$base64": ...} is expected')
    return Inert(codes.BYTEARRAY, None, (data,))


def _complex(make: Makes, body: Any, _more: Any) -> Any:
    parts = make.value(expect(body, list))
    if [type(part) for part in parts] != [float, float]:
        raise Problem("two floats are expected, such as [1.0, -2.5]")
    return unpack_scalar(codes.COMPLEX, struct.pack(">dd", *parts))


def _fraction(make: Makes, body: Any, _more: Any) -> Any:
    parts = make.value(expect(body, list))
    if [type(part) for part in parts] != [int, int]:
        raise Problem("two whole numbers are expected")
    above, below = map(big_integer, parts)
    return unpack_scalar(codes.FRACTION, struct.pack(">I", len(above)) + above + below)


def _datetime(make: Makes, body: Any, more: dict[str, Any]) -> Any:
    return _zoned(make, datetime.datetime.fromisoformat(expect(body, str)), more)


def _time(make: Makes, body: Any, more: dict[str, Any]) -> Any:
    return _zoned(make, datetime.time.fromisoformat(expect(body, str)), more)


def _zoned(make: Makes, made: Any, more: dict[str, Any]) -> Any:
    fold = more.get("fold", 0)
    if type(fold) is not int or fold not in (0, 1):
        raise Problem("is neither 0 nor 1", "fold")
    zone = make.part(more, "zone")
    if zone is None:
        return made.replace(fold=fold)
    if not isinstance(zone, datetime.tzinfo) or made.tzinfo is not None:
        raise Problem('one {"$zone": ...} or {"$timezone": ...} is expected', "zone")
    return made.replace(tzinfo=zone, fold=fold)


def _timezone(make: Makes, body: Any, more: dict[str, Any]) -> Any:
    found = _OFFSET.fullmatch(expect(body, str))
    if found is None:
        raise Problem("is no offset such as +01:30")
    hours, minutes, seconds, micros = (int(number or 0) for number in found.groups()[1:])
    offset = datetime.timedelta(hours=hours, minutes=minutes, seconds=seconds, microseconds=micros)
    offset = -offset if body[0] == "-" else offset
    name = [expect(make.part(more, "name"), str, "name")] if "name" in more else []
    return datetime.timezone(offset, *name)


def _timedelta(_make: Makes, body: Any, _more: Any) -> Any:
    days, seconds, micros = (expect(part, int) for part in expect(body, list))
    return unpack_scalar(codes.TIMEDELTA, struct.pack(">iII", days, seconds, micros))


def _path(make: Makes, body: Any, kind: bytes) -> Any:
    return unpack_scalar(codes.PATH, kind + text_of(make, body).encode("utf-8", "surrogatepass"))


def _of_text(code: int) -> Callable[[Makes, Any, Any], Any]:
    return lambda _make, body, _more: unpack_scalar(code, expect(body, str).encode("ascii"))


_ZONED: Final = ("fold", "zone")
SCALAR_TAGS: Final[dict[str, tuple[Callable[[Any, Any, Any], Any], tuple[str, ...], tuple[str, ...]]]] = {
    "$int": (_integer, (), ()),
    "$float": (_float, (), ()),
    "$text": (_text, (), ()),
    "$bytes": (_bytes, (), ()),
    "$base64": (_base64, (), ()),
    "$bytearray": (_bytearray, (), ()),
    "$complex": (_complex, (), ()),
    "$fraction": (_fraction, (), ()),
    "$decimal": (_of_text(codes.DECIMAL), (), ()),
    "$datetime": (_datetime, (), _ZONED),
    "$date": (lambda _make, body, _more: datetime.date.fromisoformat(expect(body, str)), (), ()),
    "$time": (_time, (), _ZONED),
    "$timedelta": (_timedelta, (), ()),
    "$timezone": (_timezone, (), ("name",)),
    "$zone": (_of_text(codes.ZONEINFO), (), ()),
    "$uuid": (lambda _make, body, _more: uuid.UUID(expect(body, str)), (), ()),
    "$path": (lambda make, body, _more: _path(make, body, b"P"), (), ()),
    "$posixpath": (lambda make, body, _more: _path(make, body, b"p"), (), ()),
    "$windowspath": (lambda make, body, _more: _path(make, body, b"w"), (), ()),
    "$address": (lambda make, body, _more: ipaddress.ip_address(text_of(make, body)), (), ()),
    "$network": (lambda make, body, _more: ipaddress.ip_network(text_of(make, body)), (), ()),
    "$interface": (lambda make, body, _more: ipaddress.ip_interface(text_of(make, body)), (), ()),
}
"""Tag -> what makes its value, what must stand beside it, what may."""
