"""Live values: composites made of what the unpacker read, with the application's classes.

No constructor, method or hash of the application runs: containers of the
standard library are filled by their own methods, named tuples and enum members
are made by ``tuple`` and looked up by name.  What would have to hash an object of
the application is put off (:class:`Defer`) until every object has its state.
This module must never import a module that a tap names.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import fractions
import ipaddress
import pathlib
import types
import uuid
import zoneinfo
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable
from typing import Any, Final

from taphouse.durable import ClassRecord
from taphouse.persist import codes
from taphouse.persist.codes import CodecError, Defer
from taphouse.persist.inert import Inert, InertReader
from taphouse.persist.records import Base, check_base
from taphouse.persist.scalars import unpack_scalar
from taphouse.persist.shaping import BUILTIN_FACTORIES

__all__ = ["Chunked", "LiveReader"]

_SAFE: Final = frozenset(
    {
        type(None), bool, int, float, complex, str, bytes, range, type,
        datetime.date, datetime.time, datetime.datetime, datetime.timedelta, datetime.timezone,
        zoneinfo.ZoneInfo,
        decimal.Decimal, fractions.Fraction, uuid.UUID,
        pathlib.PosixPath, pathlib.PurePosixPath, pathlib.PureWindowsPath,
        ipaddress.IPv4Address, ipaddress.IPv6Address, ipaddress.IPv4Network, ipaddress.IPv6Network,
        ipaddress.IPv4Interface, ipaddress.IPv6Interface,
        types.FunctionType, types.MethodType,
    }
)  # fmt: skip
"""Exact types that are hashed and compared by the standard library alone."""
_SAFE_HASHES: Final[tuple[Any, ...]] = (object.__hash__, enum.Enum.__hash__)
_SAFE_EQUALS: Final[tuple[Any, ...]] = (object.__eq__, int.__eq__, str.__eq__)


def unsafe_parts(value: Any) -> Iterable[Any]:
    """Yield the parts of ``value`` whose hash may be code of the application."""
    kind = type(value)
    if kind in _SAFE:
        return
    if kind in (tuple, frozenset):
        for part in value:
            yield from unsafe_parts(part)
    elif kind.__hash__ not in _SAFE_HASHES or kind.__eq__ not in _SAFE_EQUALS:
        yield value


class Chunked:
    """The row of a container that is more than its row.

    Args:
        made: the container, with its entries if no chunk has them.
        base: which chunks have them, and the epoch from which on operations are to be done.
    """

    def __init__(self, made: Any, base: Base) -> None:
        self.made = made
        self.base = base


class LiveReader:
    """The unpacker's two functions for live values.

    Args:
        resolved: class number -> class or function; a number without entry is unknown.
        records: class number -> what the tap says about it.
    """

    def __init__(self, resolved: dict[int, Any], records: dict[int, ClassRecord]) -> None:
        self._resolved = resolved
        self._inert = InertReader(records)
        self.settle: Callable[[Any], None] | None = None
        """Asked to complete an object before it is hashed; None puts the hashing off."""
        self.has_inert = False
        self.nested = 0
        """Heads of big containers read and not yet taken by their rows."""

    def scalar(self, code: int, payload: bytes) -> Any:
        """Return the value of an extension.

        Raises:
            CodecError: if it has none.
        """
        if code == codes.CLASS:
            return self._class(payload) or self._keep(self._inert.scalar(code, payload))
        if code == codes.BUILTIN:
            kind = BUILTIN_FACTORIES.get(payload.decode("latin-1"))
            if kind is None:
                raise CodecError(f"{payload!r:.40} is no built-in type")
            return kind
        if code == codes.BYTEARRAY:
            return bytearray(payload)
        return unpack_scalar(code, payload)

    def tagged(self, code: int, payload: bytes, items: list[Any]) -> Any:
        """Return the value of a tagged array.

        Raises:
            CodecError: if it has none.
            Defer: if it hashes what has no state yet.
        """
        maker = _MAKERS.get(code)
        if maker is None:
            raise CodecError(f"tag {code} has no meaning")
        try:
            return maker(self, payload, items, code)
        except (CodecError, Defer):
            raise
        except (TypeError, ValueError, OverflowError, IndexError) as error:
            raise CodecError(f"tag {code}: {str(error).splitlines()[0]:.100}") from error

    def _class(self, payload: bytes) -> Any:
        self._inert.record(payload)
        return self._resolved.get(codes.unpack_number(payload))

    def _keep(self, value: Inert) -> Inert:
        self.has_inert = True
        return value

    def ready(self, keys: Iterable[Any]) -> None:
        """Make sure that hashing ``keys`` runs no code of the application on blank objects.

        Raises:
            Defer: if it might, and it is too early.
        """
        keys = list(keys)
        if _SAFE.issuperset(map(type, keys)):
            return
        for key in keys:
            if type(key) not in _SAFE:
                for part in unsafe_parts(key):
                    if self.settle is None:
                        raise Defer(part)
                    self.settle(part)

    def fill_pairs(self, target: dict[Any, Any], items: list[Any]) -> None:
        """Put key, value, key, ... into a dict with dict's own method.

        Raises:
            CodecError: if a key is missing its value or is there twice.
        """
        if len(items) % 2:
            raise CodecError("a key without a value")
        self.ready(items[::2])
        before = len(target)
        pairs = zip(items[::2], items[1::2], strict=True)
        if isinstance(target, OrderedDict):
            OrderedDict.update(target, pairs)
        else:
            # Not Counter.update, which adds numbers up.
            dict.update(target, pairs)
        if len(target) - before != len(items) // 2:
            raise CodecError("a dict with the same key twice")

    def _set(self, _payload: bytes, items: list[Any], code: int) -> Any:
        self.ready(items)
        made = set(items) if code == codes.SET else frozenset(items)
        if len(made) != len(items):
            raise CodecError("a set with the same entry twice")
        return made

    def _deque(self, _payload: bytes, items: list[Any], _code: int) -> Any:
        maxlen = items[0]
        if maxlen is not None and (type(maxlen) is not int or len(items) - 1 > maxlen):
            raise CodecError("a deque that is longer than it may be")
        return deque(items[1:], maxlen)

    def _mapping(self, _payload: bytes, items: list[Any], code: int) -> Any:
        made: dict[Any, Any] = {codes.ORDEREDDICT: OrderedDict, codes.COUNTER: Counter, codes.PAIRS: dict}[
            code
        ]()
        self.fill_pairs(made, items)
        return made

    def _defaultdict(self, _payload: bytes, items: list[Any], _code: int) -> Any:
        factory = items[0]
        if isinstance(factory, Inert):
            return self._keep(Inert(codes.DEFAULTDICT, None, tuple(items)))
        if not (factory is None or isinstance(factory, (type, types.FunctionType, types.MethodType))):
            raise CodecError("a defaultdict whose factory is no class or function")
        made: defaultdict[Any, Any] = defaultdict(factory)
        self.fill_pairs(made, items[1:])
        return made

    def _namedtuple(self, payload: bytes, items: list[Any], code: int) -> Any:
        kind = self._class(payload)
        if kind is None:
            return self._keep(self._inert.tagged(code, payload, items))
        if not (isinstance(kind, type) and issubclass(kind, tuple)) or len(
            getattr(kind, "_fields", ())
        ) != len(items):
            raise CodecError(
                f"{getattr(kind, '__qualname__', kind)!r:.60} is no named tuple of {len(items)} fields"
            )
        return tuple.__new__(kind, items)

    def _method(self, _payload: bytes, items: list[Any], _code: int) -> Any:
        owner, name = items
        if isinstance(owner, Inert):
            return self._keep(Inert(codes.METHOD, None, tuple(items)))
        for base in type(owner).__mro__:
            function = base.__dict__.get(name) if type(name) is str else None
            if isinstance(function, types.FunctionType):
                return types.MethodType(function, owner)
        return self._no_method(owner, name, items)

    def _no_method(self, owner: Any, name: Any, items: list[Any]) -> Any:
        if hasattr(type(owner), "_tap_is_unknown"):
            return self._keep(Inert(codes.METHOD, None, tuple(items)))
        raise CodecError(f"{type(owner).__qualname__} has no method {name!r:.60}")

    def _range(self, _payload: bytes, items: list[Any], _code: int) -> Any:
        start, stop, step = items
        return range(start, stop, step)

    def _enum(self, payload: bytes, items: list[Any], code: int) -> Any:
        kind = self._class(payload)
        (content,) = items
        if kind is None:
            return self._keep(self._inert.tagged(code, payload, items))
        if not (isinstance(kind, type) and issubclass(kind, enum.Enum)):
            raise CodecError(f"{getattr(kind, '__qualname__', kind)!r:.60} is no enumeration")
        if code == codes.ENUM:
            member = kind._member_map_.get(content) if type(content) is str else None
            if member is None:
                raise CodecError(f"{kind.__qualname__} has no member {content!r:.60}")
            return member
        if not issubclass(kind, enum.Flag) or type(content) is not int:
            raise CodecError(f"{kind.__qualname__} has no member of value {content!r:.60}")
        found = kind._value2member_map_.get(content)
        return found if found is not None else enum.Flag._missing_.__func__(kind, content)  # type: ignore[attr-defined]

    def _chunked(self, _payload: bytes, items: list[Any], _code: int) -> Any:
        made, *numbers = items
        base = check_base(numbers)
        if type(made) not in _CONTAINERS or (base[1] and len(made)):
            raise CodecError("a big container of a wrong shape")
        self.nested += 1
        return Chunked(made, base)


_CONTAINERS: Final = (list, dict, set, deque, OrderedDict, defaultdict, Counter)
_MAKERS: Final[dict[int, Callable[[LiveReader, bytes, list[Any], int], Any]]] = {
    codes.TUPLE: lambda _self, _payload, items, _code: tuple(items),
    codes.SET: LiveReader._set,
    codes.FROZENSET: LiveReader._set,
    codes.DEQUE: LiveReader._deque,
    codes.ORDEREDDICT: LiveReader._mapping,
    codes.COUNTER: LiveReader._mapping,
    codes.PAIRS: LiveReader._mapping,
    codes.DEFAULTDICT: LiveReader._defaultdict,
    codes.NAMEDTUPLE: LiveReader._namedtuple,
    codes.METHOD: LiveReader._method,
    codes.RANGE: LiveReader._range,
    codes.ENUM: LiveReader._enum,
    codes.FLAG: LiveReader._enum,
    codes.CHUNKED: LiveReader._chunked,
}
