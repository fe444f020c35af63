"""Kinds: what the values of one option are, and how they are written.

A kind turns text into a value, takes a value that a program, a TOML file or a
plan gives, and writes one back.  What is wrong is a ValueError whose message is
a phrase: who knows the option and the source puts them before it.  This module
must never know options or commands.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

from taphouse.usage.nearest import nearest
from taphouse.usage.quantities import duration_s, duration_text, size_bytes, size_text

__all__ = [
    "BOOL",
    "COUNT",
    "FLOAT",
    "INT",
    "TEXT",
    "ChoiceKind",
    "Count",
    "Duration",
    "Kind",
    "Size",
    "choices_of",
    "named",
    "refuse",
    "shown",
]


def refuse(value: object, what: str) -> NoReturn:
    """Raise ValueError: ``value`` is no ``what``."""
    raise ValueError(f"{shown(value)} is no {what}")


def shown(value: object) -> str:
    """Return a value as an error line shows it: short, and never more than a line."""
    return f"{value!r:.80}"


def named(text: object) -> str:
    """Return a name as an error line shows it: as it is, unless that would not be one line of a terminal."""
    return str(text) if str(text).isprintable() else repr(str(text))


class Kind:
    """What the values of an option are; this one is text, others override.

    Attributes:
        what: the noun of an error line, ``... is no whole number``.
        metavar: what help puts for a value.
        base: the type that constraints are checked on.
        limits: the names of the constraints that mean something.
        completes: what a shell may offer: "file", "folder" or nothing.
        choices: all that may be written, if that is a list.
    """

    what = "text"
    metavar = "TEXT"
    base: type = str
    limits: frozenset[str] = frozenset({"pattern", "min_length", "max_length"})
    completes = ""
    choices: tuple[str, ...] = ()

    def parse(self, text: str) -> Any:
        """Return the value that a word of argv, or the environment, means."""
        return self.accept(text)

    def accept(self, value: object) -> Any:
        """Return the value that a program, a TOML file or a plan gives."""
        if not isinstance(value, str):
            refuse(value, self.what)
        if "\0" in value:
            raise ValueError(f"{shown(value)} holds a NUL")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError(f"{shown(value)} is no text in UTF-8") from None
        return str(value)

    def check(self, value: Any) -> None:
        """Raise ValueError if the world is not as ``value`` needs it, now and here."""

    def text(self, value: Any) -> str:
        """Return the word that `parse` turns into ``value``."""
        return str(value)

    def plain(self, value: Any) -> Any:
        """Return what JSON and TOML can hold and `accept` turns into ``value``."""
        return value


_RANGE = frozenset({"ge", "gt", "le", "lt", "multiple_of"})


class _Integer(Kind):
    what = "whole number"
    metavar = "INTEGER"
    base = int
    limits = _RANGE
    _written = re.compile(r"[+-]?[0-9]+(_[0-9]+)*")

    def parse(self, text: str) -> int:
        # More than 4300 digits are refused by int() itself, with a ValueError in its own words.
        if self._written.fullmatch(text.strip()) is None or len(text) > 4000:
            refuse(text, self.what)
        return int(text)

    def accept(self, value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            refuse(value, self.what)
        return int(value)


class _Count(_Integer):
    what = "count from 0 to 255"
    metavar = ""

    def parse(self, text: str) -> int:
        return self.accept(super().parse(text))

    def accept(self, value: object) -> int:
        number = super().accept(value)
        if not 0 <= number <= 255:
            refuse(value, self.what)
        return number


class _Float(Kind):
    what = "number"
    metavar = "NUMBER"
    base = float
    limits = _RANGE

    def parse(self, text: str) -> float:
        try:
            return self.accept(float(text))
        except ValueError:
            raise ValueError(f"{shown(text)} is no {self.what}") from None

    def accept(self, value: object) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool):
            refuse(value, self.what)
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise ValueError(f"{shown(value)} is no finite number")
        return number

    def text(self, value: float) -> str:
        return repr(value).removesuffix(".0")


class _Bool(Kind):
    what = "yes or no"
    metavar = ""
    base = bool
    limits = frozenset()
    _words = {  # noqa: RUF012 - never changed
        **dict.fromkeys(("1", "true", "yes", "on", "y", "t"), True),
        **dict.fromkeys(("0", "false", "no", "off", "n", "f"), False),
    }

    def parse(self, text: str) -> bool:
        value = self._words.get(text.strip().lower())
        if value is None:
            raise ValueError(f"{shown(text)} is neither yes nor no (1, 0, true, false, on, off)")
        return value

    def accept(self, value: object) -> bool:
        if not isinstance(value, bool):
            refuse(value, "true or false")
        return value

    def text(self, value: bool) -> str:
        return "yes" if value else "no"


class _Duration(_Float):
    what = "duration such as 30s, 5m or 2h"
    metavar = "TIME"

    def parse(self, text: str) -> float:
        return duration_s(text)

    def accept(self, value: object) -> float:
        number = self.parse(value) if isinstance(value, str) else super().accept(value)
        if number < 0:
            refuse(value, self.what)
        return number

    def text(self, value: float) -> str:
        return duration_text(value)

    def plain(self, value: float) -> str:
        return duration_text(value)


class _Size(_Integer):
    what = "size such as 64k, 10MiB or 1GB"
    metavar = "SIZE"

    def parse(self, text: str) -> int:
        return size_bytes(text)

    def accept(self, value: object) -> int:
        number = self.parse(value) if isinstance(value, str) else super().accept(value)
        if number < 0:
            refuse(value, self.what)
        return number

    def text(self, value: int) -> str:
        return size_text(value)

    def plain(self, value: int) -> str:
        return size_text(value)


class ChoiceKind(Kind):
    """One of a few values, each with a word of its own: an enumeration or a Literal.

    Args:
        words: word -> value.
    """

    metavar = "CHOICE"
    limits = frozenset()

    def __init__(self, words: dict[str, Any]) -> None:
        self._words = words
        self.choices = tuple(words)
        self.metavar = "|".join(words)
        self.what = f"one of {', '.join(words)}"

    def parse(self, text: str) -> Any:
        if text in self._words:
            return self._words[text]
        near = nearest(text, self.choices)
        raise ValueError(f"{shown(text)} is not {self.what}" + (f"; did you mean {near}?" if near else ""))

    def accept(self, value: object) -> Any:
        for other in self._words.values():
            if type(value) is type(other) and value == other:
                return other
        if isinstance(value, str):
            return self.parse(value)
        raise ValueError(f"{shown(value)} is not {self.what}")

    def text(self, value: Any) -> str:
        return next(w for w, v in self._words.items() if type(v) is type(value) and v == value)

    def plain(self, value: Any) -> str:
        return self.text(value)


TEXT = Kind()
INT = _Integer()
FLOAT = _Float()
BOOL = _Bool()
COUNT = _Count()

Count = Annotated[int, COUNT]
"""How often a flag was given: ``-vvv`` is 3."""

Duration = Annotated[float, _Duration()]
"""Seconds, written ``5s``, ``2h``, ``1h30m``, ``150ms``."""

Size = Annotated[int, _Size()]
"""Bytes, written ``10MiB``, ``500k``."""


def choices_of(values: Sequence[Any], words: Sequence[str], what: str) -> ChoiceKind:
    """Return the kind of a few values.

    Raises:
        TypeError: if two of them are written alike, or there are none.
    """
    table = dict(zip(words, values, strict=True))
    if len(table) != len(values) or not values or "" in table:
        raise TypeError(f"{what} has values that cannot be told apart on a command line")
    return ChoiceKind(table)
