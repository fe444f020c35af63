"""Sources: where the value of each option came from.

It must never decide which of them wins.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from taphouse.value import Value

__all__ = ["Parsed", "Source"]

T = TypeVar("T")


class Source(Value):
    """Where a value came from.

    Attributes:
        kind: "argument", "environment", "config", "stored", "default" or "prompt".
        where: the flag, the variable, or the file and key.
    """

    kind: str
    where: str = ""

    def __str__(self) -> str:
        return self.where or self.kind


class Parsed(Value, Generic[T]):
    """What `parse` found.

    Attributes:
        options: an instance of the class that was asked for.
        sources: by the option's name; those of a sub-command as ``command.option``.
        forgotten: what was stored and is no option any more.
    """

    options: T
    sources: dict[str, Source]
    forgotten: tuple[str, ...] = ()
