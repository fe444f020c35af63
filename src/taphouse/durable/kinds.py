"""Kinds: what a value is, in the words a message needs.

Knows which types are values for ever, which can never be saved, and how to
tell an ordinary class of user code.  Types of things that can never be saved
are recognised by name, so that neither ``socket`` nor ``asyncio`` is imported.
No code of the application runs here: everything is read from types with the
primitives of ``type`` itself.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import fractions
import ipaddress
import pathlib
import sys
import types
import uuid
import zoneinfo
from typing import Any

__all__ = [
    "DURABLE_CLASSES",
    "LEAVES",
    "QUICK",
    "SCALARS",
    "SHORT_TEXT",
    "TEXTS",
    "a_or_an",
    "describe_kind",
    "instance_problem",
    "is_enum_member",
    "is_namedtuple",
    "is_of_library",
    "mro_of",
    "name_problem",
    "raw_instance_dict",
    "slot_values",
]

QUICK: frozenset[type] = frozenset({type(None), bool, int, float, complex})
"""Exact types of values that need no look at all."""

SCALARS: frozenset[type] = QUICK | {
    str, bytes, range,
    datetime.date, datetime.time, datetime.datetime, datetime.timedelta, datetime.timezone, zoneinfo.ZoneInfo,
    decimal.Decimal, fractions.Fraction, uuid.UUID,
    pathlib.PurePosixPath, pathlib.PureWindowsPath, pathlib.PosixPath, pathlib.WindowsPath,
    ipaddress.IPv4Address, ipaddress.IPv6Address, ipaddress.IPv4Network, ipaddress.IPv6Network,
    ipaddress.IPv4Interface, ipaddress.IPv6Interface,
}  # fmt: skip
"""Exact types of immutable values without parts of other types (time zones apart)."""

LEAVES: frozenset[type] = SCALARS - {str, bytes, datetime.time, datetime.datetime, zoneinfo.ZoneInfo}
"""Exact types of SCALARS that need no look at their length or time zone."""

TEXTS: frozenset[type] = frozenset({str, bytes})
"""Exact types of values of which only the length is looked at."""

SHORT_TEXT = 1 << 20
"""Text and bytes up to this length are written without a further look."""

DURABLE_CLASSES: set[type] = set()
"""Every class derived from Durable; membership of the exact type tells a durable object."""

_NEVER: dict[tuple[str, str], str] = {
    ("socket", "socket"): "a socket",
    ("_socket", "socket"): "a socket",
    ("asyncio.tasks", "Task"): "a task",
    ("_asyncio", "Task"): "a task",
    ("asyncio.futures", "Future"): "a future",
    ("_asyncio", "Future"): "a future",
    ("asyncio.streams", "StreamReader"): "a stream",
    ("asyncio.streams", "StreamWriter"): "a stream",
    ("asyncio.events", "Handle"): "a handle of the event loop",
    ("asyncio.events", "TimerHandle"): "a handle of the event loop",
    ("asyncio.events", "AbstractServer"): "a listening server",
    ("asyncio.events", "AbstractEventLoop"): "an event loop",
    ("uvloop.loop", "Loop"): "an event loop",
    ("uvloop.loop", "Handle"): "a handle of the event loop",
    ("uvloop.loop", "TimerHandle"): "a handle of the event loop",
    ("_thread", "lock"): "a lock",
    ("_thread", "LockType"): "a lock",
    ("_thread", "RLock"): "a lock",
    ("threading", "Thread"): "a thread",
    ("_thread", "_local"): "a thread-local object",
    ("_queue", "SimpleQueue"): "a queue",
    ("mmap", "mmap"): "a memory map",
    ("subprocess", "Popen"): "a process",
    ("builtins", "generator"): "a generator",
    ("builtins", "coroutine"): "a coroutine",
    ("builtins", "async_generator"): "an asynchronous generator",
    ("builtins", "module"): "a module",
    ("builtins", "frame"): "a frame",
    ("builtins", "traceback"): "a traceback",
    ("builtins", "code"): "a code object",
    ("builtins", "memoryview"): "a memoryview",
    ("builtins", "weakref"): "a weak reference",
    ("builtins", "BaseException"): "an exception",
    ("builtins", "property"): "a property",
    ("re", "Pattern"): "a compiled pattern",
    ("re", "Match"): "a match object",
    ("functools", "partial"): "a functools.partial",
    ("array", "array"): "an array",
    ("builtins", "ContextVar"): "a context variable",
    ("logging", "Logger"): "a logger",
    ("logging", "Handler"): "a log handler",
}
"""(module, class) -> words, for classes whose instances can never be saved."""

_NEVER_OF: tuple[tuple[str, str], ...] = (
    ("ssl", "a TLS object"),
    ("_ssl", "a TLS object"),
    ("asyncio.transports", "a transport"),
    ("asyncio.protocols", "a protocol"),
    ("asyncio.locks", "a lock"),
    ("asyncio.queues", "an asyncio queue"),
    ("uvloop", "a transport"),
    ("asyncio", "an object of the event loop"),
    ("threading", "a lock"),
    ("queue", "a queue"),
    ("_io", "a file"),
    ("io", "a file"),
    ("tempfile", "a temporary file"),
    ("sqlite3", "a database connection"),
    ("multiprocessing", "an object of another process"),
    ("concurrent.futures", "an executor or its future"),
    ("weakref", "a weak reference"),
    ("_weakref", "a weak reference"),
    ("_contextvars", "a context variable"),
)
"""The same for all other classes of a module and of those inside it."""


def mro_of(cls: type) -> tuple[type, ...]:
    """Return the MRO of ``cls`` without running code of its metaclass."""
    return type.__dict__["__mro__"].__get__(cls)  # type: ignore[no-any-return]


def _namespace(cls: type) -> Any:
    return type.__dict__["__dict__"].__get__(cls)


def _module(cls: type) -> str:
    name = _namespace(cls).get("__module__")
    if isinstance(name, str):
        return name
    return str(type.__dict__["__module__"].__get__(cls))


def a_or_an(words: str) -> str:
    """Return ``words`` after its indefinite article."""
    return ("an " if words[:1].lower() in "aeiou" else "a ") + words


def _never(cls: type) -> str:
    """Return the words for a class whose instances can never be saved, or ``""``."""
    names = [(_module(base), base.__name__) for base in mro_of(cls)]
    for full in names:
        if full in _NEVER:
            return _NEVER[full]
    for module, name in names:
        for room, words in _NEVER_OF:
            if module == room or module.startswith(room + "."):
                return words
        if name.endswith("iterator") and module in ("builtins", "itertools"):
            return "an iterator"
    return ""


def describe_kind(value: object) -> str:
    """Return what ``value`` is in words: "a socket", "a lambda", "an instance of x.Y"."""
    cls = type(value)
    if cls is types.FunctionType:
        name = value.__qualname__  # type: ignore[attr-defined]
        if value.__name__ == "<lambda>":  # type: ignore[attr-defined]
            return "a lambda"
        return "a function defined inside a function" if "<locals>" in name else f"the function {name}"
    if cls is types.BuiltinFunctionType:
        return "a built-in function or method"
    if cls is types.MethodType:
        return "a bound method of " + describe_kind(value.__self__)  # type: ignore[attr-defined]
    if issubclass(cls, type):
        return f"the class {value.__qualname__}"  # type: ignore[attr-defined]
    return _never(cls) or f"an instance of {_module(cls)}.{cls.__qualname__}"


def _reachable(obj: Any, module: str, qualname: str) -> str:
    """Return why ``obj`` cannot be found again as ``module:qualname``, or ``""``."""
    if "<locals>" in qualname:
        return "is defined inside a function; define it at the top of its module"
    place: Any = sys.modules.get(module)
    if place is None:
        return f"is of the module {module!r}, which is not imported under that name"
    if module == "__main__" and not getattr(place, "__file__", None):
        return "is defined at a prompt; put it into a file"
    for part in qualname.split("."):
        space = _namespace(place) if isinstance(place, type) else getattr(place, "__dict__", {})
        if part not in space:
            return f"is not found as {module}.{qualname}; give it a name of its module"
        place = space[part]
    if isinstance(place, (staticmethod, classmethod)):
        place = place.__func__
    if place is obj:
        return ""
    return f"is not what {module}.{qualname} names now; give it a name of its own"


def is_of_library(obj: Any) -> bool:
    """Say whether a class or function is Python's own: no tap names it unless it is registered."""
    module = _module(obj) if isinstance(obj, type) else str(obj.__module__)
    room = module.partition(".")[0]
    return room != "__main__" and room in sys.stdlib_module_names


