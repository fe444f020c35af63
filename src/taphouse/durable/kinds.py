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
    "class_problem",
    "describe_kind",
    "function_problem",
    "instance_problem",
    "is_enum_member",
    "is_namedtuple",
    "mro_of",
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

# (module prefix, class name or "" for any, words).  The first match along the MRO wins.
_NEVER: tuple[tuple[str, str, str], ...] = (
    ("socket", "socket", "a socket"),
    ("_socket", "socket", "a socket"),
    ("ssl", "", "a TLS object"),
    ("_ssl", "", "a TLS object"),
    ("asyncio.transports", "", "a transport"),
    ("asyncio.protocols", "", "a protocol"),
    ("asyncio.tasks", "Task", "a task"),
    ("_asyncio", "Task", "a task"),
    ("asyncio.futures", "Future", "a future"),
    ("_asyncio", "Future", "a future"),
    ("asyncio.locks", "", "a lock"),
    ("asyncio.queues", "", "an asyncio queue"),
    ("asyncio.streams", "StreamReader", "a stream"),
    ("asyncio.streams", "StreamWriter", "a stream"),
    ("asyncio.events", "Handle", "a handle of the event loop"),
    ("asyncio.events", "TimerHandle", "a handle of the event loop"),
    ("asyncio.events", "AbstractServer", "a listening server"),
    ("asyncio.events", "AbstractEventLoop", "an event loop"),
    ("uvloop.loop", "Loop", "an event loop"),
    ("uvloop.loop", "Handle", "a handle of the event loop"),
    ("uvloop.loop", "TimerHandle", "a handle of the event loop"),
    ("uvloop", "", "a transport"),
    ("asyncio", "", "an object of the event loop"),
    ("_thread", "lock", "a lock"),
    ("_thread", "LockType", "a lock"),
    ("_thread", "RLock", "a lock"),
    ("threading", "Thread", "a thread"),
    ("threading", "", "a lock"),
    ("_thread", "_local", "a thread-local object"),
    ("_queue", "SimpleQueue", "a queue"),
    ("queue", "", "a queue"),
    ("_io", "", "a file"),
    ("io", "", "a file"),
    ("tempfile", "", "a temporary file"),
    ("mmap", "mmap", "a memory map"),
    ("sqlite3", "", "a database connection"),
    ("subprocess", "Popen", "a process"),
    ("multiprocessing", "", "an object of another process"),
    ("concurrent.futures", "", "an executor or its future"),
    ("builtins", "generator", "a generator"),
    ("builtins", "coroutine", "a coroutine"),
    ("builtins", "async_generator", "an asynchronous generator"),
    ("builtins", "module", "a module"),
    ("builtins", "frame", "a frame"),
    ("builtins", "traceback", "a traceback"),
    ("builtins", "code", "a code object"),
    ("builtins", "memoryview", "a memoryview"),
    ("builtins", "weakref", "a weak reference"),
    ("weakref", "", "a weak reference"),
    ("_weakref", "", "a weak reference"),
    ("builtins", "BaseException", "an exception"),
    ("builtins", "property", "a property"),
    ("re", "Pattern", "a compiled pattern"),
    ("re", "Match", "a match object"),
    ("functools", "partial", "a functools.partial"),
    ("array", "array", "an array"),
    ("_contextvars", "", "a context variable"),
    ("builtins", "ContextVar", "a context variable"),
    ("logging", "Logger", "a logger"),
    ("logging", "Handler", "a log handler"),
)  # fmt: skip


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
    for base in mro_of(cls):
        module, name = _module(base), base.__name__
        for prefix, only, words in _NEVER:
            if (module == prefix or module.startswith(prefix + ".")) and (not only or only == name):
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


def class_problem(cls: type) -> str:
    """Return why a reference to class ``cls`` cannot be saved, or ``""``."""
    return _reachable(cls, _module(cls), cls.__qualname__)


def function_problem(function: types.FunctionType) -> str:
    """Return why a reference to ``function`` cannot be saved, or ``""``."""
    return _reachable(function, function.__module__ or "?", function.__qualname__)


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
    if not registered and _module(cls).partition(".")[0] in sys.stdlib_module_names:
        if _module(cls) != "__main__":
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
