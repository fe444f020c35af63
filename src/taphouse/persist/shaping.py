"""How each durable value is written: as a reference, an extension, or a tagged array.

Everything the packer does not know by itself is asked here.  Which row an object
has is not decided here but by a :class:`Rows`, since a running application gives
numbers for life and a snapshot only for its own file.  This module must never
know files, and never runs code of the application.
"""

from __future__ import annotations

import enum
import types
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterator
from typing import Any, Final, Protocol

from taphouse.durable import ClassRecord, Durable, class_record, describe_kind, is_tracked
from taphouse.persist.codes import (
    BUILTIN,
    BYTEARRAY,
    CLASS,
    COUNTER,
    DEFAULTDICT,
    DEQUE,
    ENUM,
    FLAG,
    FROZENSET,
    METHOD,
    NAMEDTUPLE,
    ORDEREDDICT,
    RANGE,
    SET,
    TUPLE,
    CodecError,
    pack_number,
)
from taphouse.persist.containers import FIRST_CLASS, PLAIN_CONTAINERS
from taphouse.persist.inert import Inert
from taphouse.persist.leaves import PackFailure
from taphouse.persist.packer import AS_BUILTIN, Ext, Tagged, _AsBuiltin
from taphouse.persist.scalars import SCALAR_PACKERS

__all__ = ["BUILTIN_FACTORIES", "Classes", "Rows", "Shaper", "container_shape"]

Shape = int | Ext | Tagged | _AsBuiltin

BUILTIN_FACTORIES: Final[dict[str, type]] = {
    kind.__name__: kind
    for kind in (int, float, str, bytes, bool, list, dict, set, tuple, frozenset, deque, OrderedDict, Counter)
}
"""What a defaultdict may make its values with, by name, besides what the application defines."""
_FACTORY_NAMES: Final = {kind: name for name, kind in BUILTIN_FACTORIES.items()}


class Classes:
    """The numbers of classes, enumerations and functions.

    Args:
        known: number -> record, of the tap that is continued.
    """

    def __init__(self, known: dict[int, ClassRecord] | None = None) -> None:
        self.records: dict[int, ClassRecord] = dict(known or {})
        self._numbers = {record: cid for cid, record in self.records.items()}
        self._by_class: dict[Any, int] = {}
        self.fresh: dict[int, ClassRecord] = {}
        self._next = max(self.records, default=FIRST_CLASS - 1) + 1

    def number_of(self, obj: Any) -> int:
        """Return the number of a class or function, a new one if it has none."""
        cid = self._by_class.get(obj)
        if cid is None:
            cid = self.number_of_record(class_record(obj))
            self._by_class[obj] = cid
        return cid

    def number_of_record(self, record: ClassRecord) -> int:
        """Return the number of a class record, a new one if it has none."""
        cid = self._numbers.get(record)
        if cid is None:
            cid = self._next
            self._next += 1
            self._numbers[record] = cid
            self.records[cid] = self.fresh[cid] = record
        return cid

    def take_fresh(self) -> dict[int, ClassRecord]:
        """Return the records numbered since the last call."""
        fresh, self.fresh = self.fresh, {}
        return fresh


class Rows(Protocol):
    """Gives row numbers."""

    @property
    def numbers(self) -> dict[int, int] | None:
        """``id(object) -> row number`` of durable objects numbered so far, or None if they know it."""

    @property
    def found(self) -> list[Any] | None:
        """The objects numbered so far, or None; a number is a place in it, counted from 1."""

    @property
    def embeds(self) -> bool:
        """Whether a tracked list or dict without row or second owner is always written inline."""

    def of_durable(self, value: Durable) -> int:
        """Return the number of a durable object."""

    def of_container(self, value: Any) -> int:
        """Return the number of a tracked container, 0 if it is written inside its owner's row."""

    def of_shared(self, value: Any) -> int:
        """Return the number of a tracked container that an opaque value refers to."""

    def of_opaque(self, value: object) -> int:
        """Return the number of a plain instance or bytearray."""

    def of_plain(self, value: Any) -> int:
        """Return the number of a plain container of an opaque value, 0 if nothing else refers to it."""


