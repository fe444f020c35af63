"""From inert values to what JSON has words for: one half of a tap as a document.

Text, numbers, lists and dicts stand for themselves; everything else is an object
whose key says what it is, ``{"$tuple": [1, 2]}``.  ``undocumenting`` is the other
half.  This module must never look a class up, nor know what a whole tap is.
"""

from __future__ import annotations

import base64
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
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from taphouse.durable import ClassRecord
from taphouse.persist import codes
from taphouse.persist.codes import CodecError, Ref
from taphouse.persist.inert import Inert

__all__ = ["EXACT", "Documenter", "offset_text", "writes_as_text"]

EXACT: Final = 1 << 53
"""Integers up to here are exact in every program that reads JSON."""
_DECIMAL_BITS: Final = 4096
"""Longer integers are written in base 16: other bases take quadratic time."""
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_PLAIN_BYTES: Final = re.compile(rb"[\t\n\r -~]*")
_USUAL_NAN: Final = struct.pack(">d", float("nan"))


def writes_as_text(data: bytes) -> bool:
    """Say whether bytes are shown as text: ASCII that a person can read."""
    return _PLAIN_BYTES.fullmatch(data) is not None


def offset_text(offset: datetime.timedelta) -> str:
    """Return the offset of a time zone as ISO 8601 has it: ``+01:30``."""
    sign, left = ("-", -offset) if offset < datetime.timedelta(0) else ("+", offset)
    return sign + (datetime.datetime.min + left).time().isoformat("auto").removesuffix(":00")


class Documenter:
    """Makes JSON-able values.

    Args:
        classes: class record -> its key in the document.
        ids: row number -> the object's id in the document.
    """

    def __init__(self, classes: Mapping[ClassRecord, str], ids: Mapping[int, str]) -> None:
        self._classes = classes
        self._ids = ids
        self.allows_gone = False
        """References to rows that are gone are shown, as chunks and operations may have them."""

    def value(self, value: Any) -> Any:
        """Return ``value`` as JSON has it.

        Raises:
            CodecError: if it is nothing that taphouse writes, or refers to a row that does not exist.
        """
        maker = _MAKERS.get(type(value))
        if maker is None:
            raise CodecError(f"a {type(value).__qualname__}, which no tap holds")
        return maker(self, value)

    def pairs(self, flat: Iterable[Any]) -> list[list[Any]]:
        """Return key, value, key, ... as pairs."""
        parts = [self.value(part) for part in flat]
        return [parts[at : at + 2] for at in range(0, len(parts), 2)]

    def text(self, value: str) -> Any:
        """Return text: itself, or with lone surrogates, which JSON would join, as an escape."""
        if value.isascii() or _SURROGATE.search(value) is None:
            return value
        return {"$text": value.encode("unicode_escape").decode("ascii")}

    def operations(self, operations: Iterable[Any]) -> list[Any]:
        """Return operations on a container, whose first part is their name."""
        shown = []
        for operation in operations:
            if type(operation) is not list or not operation:
                raise CodecError("an operation that is none")
            shown.append([self.value(part) for part in operation])
        return shown

    def record(self, record: ClassRecord | None) -> str:
        """Return the key of a class."""
        if record is None:
            raise CodecError("a value without the class that it must have")
        return self._classes[record]

    def _integer(self, value: int) -> Any:
        if -EXACT <= value <= EXACT:
            return value
        return {"$int": str(value) if value.bit_length() <= _DECIMAL_BITS else hex(value)}

    def _float(self, value: float) -> Any:
        if value - value == 0:
            return value
        raw = struct.pack(">d", value)
        known = raw == _USUAL_NAN or math.isinf(value)
        return {"$float": repr(value) if known else f"0x{raw.hex()}"}

    def _bytes(self, value: bytes) -> Any:
        if writes_as_text(value):
            return {"$bytes": value.decode("ascii")}
        return {"$base64": base64.b64encode(value).decode("ascii")}

    def _list(self, value: list[Any]) -> Any:
        return [self.value(part) for part in value]

    def _dict(self, value: dict[Any, Any]) -> Any:
        if all(type(key) is str and key[:1] != "$" and not _SURROGATE.search(key) for key in value):
            return {key: self.value(part) for key, part in value.items()}
        return {"$dict": self.pairs(part for pair in value.items() for part in pair)}

    def _reference(self, value: Ref) -> Any:
        found = self._ids.get(value.oid)
        if found is not None:
            return {"$ref": found}
        if self.allows_gone:
            return {"$gone": value.oid}
        raise CodecError(f"a reference to row {value.oid}, which does not exist")

    def _inert(self, value: Inert) -> Any:
        maker = _INERT.get(value.code)
        if maker is None:
            raise CodecError(f"a {value.kind} inside another value")
        try:
            return maker(self, value)
        except (ValueError, TypeError, IndexError) as error:
            if isinstance(error, CodecError):
                raise
            raise CodecError(f"a {value.kind} of a shape that taphouse does not write") from error

    def _counted(self, tag: str, value: Inert, head: int = 0) -> dict[str, Any]:
        if (len(value.items) - head) % 2:
            raise CodecError("a key without a value")
        return {tag: self.pairs(value.items[head:])}

    def _deque(self, value: Inert) -> Any:
        maxlen, *items = value.items
        shown: dict[str, Any] = {"$deque": self._list(items)}
        return shown if maxlen is None else {**shown, "maxlen": self.value(maxlen)}

    def _defaultdict(self, value: Inert) -> Any:
        return {**self._counted("$defaultdict", value, 1), "factory": self.value(value.items[0])}

    def _named(self, tag: str, value: Inert) -> Any:
        return {tag: self._list(list(value.items)), "class": self.record(value.record)}

    def _single(self, tag: str, value: Inert) -> Any:
        (item,) = value.items
        return {tag: self.value(item), "class": self.record(value.record)}

    def _method(self, value: Inert) -> Any:
        owner, name = value.items
        return {"$method": self.value(name), "of": self.value(owner)}

    def _bytearray(self, value: Inert) -> Any:
        (data,) = value.items
        return {"$bytearray": self.value(data)}

    # --- dates and times -----------------------------------------------------------------------

    def _datetime(self, value: datetime.datetime) -> Any:
        return self._zoned({"$datetime": value.replace(tzinfo=None).isoformat()}, value)

    def _time(self, value: datetime.time) -> Any:
        return self._zoned({"$time": value.replace(tzinfo=None).isoformat()}, value)

    def _zoned(self, shown: dict[str, Any], value: Any) -> Any:
        if value.fold:
            shown["fold"] = 1
        if value.tzinfo is not None:
            shown["zone"] = self.value(value.tzinfo)
        return shown

    def _timezone(self, value: datetime.timezone) -> Any:
        offset, *name = value.__getinitargs__()  # type: ignore[attr-defined]
        shown: dict[str, Any] = {"$timezone": offset_text(offset)}
        return {**shown, "name": self.text(name[0])} if name else shown


