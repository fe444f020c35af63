"""What is wrong in a document, and where.

This module must never know what a document is for.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from taphouse.persist.codes import CodecError

__all__ = ["Problem", "expect", "place_text", "placed"]

_KINDS: Final = {dict: "an object", list: "a list", str: "text", int: "a whole number"}
_PLAIN_KEY: Final = re.compile(r"[\w#@$/+-]+")


class Problem(CodecError):
    """Something in a document is wrong.

    Args:
        why: one phrase.
        place: keys and indices on the way to it, the innermost first; filled on the way out.
    """

    def __init__(self, why: str, *place: str | int) -> None:
        super().__init__(why)
        self.place: list[str | int] = list(place)

    def __str__(self) -> str:
        return str(self.args[0])


def expect(value: Any, kind: type, *place: str | int) -> Any:
    """Return ``value`` if it is exactly of ``kind``.

    Raises:
        Problem: if it is not.
    """
    if type(value) is not kind:
        found = "nothing" if value is None else f"{_KINDS.get(type(value), 'something else')}"
        raise Problem(f"{_KINDS[kind]} is expected, {found} is there", *place)
    return value


def place_text(place: list[str | int]) -> str:
    """Return the way to a value, the innermost last: ``objects.Keys#1.state.users["ann b"][3]``."""
    text = ""
    for key in place:
        if type(key) is int:
            text += f"[{key}]"
        elif _PLAIN_KEY.fullmatch(str(key)):
            text += f".{key}"
        else:
            text += f"[{json.dumps(key)[:80]}]"
    return text.removeprefix(".")


def placed(function: Any, key: str) -> Any:
    """Return ``function`` with ``key`` added to the place of what it finds wrong."""

    def placed(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except Problem as problem:
            problem.place.append(key)
            raise

    return placed
