"""Status for people and for programs.

Knows no field by heart but the first ones: the law of names (``_s`` are seconds,
``_bytes`` are bytes) is enough to show the others.  This module must never ask
a server.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence

__all__ = ["format_list", "format_status", "to_json"]

_TITLE = ("name", "pid", "since", "uptime_s", "version")
_STEPS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def to_json(value: object) -> str:
    """Return ``value`` as JSON text with two blanks of indentation, the same for the same value."""
    return json.dumps(value, indent=2, default=str)


def format_status(status: Mapping[str, object]) -> str:
    """Return a server's status as text: a title line, then a line a fact.

    Args:
        status: what the ``status`` verb gave.
    """
    title = f"{status.get('name', '?')}: {status.get('state', 'running')}, PID {status.get('pid', '?')}"
    since = status.get("since")
    if isinstance(since, (int, float)):
        title += time.strftime(", since %Y-%m-%d %H:%M:%S", time.localtime(since))
    if "uptime_s" in status:
        title += f" ({_shown('uptime_s', status['uptime_s'])})"
    if status.get("version"):
        title += f", taphouse {status['version']}"
    facts = {
        _label(name): _shown(name, value)
        for name, value in status.items()
        if name not in (*_TITLE, "state") and value not in ("", None, [], {})
    }
    width = max(map(len, facts), default=0)
    return "\n".join([_safe(title), *(f"  {label:<{width}}  {_safe(text)}" for label, text in facts.items())])


def format_list(rows: Sequence[Mapping[str, object]]) -> str:
    """Return one line a server: name, PID, how long, and its tap.

    Args:
        rows: statuses; one that could not be had carries ``error`` instead.
    """
    if not rows:
        return "no server of this user is running"
    table = [("NAME", "PID", "UP", "TAP")]
    for row in rows:
        up = f"({row['error']})" if "error" in row else _shown("uptime_s", row.get("uptime_s", ""))
        where = row.get("tap") or row.get("rundir") or ""
        table.append((str(row.get("name", "?")), str(row.get("pid", "?")), up, str(where)))
    widths = [max(len(line[column]) for line in table) for column in range(3)]
    return "\n".join(
        _safe(
            "  ".join(
                [*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[3]]
            ).rstrip()
        )
        for line in table
    )


def _label(name: str) -> str:
    for suffix in ("_s", "_bytes"):
        name = name.removesuffix(suffix)
    return name.replace("_", " ")


def _shown(name: str, value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{_label(key)} {_shown(key, inner)}" for key, inner in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_shown(name, inner) for inner in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        if name.endswith("_s"):
            return _duration(value)
        if name.endswith("_bytes"):
            return _size(value)
        return f"{value:g}" if isinstance(value, float) else str(value)
    return str(value)


def _duration(seconds: float) -> str:
    """``2 h 13 min``, ``4.2 s``, ``1.3 ms``: two units at most."""
    if seconds < 1:
        return "0 s" if not seconds else f"{seconds * 1000:.3g} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    parts, left = [], round(seconds)
    for size, unit in _STEPS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
        if len(parts) == 2 or (parts and not left):
            break
    return " ".join(parts)


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < 1024:
            return f"{count:.4g} {unit}"
        count /= 1024
    return f"{count:.4g} TiB"


def _safe(text: str) -> str:
    """A server's words must not drive the terminal of who asks."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
