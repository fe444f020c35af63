"""Help: what ``--help`` prints, made of what is declared.

It must never know click, or a value.
"""

from __future__ import annotations

import os
import textwrap

from taphouse.usage.declaring import SubCommand
from taphouse.usage.fields import Field
from taphouse.usage.schema import HELP_FLAGS, Schema, schema_of
from taphouse.usage.variables import variable_name

__all__ = ["about", "help_text", "summary_of", "synopsis"]


def summary_of(sub: SubCommand) -> str:
    """Return the line of a sub-command in a list."""
    return sub.help or schema_of(sub.options).summary


def synopsis(schema: Schema, prog: str) -> str:
    """Return how the command is written, ``mktap quotes --file FILE [options]``."""
    words = [prog]
    words += [f"{field.long[0]} {field.metavar}".strip() for field in schema.options if field.is_required]
    words.append("[options]")
    for field in schema.arguments:
        word = f"{field.metavar}..." if field.repeat else field.metavar
        words.append(word if field.is_required else f"[{word}]")
    if schema.commands:
        words.append("[COMMAND ...]")
    return " ".join(words)


def help_text(schema: Schema, prog: str, prefix: str) -> str:
    """Return the help of a command, as wide as ``$COLUMNS`` says.

    Args:
        schema: what it takes.
        prog: how it begins.
        prefix: what its environment variables begin with.
    """
    width = _width()
    parts = [_filled(f"usage: {synopsis(schema, prog)}", width, "       ")]
    if schema.summary:
        parts.append(_filled(schema.summary, width))
    if schema.description:
        parts.append("\n\n".join(_paragraph(text, width) for text in schema.description.split("\n\n")))
    if schema.arguments:
        rows = [(field.metavar, about(field, variable_name(prefix, field))) for field in schema.arguments]
        parts.append(_table("arguments", rows, width))
    rows = [
        (_spelling(field), about(field, variable_name(prefix, field)))
        for field in schema.options
        if not field.hidden
    ]
    for field in schema.options:
        if field.is_secret and not field.hidden:
            place = rows.index((_spelling(field), about(field, variable_name(prefix, field)))) + 1
            rows[place:place] = [
                (f"    {field.long[0]}-file FILE", "the same, read from FILE whenever it is needed"),
                (f"    {field.long[0]}-credential NAME", "the same, a credential of the service manager"),
            ]
    help_is_short = not any("-h" in field.short for field in schema.options)
    rows.append((", ".join(HELP_FLAGS) if help_is_short else "    --help", "show this help and exit"))
    parts.append(_table("options", rows, width))
    if schema.commands:
        rows = [(word, summary_of(sub)) for word, sub in schema.commands.items()]
        parts.append(_table("commands", rows, width))
    if schema.examples:
        parts.append("\n".join(["examples:", *(f"  {line}" for line in schema.examples)]))
    return "\n\n".join(parts)


def _width() -> int:
    columns = os.environ.get("COLUMNS", "")
    return max(40, int(columns) if columns.isdecimal() and len(columns) < 5 else 80) - 2


def _filled(text: str, width: int, indent: str = "") -> str:
    return textwrap.fill(
        text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _paragraph(text: str, width: int) -> str:
    """Return one paragraph of a docstring; one whose lines are indented stays as it is."""
    if any(line.startswith((" ", "\t")) for line in text.splitlines()):
        return text
    return _filled(" ".join(text.split()), width)


def _spelling(field: Field) -> str:
    short = ", ".join((*field.short, "")) if field.short else "    "
    long = ", ".join(field.long)
    if field.is_flag:
        return f"{short}{long}, {', '.join(field.opposites)}"
    return f"{short}{long} {field.metavar}".rstrip()


def about(field: Field, variable: str) -> str:
    """Return what help says of a field: its help, constraints, default, and environment variable."""
    remarks = []
    if field.kind.choices and "|" not in field.metavar:
        remarks.append(f"one of {', '.join(field.kind.choices)}")
    if field.limits.words():
        remarks.append(field.limits.words())
    if field.repeat:
        remarks.append(
            "may be repeated" if not field.positional else "one or more" if field.is_required else ""
        )
    if field.is_secret:
        remarks.append("asks for it")
    if field.is_required:
        remarks.append("required")
    elif field.default is not None and not (field.is_count and not field.default):
        remarks.append(f"default: {_default(field)}")
    remarks.append(f"${variable}")
    told = "; ".join(remark for remark in remarks if remark)
    return f"{field.help} ({told})" if field.help else told


def _default(field: Field) -> str:
    if field.repeat:
        return ", ".join(str(item) for item in field.default) or "none"
    if isinstance(field.default, str):  # as its author wrote it: 30s, fortunes
        return field.default or '""'
    return field.text(field.default)


def _table(title: str, rows: list[tuple[str, str]], width: int) -> str:
    """Return rows in two columns; a left side that is too long has its right side below it."""
    column = min(max(len(left) for left, _ in rows) + 4, 30, width // 2)
    lines = [f"{title}:"]
    for left, right in rows:
        wrapped = textwrap.wrap(
            right, max(width - column, 20), break_long_words=False, break_on_hyphens=False
        )
        first = f"  {left}"
        if len(first) + 2 > column:
            lines.append(first)
        else:
            lines.append((first.ljust(column) + (wrapped.pop(0) if wrapped else "")).rstrip())
        lines += [" " * column + text for text in wrapped]
    return "\n".join(lines)
