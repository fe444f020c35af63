"""JSON as people edit it: one line for what is short, and a parser that says what is wrong where.

This module must never know what a document is for.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from taphouse.persist.problems import Problem

__all__ = ["parse_text", "render_text"]

_WIDTH: Final = 100
"""What is longer than so many characters gets a line for each entry."""
_DIGITS: Final = 4300
"""Longer numbers take quadratic time; Python refuses them too."""
_UNSAFE: Final = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
"""What would paint a terminal, turn the text of an editor around, or is no text: written as escapes."""

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


def render_text(value: Any) -> str:
    """Return a JSON-able value as text that ends with a line break; the same text for the same value."""
    return "\n".join([*_lines(value), ""])


def _scalar(value: Any) -> str:
    text = _encode(value)
    if text.isascii() and "\x7f" not in text:
        return text
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _lines(value: Any) -> list[str]:
    if type(value) is dict:
        opening, closing = "{", "}"
        parts = []
        for key, part in value.items():
            lines = _lines(part)
            lines[0] = f"{_scalar(key)}: {lines[0]}"
            parts.append(lines)
    elif type(value) is list:
        opening, closing = "[", "]"
        parts = [_lines(part) for part in value]
    else:
        return [_scalar(value)]
    length = 0
    for lines in parts:
        length += len(lines[0]) + 2
        if len(lines) > 1 or (length > _WIDTH and len(parts) > 1):
            break
    else:
        return [opening + ", ".join(lines[0] for lines in parts) + closing]
    made = [opening]
    for at, lines in enumerate(parts, 1):
        made += [f"  {line}" for line in lines]
        if at < len(parts):
            made[-1] += ","
    made.append(closing)
    return made


class _Wrong:
    """Stands for what JSON does not have, or not so, until its place is known.

    Args:
        why: one phrase.
    """

    def __init__(self, why: str) -> None:
        self.why = why


class _Hooks:
    """What the parser asks about each number and each object."""

    def __init__(self) -> None:
        self.found_wrong = False

    def wrong(self, why: str) -> _Wrong:
        self.found_wrong = True
        return _Wrong(why)

    def integer(self, text: str) -> Any:
        if len(text) > _DIGITS:
            return self.wrong(f'a number of {len(text)} digits; it is written {{"$int": "0x..."}}')
        return int(text)

    def float(self, text: str) -> Any:
        value = float(text)
        if value - value != 0:
            return self.wrong(f'{text:.40} is too big for a float; infinity is written {{"$float": "inf"}}')
        return value

    def constant(self, text: str) -> Any:
        word = text.lower().replace("infinity", "inf")
        return self.wrong(f'{text} is no JSON; it is written {{"$float": "{word}"}}')

    def pairs(self, pairs: list[tuple[str, Any]]) -> Any:
        made = dict(pairs)
        if len(made) != len(pairs):
            seen: set[str] = set()
            twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            return self.wrong(f"the key {twice!r:.80} is there twice")
        return made


def parse_text(data: bytes) -> Any:
    """Return the JSON value that ``data`` holds, in UTF-8.

    Raises:
        Problem: if it holds none; told with line and column, or with the place in the value.
    """
    hooks = _Hooks()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Problem(f"line {line}: is not UTF-8") from error
    try:
        value = json.loads(
            text,
            parse_int=hooks.integer,
            parse_float=hooks.float,
            parse_constant=hooks.constant,
            object_pairs_hook=hooks.pairs,
        )
    except json.JSONDecodeError as error:
        raise Problem(f"line {error.lineno}, column {error.colno}: {error.msg}") from error
    except RecursionError as error:
        raise Problem("is nested too deep") from error
    if hooks.found_wrong:
        _raise_first(value)
    return value


def _raise_first(value: Any) -> None:
    """Raise the first thing that is wrong, with its place."""
    waiting: list[tuple[Any, tuple[str | int, ...]]] = [(value, ())]
    while waiting:
        part, place = waiting.pop()
        if type(part) is _Wrong:
            raise Problem(part.why, *reversed(place))
        entries: Any = ()
        if type(part) is dict:
            entries = part.items()
        elif type(part) is list:
            entries = enumerate(part)
        waiting += reversed([(inner, (*place, key)) for key, inner in entries])