def name_problem(obj: Any) -> str:
    """Return why a class or function cannot be found again by its name, or ``""``."""
    module = _module(obj) if isinstance(obj, type) else str(obj.__module__)
    return _reachable(obj, module, obj.__qualname__)


def is_namedtuple(cls: type) -> bool:
    """Say whether ``cls`` is a class made by namedtuple (or a subclass without attributes of its own)."""
    fields = _namespace(cls).get("_fields")
    if fields is None:
        fields = next((_namespace(b)["_fields"] for b in mro_of(cls) if "_fields" in _namespace(b)), None)
    return (
        issubclass(cls, tuple)
        and isinstance(fields, tuple)
        and all(type(name) is str for name in fields)
        and cls.__dictoffset__ == 0
    )


def is_enum_member(cls: type) -> bool:
    """Say whether ``cls`` is an enumeration."""
    return issubclass(type(cls), enum.EnumMeta)


_HEAP = 1 << 9  # Py_TPFLAGS_HEAPTYPE: made by a class statement or by PyType_FromSpec


def instance_problem(cls: type, registered: bool) -> str:
    """Return why instances of ``cls`` cannot be saved, or ``""``.

    Args:
        cls: a class that is not durable and not a known type of value.
        registered: whether the application registered it by name.
    """
    never = _never(cls)
    if never:
        return f"{never} cannot be saved"
    name = f"{_module(cls)}.{cls.__qualname__}"
    for base in mro_of(cls):
        if base is object or (_module(base) == "typing" and base.__name__ in ("Generic", "Protocol")):
            continue
        made = _namespace(base).get("__new__")
        if not base.__flags__ & _HEAP or isinstance(made, types.BuiltinFunctionType):
            what = (
                a_or_an(f"{base.__name__} of a class of its own")
                if base is not cls
                else f"an instance of {name}"
            )
            return f"{what} ({name}) cannot be saved; keep plain values, or a class without built-in bases"
    if not registered and is_of_library(cls):
        return f"an instance of {name} cannot be saved; register({cls.__name__}) if its attributes can"
    return ""


def raw_instance_dict(value: object) -> dict[str, Any] | None:
    """Return the attribute dict of a plain instance without running its code, or None if it has none."""
    for base in mro_of(type(value)):
        found = _namespace(base).get("__dict__")
        if isinstance(found, types.GetSetDescriptorType):
            return found.__get__(value)  # type: ignore[no-any-return]
    return None


def slot_values(value: object) -> dict[str, Any]:
    """Return the filled slots of a plain instance by name, the most derived class first."""
    filled: dict[str, Any] = {}
    for base in mro_of(type(value)):
        for name, member in _namespace(base).items():
            if isinstance(member, types.MemberDescriptorType) and name not in filled:
                try:
                    filled[name] = member.__get__(value)
                except AttributeError:
                    continue
    return filled
