"""Classes that the tests of this room save: they must be importable, so they live in a module."""

from __future__ import annotations

import collections
import dataclasses
import enum
import typing

from taphouse.durable import Durable, register


class Root(Durable):
    """An application, as far as this room knows."""


class Node(Durable):
    """A durable object."""


class Named(Durable):
    """A durable object whose hash is code of the application and needs its state."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __hash__(self) -> int:
        return hash(("Named", self.name))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Named) and self.name == other.name


class Colour(enum.Enum):
    RED = 1
    GREEN = "g"
    ALSO_RED = 1  # noqa: PIE796 - an alias is what is tested


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Rights(enum.Flag):
    READ = 1
    WRITE = 2
    RUN = 4


class Point(typing.NamedTuple):
    x: int
    y: object


Pair = collections.namedtuple("Pair", "left right")  # noqa: PYI024 - this kind too


@dataclasses.dataclass
class Account:
    owner: str
    entries: list[object]
    more: dict[str, object] = dataclasses.field(default_factory=dict)


class Slotted:
    __slots__ = ("__dict__", "_private", "left", "right")

    def __init__(self, left: object) -> None:
        self.left = left


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    what: object


class Plain:
    """An ordinary class; its constructor and hooks must never be called by a thaw."""

    calls: typing.ClassVar[list[str]] = []

    def __init__(self) -> None:
        self.calls.append("__init__")

    def __setstate__(self, state: object) -> None:
        self.calls.append("__setstate__")

    def __getattr__(self, name: str) -> object:
        if not name.startswith("__"):
            self.calls.append(f"__getattr__ {name}")
        raise AttributeError(name)


class Counter2(Durable, name="tapmodels.Counter"):
    def bump(self) -> None:
        self.n = getattr(self, "n", 0) + 1


def module_function() -> int:
    return 7


for _allowed in (Colour, Level, Rights, Point, Pair, Account, Slotted, Frozen, Plain, module_function):
    register(_allowed)


DEATHS: list[str] = []
"""Which of the following noticed being thrown away."""


class Dying(Durable):
    def __del__(self) -> None:
        DEATHS.append("durable")


class DyingSlots:
    __slots__ = ("part",)

    def __del__(self) -> None:
        DEATHS.append("slots")


class DyingPlain:
    def __del__(self) -> None:
        DEATHS.append("plain")