_Maker = Callable[[Documenter, Any], Any]
_MAKERS: Final[dict[type, _Maker]] = {
    type(None): lambda _d, value: value,
    bool: lambda _d, value: value,
    int: Documenter._integer,
    float: Documenter._float,
    str: Documenter.text,
    bytes: Documenter._bytes,
    list: Documenter._list,
    dict: Documenter._dict,
    tuple: lambda d, value: {"$tuple": d._list(value)},
    Ref: Documenter._reference,
    Inert: Documenter._inert,
    complex: lambda d, value: {"$complex": [d.value(value.real), d.value(value.imag)]},
    datetime.datetime: Documenter._datetime,
    datetime.date: lambda _d, value: {"$date": value.isoformat()},
    datetime.time: Documenter._time,
    datetime.timedelta: lambda _d, value: {"$timedelta": [value.days, value.seconds, value.microseconds]},
    datetime.timezone: Documenter._timezone,
    zoneinfo.ZoneInfo: lambda _d, value: {"$zone": value.key},
    decimal.Decimal: lambda _d, value: {"$decimal": str(value)},
    fractions.Fraction: lambda d, value: {
        "$fraction": [d.value(value.numerator), d.value(value.denominator)]
    },
    uuid.UUID: lambda _d, value: {"$uuid": str(value)},
    pathlib.PosixPath: lambda d, value: {"$path": d.text(str(value))},
    pathlib.PurePosixPath: lambda d, value: {"$posixpath": d.text(str(value))},
    pathlib.PureWindowsPath: lambda d, value: {"$windowspath": d.text(str(value))},
    **dict.fromkeys(
        (ipaddress.IPv4Address, ipaddress.IPv6Address), lambda d, value: {"$address": d.text(str(value))}
    ),
    **dict.fromkeys(
        (ipaddress.IPv4Network, ipaddress.IPv6Network), lambda d, value: {"$network": d.text(str(value))}
    ),
    **dict.fromkeys(
        (ipaddress.IPv4Interface, ipaddress.IPv6Interface),
        lambda d, value: {"$interface": d.text(str(value))},
    ),
}
"""Exact type -> what makes it JSON."""

_INERT: Final[dict[int, Callable[[Documenter, Inert], Any]]] = {
    codes.BUILTIN: lambda _d, value: {"$builtin": value.text},
    codes.CLASS: lambda d, value: {"$class": d.record(value.record)},
    codes.BYTEARRAY: Documenter._bytearray,
    codes.SET: lambda d, value: {"$set": d._list(list(value.items))},
    codes.FROZENSET: lambda d, value: {"$frozenset": d._list(list(value.items))},
    codes.DEQUE: Documenter._deque,
    codes.ORDEREDDICT: lambda d, value: d._counted("$ordereddict", value),
    codes.DEFAULTDICT: Documenter._defaultdict,
    codes.COUNTER: lambda d, value: d._counted("$counter", value),
    codes.PAIRS: lambda d, value: d._counted("$dict", value),
    codes.NAMEDTUPLE: lambda d, value: d._named("$namedtuple", value),
    codes.METHOD: Documenter._method,
    codes.RANGE: lambda d, value: {"$range": d._list(list(value.items))},
    codes.ENUM: lambda d, value: d._single("$enum", value),
    codes.FLAG: lambda d, value: d._single("$flag", value),
}
"""Tag -> what makes it JSON; a tag that is missing here stands only outermost in a row."""
