"""TOML: the configuration files, read by the standard library, written by the few lines it has none for.

It must never know what the keys mean.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from typing import Any

from taphouse.errors import UsageError
from taphouse.usage.kinds import named

__all__ = ["read_toml", "write_toml"]

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_PLACE = re.compile(r"(.*) \((?:at (line \d+, column \d+)|at end of document)\)", re.DOTALL)


def read_toml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what a TOML file holds.

    Raises:
        UsageError: if it cannot be read, or is no TOML; with line and column.
    """
    import tomllib

    name = os.fspath(path)
    try:
        with open(name, "rb") as file:
            data = file.read()
    except OSError as error:
        raise UsageError(f"{named(name)}: {error.strerror}") from None
    try:
        return tomllib.loads(data.decode())
    except UnicodeDecodeError as error:
        raise UsageError(f"{named(name)}: {_place(data[: error.start])}: no text in UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        match = _PLACE.fullmatch(str(error))
        what, where = match.groups() if match else (str(error), "")
        raise UsageError(f"{named(name)}: {where or _place(data)}: {what}".replace("\n", " ")) from None
    except RecursionError:
        raise UsageError(f"{named(name)}: nested too deep") from None


def _place(before: bytes) -> str:
    """Return where something is that has ``before`` before it."""
    line, column = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
    return f"line {line}, column {column}"


def write_toml(mapping: Mapping[str, Any]) -> str:
    """Return ``mapping`` as TOML: in its order, tables after values; what is None is left out."""
    lines: list[str] = []
    _write_table(mapping, (), lines)
    return "\n".join(lines) + "\n" if lines else ""


def _write_table(table: Mapping[str, Any], path: tuple[str, ...], lines: list[str]) -> None:
    inner = {key: value for key, value in table.items() if isinstance(value, Mapping)}
    own = {key: value for key, value in table.items() if key not in inner and value is not None}
    if path and (own or not inner):
        lines += [*([""] if lines else []), f"[{'.'.join(_key(part) for part in path)}]"]
    lines += [f"{_key(key)} = {_value(value)}" for key, value in own.items()]
    for key, value in inner.items():
        _write_table(value, (*path, key), lines)


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _string(key)


def _string(text: str) -> str:
    # TOML's escapes are JSON's, but for the letter DEL and surrogates, which only JSON pairs.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        text = repr(value) if math.isfinite(value) else str(value)
        return text if any(mark in text for mark in ".en") else f"{text}.0"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items() if v is not None) + " }"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(item) for item in value)}]"
    raise TypeError(f"TOML has no {type(value).__name__}")
