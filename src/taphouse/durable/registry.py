"""Registry: which class or function a name in a tap means.

A name resolves only to what a class statement derived from Durable, ``@durable``
or :func:`register` recorded here; nothing is imported and no dotted path is
walked.  This module must never know values, taps, or how objects are built.
"""

from __future__ import annotations

import enum
import types
import weakref
from typing import Any, TypeVar

from taphouse.errors import ClassIdentityError, NotDurableError
from taphouse.names import qualified_name
from taphouse.value import Value

__all__ = [
    "ClassRecord",
    "class_record",
    "find_registered",
    "is_registered",
    "record_class",
    "register",
]

T = TypeVar("T")


class ClassRecord(Value):
    """The identity of a class or function as a tap stores it.

    Attributes:
        name: the stable name, ``otk.Keys`` unless the class statement gives another.
        module: the module it was defined in, a script under its importable name.
        qualname: its qualified name there.
        version: 1 or what the class statement says.
        kind: "durable", "plain", "enum", "namedtuple" or "function".
    """

    name: str
    module: str
    qualname: str
    version: int
    kind: str


_by_name: dict[str, Any] = {}
_records: weakref.WeakKeyDictionary[Any, ClassRecord] = weakref.WeakKeyDictionary()


def _kind_of(obj: Any) -> str:
    if not isinstance(obj, type):
        return "function"
    if issubclass(type(obj), enum.EnumMeta):
        return "enum"
    if obj.__dict__.get("_tap_is_durable") or any("_tap_is_durable" in b.__dict__ for b in obj.__mro__):
        return "durable"
    if issubclass(obj, tuple) and isinstance(getattr(obj, "_fields", None), tuple):
        return "namedtuple"
    return "plain"


def _make_record(obj: Any, name: str | None, version: int) -> ClassRecord:
    full = qualified_name(obj)
    qualname = obj.__qualname__
    return ClassRecord(name or full, full[: -len(qualname) - 1], qualname, version, _kind_of(obj))


def record_class(obj: Any, name: str | None, version: int) -> ClassRecord:
    """Record ``obj`` under ``name``.

    Raises:
        ClassIdentityError: if another class has this name, or name or version are none.
    """
    if name is not None and (not isinstance(name, str) or not name or len(name) > 200 or "\x00" in name):
        raise ClassIdentityError(
            f"class name {name!r:.80} of {qualified_name(obj)} is none; use a short text"
        )
    if not isinstance(version, int) or isinstance(version, bool) or not 1 <= version < 2**31:
        raise ClassIdentityError(
            f"version {version!r:.40} of {qualified_name(obj)} is none", cure="use a number from 1 upwards"
        )
    record = _make_record(obj, name, version)
    other = _by_name.get(record.name)
    if other is not None and other is not obj:
        before = _records[other]
        if (before.module, before.qualname) != (record.module, record.qualname):
            raise ClassIdentityError(
                f"the name {record.name!r} is given to two classes, {before.module}.{before.qualname} and "
                f"{record.module}.{record.qualname}",
                cure="give one of them another name=",
            )
    _by_name[record.name] = obj
    _records[obj] = record
    return record


def register(obj: T, name: str | None = None, *, version: int = 1) -> T:
    """Allow a class or function that is not durable, by name, in taps.

    Needed for what the application does not define itself, such as an enumeration
    of the standard library.  Returns ``obj``, so that it can decorate.

    Args:
        obj: a class or a function of a module.
        name: its stable name; its qualified name if not given.
        version: of its attributes, see ``upgrade_from_1``.

    Raises:
        NotDurableError: if it is neither class nor function.
        ClassIdentityError: if the name is taken.
    """
    if not isinstance(obj, (type, types.FunctionType)):
        raise NotDurableError(f"register() takes a class or a function, not {obj!r:.60}")
    if isinstance(obj, types.FunctionType) and (obj.__name__ == "<lambda>" or "<locals>" in obj.__qualname__):
        raise NotDurableError(f"register() takes a function of a module, not {obj.__qualname__}")
    record_class(obj, name, version)
    return obj


def is_registered(obj: object) -> bool:
    """Say whether ``obj``, a class or function, was recorded."""
    try:
        return obj in _records
    except TypeError:
        return False


def find_registered(name: str) -> Any:
    """Return the class or function recorded under ``name``, or None."""
    return _by_name.get(name)


def class_record(obj: Any) -> ClassRecord:
    """Return the identity of a class or function; of one not recorded, what its definition says."""
    found = _records.get(obj)
    return found if found is not None else _make_record(obj, None, 1)