class Shaper:
    """The packer's hook.

    Args:
        rows: gives row numbers.
        classes: gives class numbers.
        opaque: what is written are opaque values: a tracked container in one has another owner, which
            is not known here, so it gets a row of its own.
    """

    def __init__(self, rows: Rows, classes: Classes, *, opaque: bool = False) -> None:
        self._rows = rows
        self._container = rows.of_shared if opaque else rows.of_container
        self._classes = classes

    def __call__(self, value: Any) -> Shape:
        """Return how ``value`` is written.

        Raises:
            PackFailure: if it cannot be.
        """
        kind = type(value)
        if isinstance(value, Durable):
            return self._rows.of_durable(value)
        if is_tracked(value):
            return self._container(value) or container_shape(value)
        packer = SCALAR_PACKERS.get(kind)
        if packer is not None:
            code, pack = packer
            try:
                return Ext(code, pack(value))
            except CodecError as error:
                raise PackFailure(f"{error} cannot be saved") from error
        if kind in PLAIN_CONTAINERS:
            return self._rows.of_plain(value) or container_shape(value)
        return self._rare(value, kind)

    def _rare(self, value: Any, kind: type) -> Shape:
        if kind is Tagged:
            return value  # type: ignore[no-any-return]
        if kind is range:
            return Tagged(RANGE, head=(value.start, value.stop, value.step))
        if kind is types.FunctionType or issubclass(kind, type):
            name = _FACTORY_NAMES.get(value) if value.__module__ in ("builtins", "collections") else None
            return Ext(BUILTIN, name.encode("ascii")) if name else Ext(CLASS, self._class(value))
        if kind is types.MethodType:
            return Tagged(METHOD, head=(value.__self__, value.__func__.__name__))
        if issubclass(type(kind), enum.EnumMeta):
            return self._enum(value, kind)
        if kind is Inert:
            return self._inert(value)
        if issubclass(kind, tuple):
            return Tagged(NAMEDTUPLE, self._class(kind), body=_Items(value))
        if kind is bytearray or kind.__module__ != "builtins":
            return self._rows.of_opaque(value)
        raise PackFailure(f"{describe_kind(value)} cannot be saved")

    def _class(self, obj: Any) -> bytes:
        return pack_number(self._classes.number_of(obj))

    def _enum(self, value: Any, kind: Any) -> Shape:
        name = value._name_
        if name is not None and kind._member_map_.get(name) is value:
            return Tagged(ENUM, self._class(kind), (name,))
        return Tagged(FLAG, self._class(kind), (value._value_,))

    def _inert(self, value: Inert) -> Shape:
        number = pack_number(self._classes.number_of_record(value.record)) if value.record else b""
        if value.code == CLASS:
            return Ext(CLASS, number)
        if value.code == BUILTIN:
            return Ext(BUILTIN, value.text.encode("ascii"))
        return Tagged(value.code, number, body=value.items)


class _Items:
    """The items of a named tuple, read without its own methods."""

    def __init__(self, value: tuple[Any, ...]) -> None:
        self._value = value

    def __len__(self) -> int:
        return tuple.__len__(self._value)

    def __iter__(self) -> Iterator[Any]:
        return tuple.__iter__(self._value)


def container_shape(value: Any) -> Shape:
    """Return how a container, tracked or plain, is written with everything in it."""
    if isinstance(value, deque):
        return Tagged(DEQUE, head=(value.maxlen,), body=value)
    if isinstance(value, OrderedDict):
        return Tagged(ORDEREDDICT, body=value)
    if isinstance(value, defaultdict):
        return Tagged(DEFAULTDICT, head=(value.default_factory,), body=value)
    if isinstance(value, Counter):
        return Tagged(COUNTER, body=value)
    if isinstance(value, set):
        return Tagged(SET, body=value)
    if isinstance(value, frozenset):
        return Tagged(FROZENSET, body=value)
    if isinstance(value, (list, dict)):
        return AS_BUILTIN
    return Ext(BYTEARRAY, bytes(value)) if type(value) is bytearray else Tagged(TUPLE, body=value)
