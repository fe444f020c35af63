"""Annotations: which kind of option a type means.

It must never know defaults or flags.
"""

from __future__ import annotations

import enum
import os
import sys
import types
import typing
from typing import Any

from taphouse.usage.address import ADDRESS, Address
from taphouse.usage.kinds import BOOL, FLOAT, INT, TEXT, Kind, choices_of
from taphouse.usage.secret import SECRET, Secret
from taphouse.value import Value

__all__ = ["Shape", "shape_of"]

_KINDS: dict[Any, Kind] = {
    int: INT, str: TEXT, float: FLOAT, bool: BOOL, Address: ADDRESS, Secret: SECRET,
}  # fmt: skip
_ALLOWED = (
    "int, float, str, bool, an Enum, a Literal, pathlib.Path, list[...] of them, ... | None,"
    " or what usage offers (Count, Duration, Size, Address, ExistingFile, ExistingFolder, NewFile, Secret)"
)


class Shape(Value):
    """What an annotation says.

    Attributes:
        kind: of a value; of one item, for a list.
        repeat: whether it is a list.
        optional: whether it may be None.
    """

    kind: Kind
    repeat: bool = False
    optional: bool = False


def shape_of(annotation: Any) -> Shape:
    """Return what an annotation means.

    Raises:
        TypeError: if it means nothing that an option can be; the message is a phrase.
    """
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        some = [part for part in typing.get_args(annotation) if part is not types.NoneType]
        if len(some) != 1:
            raise _unknown(annotation)
        inner = shape_of(some[0])
        if inner.repeat:
            raise TypeError("list[...] | None is not needed: an empty list says that there is none")
        return Shape(inner.kind, optional=True)
    if typing.get_origin(annotation) is list:
        inner = shape_of(typing.get_args(annotation)[0])
        if inner.repeat or inner.optional or inner.kind in (BOOL, SECRET) or not inner.kind.metavar:
            raise TypeError(f"{_spelled(annotation)}: a list of such values cannot be given as an option")
        return Shape(inner.kind, repeat=True)
    return Shape(_kind_of(annotation))


def _kind_of(annotation: Any) -> Kind:
    for mark in getattr(annotation, "__metadata__", ()):
        if isinstance(mark, Kind):
            return mark
    try:
        known = _KINDS.get(annotation)
    except TypeError:  # an annotation that has no hash
        known = None
    if known is not None:
        return known
    if typing.get_origin(annotation) is typing.Literal:
        values = typing.get_args(annotation)
        if not all(isinstance(value, str | int) and not isinstance(value, bool) for value in values):
            raise TypeError(f"{_spelled(annotation)}: only texts and whole numbers can be chosen from")
        return choices_of(values, [str(value) for value in values], _spelled(annotation))
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        members = list(annotation)
        return choices_of(members, _words_of(members), annotation.__name__)
    # pathlib costs 4 ms; who has not imported it has not named it here
    if "pathlib" in sys.modules and isinstance(annotation, type) and issubclass(annotation, os.PathLike):
        from taphouse.usage.paths import PATH

        if annotation is sys.modules["pathlib"].Path:
            return PATH
    raise _unknown(annotation)


def _words_of(members: list[Any]) -> list[str]:
    """Return how the members of an enumeration are written: by value, or by name if a value is no text."""
    if all(isinstance(member.value, str) for member in members):
        return [member.value for member in members]
    return [member.name.lower().replace("_", "-") for member in members]


def _spelled(annotation: Any) -> str:
    text = annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")
    return f"{text:.80}"


def _unknown(annotation: Any) -> TypeError:
    return TypeError(f"{_spelled(annotation)} is no type of an option; it may be {_ALLOWED}")
