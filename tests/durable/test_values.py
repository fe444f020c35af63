"""Which values durable state takes, and what a refusal says."""

from __future__ import annotations

import array
import asyncio
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import http
import io
import ipaddress
import itertools
import os
import pathlib
import queue
import re
import socket
import ssl
import subprocess
import sys
import textwrap
import threading
import types
import uuid
import weakref
import zoneinfo
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

import pytest

from taphouse.errors import NotDurableError

T = TypeVar("T")


class Colour(enum.Enum):
    RED = 1


class Point(NamedTuple):
    x: int
    y: int


@dataclasses.dataclass
class Address:
    street: str
    tags: list[str]


@dataclasses.dataclass(slots=True)
class Slotted:
    x: Any


class Ordinary(Generic[T]):
    def __init__(self, x: Any) -> None:
        self.x = x

    def __eq__(self, other: object) -> bool:
        raise AssertionError("the room must not call this")

    def __hash__(self) -> int:
        raise AssertionError("the room must not call this")

    def __getattr__(self, name: str) -> Any:
        raise AssertionError("the room must not call this")


class Talker(asyncio.Protocol):
    def method(self) -> None:
        pass


class ListOfMine(list[int]):
    pass


class Deeper(Talker):
    def method(self) -> None:
        super().method()


def function() -> None:
    pass


@functools.wraps(function)
def decorated() -> None:
    function()


GOOD: list[Any] = [
    None, True, 2**4000, 1.5, 1j, "x", "\ud800", b"x", range(3), (), (1, (2,)), frozenset({1, (2, 3)}),
    bytearray(b"x"),
    datetime.date(2020, 1, 1), datetime.time(1, tzinfo=datetime.UTC), datetime.datetime(2020, 1, 1),
    datetime.datetime(2020, 1, 1, tzinfo=zoneinfo.ZoneInfo("UTC")), datetime.timedelta(1), datetime.UTC,
    zoneinfo.ZoneInfo("UTC"), decimal.Decimal("1.0"), fractions.Fraction(1, 3), uuid.UUID(int=1),
    pathlib.Path("x"), pathlib.PurePosixPath("x"), pathlib.PureWindowsPath("x"),
    ipaddress.ip_address("::1"), ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_interface("10.0.0.1/8"),
    Colour.RED, Point(1, 2), Address("x", ["y"]), Slotted([1]), Ordinary({"a": Ordinary(1)}),
    Talker, Colour, function, Talker.method, Deeper.method,
]  # fmt: skip


@pytest.mark.parametrize("value", GOOD, ids=lambda v: type(v).__name__)
def test_is_taken(attached: Any, value: Any) -> None:
    thing = attached.thing
    thing.x = value
    thing.y = [value]
    thing.z = {"k": (value,)}
    attached.room.check_value({"k": [value]}, "path")
    assert thing.y[0] is value
    assert thing.z["k"][0] is value


def _generator() -> Any:
    yield 1


def _coroutine() -> Any:
    async def wait() -> None:
        pass

    waiting = wait()
    waiting.close()
    return waiting


def _closure() -> Callable[[], int]:
    n = 1
    return lambda: n


def _inner_function() -> Callable[[], int]:
    n = 1

    def inner() -> int:
        return n

    return inner


def _closed_socket() -> socket.socket:
    made = socket.socket()
    made.close()
    return made


BAD: list[tuple[str, Callable[[], Any]]] = [
    ("a socket", _closed_socket),
    ("a lock", threading.Lock),
    ("a lock", threading.RLock),
    ("a lock", threading.Event),
    ("a lock", asyncio.Lock),
    ("an asyncio queue", asyncio.Queue),
    ("a queue", queue.SimpleQueue),
    ("a queue", queue.Queue),
    ("a thread", lambda: threading.Thread(target=function)),
    ("a protocol", Talker),
    ("a transport", lambda: asyncio.Transport()),
    ("a file", io.StringIO),
    ("a generator", _generator),
    ("a coroutine", _coroutine),
    ("a module", lambda: os),
    ("a lambda", lambda: lambda: 1),
    ("a lambda", _closure),
    ("a closure", _inner_function),
    ("an exception", lambda: ValueError("x")),
    ("a compiled pattern", lambda: re.compile("x")),
    ("a memoryview", lambda: memoryview(b"x")),
    ("a weak reference", lambda: weakref.ref(Talker)),
    ("an iterator", lambda: iter([1])),
    ("a functools.partial", lambda: functools.partial(function)),
    ("an array", lambda: array.array("i")),
    ("a TLS object", lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)),
    ("a thread-local object", threading.local),
    ("a list of a class of its own", ListOfMine),
    ("an instance of types.SimpleNamespace", types.SimpleNamespace),
    ("an instance of itertools.count", itertools.count),
    ("a bound method of", lambda: Ordinary(1).__init__),
    ("a built-in function", lambda: len),
    ("the class Event", lambda: threading.Event),
    ("the enumeration HTTPMethod", lambda: http.HTTPMethod.GET),
    ("the function dedent", lambda: textwrap.dedent),
    ("a time zone", lambda: datetime.datetime(2020, 1, 1, tzinfo=OwnZone())),
    ("the deeper part", lambda: Ordinary({"k": [threading.Lock()]})),
]


