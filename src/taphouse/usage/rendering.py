"""Rendering: options as the words, the variables and the table that mean them.

It must never show a secret.
"""

from __future__ import annotations

from typing import Any

from taphouse.usage.fields import Field
from taphouse.usage.schema import schema_of
from taphouse.usage.sources import Parsed
from taphouse.usage.variables import command_prefix, variable_name, variable_prefix

__all__ = ["print_config", "to_argv", "to_environment"]


def to_argv(options: Any) -> list[str]:
    """Return the words that mean ``options``: all of them, except what only a default or a prompt can say.

    Left out are None, and secrets that were typed; see `to_plan` for what they leave there.
    """
    schema = schema_of(type(options))
    words = [word for field in schema.options for word in _words(field, getattr(options, field.name))]
    arguments: list[str] = []
    for field in schema.arguments:
        value = getattr(options, field.name)
        if value is not None:
            arguments += (
                [field.kind.text(item) for item in value] if field.repeat else [field.kind.text(value)]
            )
    if any(word.startswith("-") for word in arguments):
        words.append("--")
    words += arguments
    if schema.commands and options.sub_command is not None:
        words += [options.sub_command, *to_argv(options.sub_options)]
    return words


def _words(field: Field, value: Any) -> list[str]:
    flag = field.long[0]
    if value is None:
        return []
    if field.is_secret:
        return [] if value.kind == "tap" else [f"{flag}-{value.kind}={value.name}"]
    if field.is_flag:
        return [flag if value else field.opposites[0]]
    if field.is_count:
        return [flag] * value or [field.opposites[0]]
    if field.repeat:
        return [f"{flag}={field.kind.text(item)}" for item in value] or [field.opposites[0]]
    return [f"{flag}={field.kind.text(value)}"]


def to_environment(options: Any, name: str) -> dict[str, str]:
    """Return the variables that mean ``options``: without None, secrets, and the choice of a command."""
    return _variables(options, variable_prefix(name))


def _variables(options: Any, prefix: str) -> dict[str, str]:
    schema = schema_of(type(options))
    found = {
        variable_name(prefix, field): field.variable(getattr(options, field.name))
        for field in schema.fields.values()
        if getattr(options, field.name) is not None and not field.is_secret
    }
    if schema.commands and options.sub_command is not None:
        found.update(_variables(options.sub_options, command_prefix(prefix, options.sub_command)))
    return found


def print_config(parsed: Parsed[Any]) -> str:
    """Return the table of each option, its value and where that came from; secrets are masked."""
    rows = _rows(parsed.options, parsed, "")
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    return "\n".join(
        f"{name:{widths[0]}}  {value:{widths[1]}}  {source}".rstrip() for name, value, source in rows
    )


def _rows(options: Any, parsed: Parsed[Any], above: str) -> list[tuple[str, str, str]]:
    schema = schema_of(type(options))
    rows = [
        (above + name, _shown(field, getattr(options, name)), str(parsed.sources[above + name]))
        for name, field in schema.fields.items()
    ]
    if schema.commands and options.sub_command is not None:
        word = options.sub_command
        rows.append((f"{above}sub_command", word, str(parsed.sources[f"{above}sub_command"])))
        rows += _rows(options.sub_options, parsed, f"{above}{word}.")
    return rows


def _shown(field: Field, value: Any) -> str:
    if value is None or (field.repeat and not value):
        return "-"
    text = field.text(value)
    return text if text.isprintable() and text == text.strip() and text else repr(text)
