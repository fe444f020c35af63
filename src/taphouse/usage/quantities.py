"""Quantities: spans of time and numbers of bytes, as people write them.

Pure text and numbers; this module must never know what is measured.
"""

from __future__ import annotations

import math
import re

__all__ = ["duration_s", "duration_text", "size_bytes", "size_text"]

_DURATION_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE_UNITS = {
    "": 1, "b": 1, "k": 1000, "kb": 1000, "kib": 1 << 10, "m": 10**6, "mb": 10**6, "mib": 1 << 20,
    "g": 10**9, "gb": 10**9, "gib": 1 << 30, "t": 10**12, "tb": 10**12, "tib": 1 << 40,
}  # fmt: skip
_PAIR = re.compile(r"\s*(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+)\s*([A-Za-z]*)\s*", re.ASCII)


def duration_s(text: str) -> float:
    """Return the seconds that ``5s``, ``2h``, ``1h30m``, ``150ms`` or a bare number mean.

    Raises:
        ValueError: if it is no span of time; the message is a phrase for an error line.
    """
    parts = _parts(text)
    known = all(unit in _DURATION_UNITS for _, unit in parts) or (len(parts) == 1 and not parts[0][1])
    if not parts or not known:
        raise ValueError(f"{text!r:.80} is no duration such as 30s, 5m or 2h")
    return math.fsum(number * _DURATION_UNITS.get(unit, 1.0) for number, unit in parts)


def duration_text(seconds: float) -> str:
    """Return the shortest of our spellings that means exactly ``seconds``."""
    if seconds == int(seconds):
        for unit in ("d", "h", "m"):
            count, rest = divmod(int(seconds), int(_DURATION_UNITS[unit]))
            if count and not rest and duration_s(f"{count}{unit}") == seconds:
                return f"{count}{unit}"
        return f"{int(seconds)}s"
    return f"{seconds!r}s"


def size_bytes(text: str) -> int:
    """Return the bytes that ``10MiB``, ``500k`` or a bare number mean.

    Raises:
        ValueError: if it is no size; the message is a phrase for an error line.
    """
    parts = _parts(text)
    if len(parts) != 1 or parts[0][1].lower() not in _SIZE_UNITS:
        raise ValueError(f"{text!r:.80} is no size such as 64k, 10MiB or 1GB")
    number, unit = parts[0]
    digits = text.strip()[
        : -len(unit) or None
    ].strip()  # more digits than a float holds are no reason to lose one
    scale = _SIZE_UNITS[unit.lower()]
    return int(digits) * scale if digits.isdecimal() else int(number * scale)


def size_text(size: int) -> str:
    """Return the shortest of our spellings that means exactly ``size`` bytes."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        count, rest = divmod(size, _SIZE_UNITS[unit.lower()])
        if count and not rest:
            return f"{count}{unit}"
    return str(size)


def _parts(text: str) -> list[tuple[float, str]]:
    """Split ``1h30m`` into numbers with their units; nothing if it is not made of such pairs alone."""
    found = []
    at = 0
    while at < len(text):
        match = _PAIR.match(text, at)
        if match is None or not math.isfinite(float(match[1])):
            return []
        found.append((float(match[1]), match[2]))
        at = match.end()
    return found