class OwnZone(datetime.tzinfo):
    pass


@pytest.mark.parametrize(("words", "make"), BAD, ids=[f"{w} {i}" for i, (w, _) in enumerate(BAD)])
def test_is_refused_in_words_with_its_path(attached: Any, words: str, make: Any) -> None:
    value = make()
    expected = "a lock" if words == "the deeper part" else words
    for path, write in (
        ("Thing.x", lambda: setattr(attached.thing, "x", value)),
        ("Thing.x['k'][1]", lambda: setattr(attached.thing, "x", {"k": [0, value]})),
        ("Thing.t[1]", lambda: setattr(attached.thing, "t", (0, value))),
    ):
        with pytest.raises(NotDurableError) as caught:
            write()
        message = str(caught.value)
        assert expected in message
        assert path in message
        assert "\n" not in message
        assert "_v_" in message
    assert dict(vars(attached.thing)) == {}


def test_a_task_and_a_future_and_a_loop_are_named(attached: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        for words, value in (
            ("a task", asyncio.current_task()),
            ("a future", loop.create_future()),
            ("an event loop", loop),
            ("a handle of the event loop", loop.call_soon(function)),
        ):
            with pytest.raises(NotDurableError, match=words):
                attached.thing.x = value

    asyncio.run(main())


def test_a_process_is_named(attached: Any) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    try:
        with pytest.raises(NotDurableError, match="a process cannot be saved"):
            attached.thing.x = process
    finally:
        process.wait()


def test_a_key_is_refused_with_its_path(attached: Any) -> None:
    attached.thing.d = {}
    with pytest.raises(NotDurableError, match=r"Thing\.d\[key "):
        attached.thing.d[threading.Lock()] = 1
    with pytest.raises(NotDurableError, match="a lock"):
        attached.thing.s = {threading.Lock()}


def test_depth_and_size_are_bounded(attached: Any) -> None:
    deep: Any = 1
    for _ in range(200):
        deep = [deep]
    with pytest.raises(NotDurableError, match="deeper than 100"):
        attached.thing.x = deep
    deep = 1
    for _ in range(2000):
        deep = (deep,)
    with pytest.raises(NotDurableError, match="deeper than 100"):
        attached.thing.x = deep
    with pytest.raises(NotDurableError, match="bytes in one value"):
        attached.thing.x = bytes((256 << 20) + 1)
    ok: Any = 1
    for _ in range(95):
        ok = {"k": ok}
    attached.thing.x = ok


def test_library_types_are_taken_once_registered(room: Any, attached: Any) -> None:
    attached.room.register(http.HTTPStatus)
    attached.thing.x = http.HTTPStatus.OK
    assert room.class_record(http.HTTPStatus).kind == "enum"


def test_bound_methods_of_durable_objects_are_taken(room: Any) -> None:
    class Thing(room.Durable):
        def tick(self) -> None:
            pass

    thing = Thing()
    thing.callback = thing.tick
    assert thing.callback == thing.tick


def test_names_that_a_tap_could_not_find_are_refused_while_an_application_runs(room: Any) -> None:
    class Local:
        pass

    class Thing(room.Durable):
        pass

    thing = Thing()
    thing.x = Local
    thing.y = Local()
    room.Ledger.current = ledger = room.Ledger()
    try:
        for value in (Local, Local()):
            with pytest.raises(NotDurableError, match="inside a function"):
                thing.x = value
    finally:
        ledger.close()
    assert room.Ledger.current is None
    thing.x = Local()
