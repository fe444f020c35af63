"""Globs: the patterns of KEYS and SCAN: ``*``, ``?``, ``[a-z]``, ``[^a-z]``, and a backslash before each.

It must not know keys.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

__all__ = ["glob"]

_part = re.compile(rb"\\(.)|\[(\^?)((?:\\.|[^\]\\])*)(?:\]|\Z)|([*?])|(.)", re.DOTALL)
_range = re.compile(rb"(\\?.)-(\\?.)|\\?(.)", re.DOTALL)


@lru_cache(maxsize=64)
def glob(pattern: bytes) -> Callable[[bytes], object]:
    """Return a function that says whether bytes match ``pattern``, all of them.

    Its time grows with the length of pattern times bytes, whatever they are: what a star is followed by
    is looked for once, in an atomic group, and never again farther on.
    """
    if pattern == b"*":
        return _anything
    parts, *after_stars = _split(pattern)
    expression = b"".join(parts)
    for parts in after_stars[:-1]:
        if parts:
            expression += b"(?>.*?" + b"".join(parts) + b")"
    if after_stars:
        expression += b".*" + b"".join(after_stars[-1])
    return re.compile(expression, re.DOTALL).fullmatch


def _anything(key: bytes) -> bool:
    return True


def _split(pattern: bytes) -> list[list[bytes]]:
    """Return the pattern as expressions for one byte each, in a list for each piece between stars."""
    pieces: list[list[bytes]] = [[]]
    for escaped, negated, several, wildcard, byte in _part.findall(pattern):
        if wildcard == b"*":
            pieces.append([])
        elif wildcard:
            pieces[-1].append(b".")
        elif escaped or byte:
            pieces[-1].append(re.escape(escaped or byte))
        else:
            pieces[-1].append(_one_of(several, negated))
    return pieces


def _one_of(several: bytes, negated: bytes) -> bytes:
    chosen: set[int] = set()
    for first, last, single in _range.findall(several):
        if single:
            chosen.add(single[0])
        else:
            low, high = sorted((first[-1], last[-1]))
            chosen.update(range(low, high + 1))
    if negated:
        chosen = set(range(256)) - chosen
    return b"[" + b"".join(b"\\x%02x" % byte for byte in sorted(chosen)) + b"]" if chosen else b"(?!)"
