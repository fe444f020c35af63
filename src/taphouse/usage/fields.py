"""Fields: one option each, with all that its annotation and its declaration say.

A field knows how to read itself from words, from the environment, from data and
from code, and how to write itself back; it must never know which of them comes first.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from taphouse.usage.declaring import REQUIRED
from taphouse.usage.kinds import BOOL, COUNT, Kind, refuse, shown
from taphouse.usage.limits import Limits
from taphouse.usage.secret import SECRET
from taphouse.value import Value

__all__ = ["Field"]


class Field(Value):
    """An option or an argument.

    Attributes:
        name: of the attribute; in plan and TOML; in capitals in the environment.
        kind: of a value; of one item, for a list.
        limits: its constraints.
        default: as it was declared, or REQUIRED.
        repeat: whether it is a list.
        optional: whether it may be None; None is its default then.
        positional: whether it is an argument.
        short: its short flags, ``-p``.
        long: its long flags, ``--port``; of an argument none.
        help: a phrase.
        metavar: what help puts for a value.
        hidden: whether help keeps silent about it.
    """

    name: str
    kind: Kind
    limits: Limits
    default: Any
    repeat: bool
    optional: bool
    positional: bool
    short: tuple[str, ...]
    long: tuple[str, ...]
    help: str
    metavar: str
    hidden: bool

    @property
    def is_required(self) -> bool:
        """Whether something has to give it a value."""
        return self.default is REQUIRED

    @property
    def is_flag(self) -> bool:
        """Whether it is ``--x/--no-x``."""
        return self.kind is BOOL and not self.positional

    @property
    def is_count(self) -> bool:
        """Whether it is counted, ``-vvv``."""
        return self.kind is COUNT and not self.positional

    @property
    def is_secret(self) -> bool:
        """Whether its value is never shown."""
        return self.kind is SECRET

    @property
    def has_opposite(self) -> bool:
        """Whether ``--no-x`` exists: of a flag, and to say that a list is empty, or a count zero."""
        return not self.positional and (self.is_flag or self.is_count or self.repeat)

    @property
    def opposites(self) -> tuple[str, ...]:
        """The flags that say no."""
        return tuple(f"--no-{flag[2:]}" for flag in self.long) if self.has_opposite else ()

    @property
    def spelled(self) -> str:
        """The option as an error line names it: ``-p/--port``, or ``SOURCE``."""
        return self.metavar if self.positional else "/".join((*self.short, *self.long))

    # --- reading: ValueError with a phrase if it cannot be ----------------------------------------

    def from_words(self, words: Sequence[str]) -> Any:
        """Return the value that words of argv mean: one, or of a list any number."""
        if self.repeat:
            return self._within([self.kind.parse(word) for word in words])
        return self._within(self.kind.parse(words[0]))

    def from_variable(self, text: str) -> Any:
        """Return the value that an environment variable means.

        Items of a list are separated by commas, or are a JSON list, which can hold items with commas in them.
        """
        if not self.repeat:
            return self._within(self.kind.parse(text))
        if not text.lstrip().startswith("["):
            return self.from_words([item.strip() for item in text.split(",")] if text.strip() else [])
        try:
            items = json.loads(text)
        except ValueError as error:
            raise ValueError(f"{shown(text)} begins like a JSON list, but: {error}") from None
        return self._within(
            [self.kind.parse(item) if isinstance(item, str) else self.kind.accept(item) for item in items]
        )

    def from_data(self, value: Any) -> Any:
        """Return the value that a program, a TOML file or a plan gives."""
        if value is None and self.optional:
            return None
        if not self.repeat:
            return self._within(self.kind.accept(value))
        if not isinstance(value, list | tuple):
            refuse(value, "list")
        return self._within([self.kind.accept(item) for item in value])

    def from_default(self) -> Any:
        """Return the default; a list of its own each time."""
        return self.from_data(self.default)

    def check(self, value: Any) -> None:
        """Raise ValueError if the world is not as ``value`` needs it."""
        for item in value if self.repeat else [] if value is None else [value]:
            self.kind.check(item)

    def _within(self, value: Any) -> Any:
        self.limits.check(value)
        return value

    # --- writing ------------------------------------------------------------------------------------

    def plain(self, value: Any) -> Any:
        """Return what a plan holds of ``value``: of JSON's types."""
        if value is None:
            return None
        return [self.kind.plain(item) for item in value] if self.repeat else self.kind.plain(value)

    def text(self, value: Any) -> str:
        """Return ``value`` for a reader, secrets masked."""
        if value is None:
            return ""
        return ", ".join(self.kind.text(item) for item in value) if self.repeat else self.kind.text(value)

    def variable(self, value: Any) -> str:
        """Return the text of an environment variable that `from_variable` reads; not for a secret or None."""
        if not self.repeat:
            return self.kind.text(value)
        items = [self.kind.text(item) for item in value]
        joined = ",".join(items)
        simple = not joined.startswith("[") and [item.strip() for item in joined.split(",")] == items
        return joined if (simple and joined.strip()) or not items else json.dumps(items)
