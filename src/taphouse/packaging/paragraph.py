"""Paragraph: fields of a Debian control file, deb822(5).

A value may have further lines; each begins with a space, an empty one is a dot.
This module must never know what a field means.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

__all__ = ["continued", "format_paragraph", "one_line", "split_paragraphs"]

_FIELD: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_UNPRINTABLE: Final = re.compile(
    # Control characters, separators of lines, marks that turn the direction of text, halves of pairs.
    r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]+"
)


def format_paragraph(fields: Mapping[str, str]) -> str:
    """Return fields as text, in their order; those without value are left out.

    Raises:
        ValueError: a name or a value would be read as something else.
    """
    lines = []
    for name, value in fields.items():
        if not _FIELD.fullmatch(name):
            raise ValueError(f"{name!r} cannot name a field")
        if not value.strip():
            continue
        first, *more = value.split("\n")
        if any(not line.startswith(" ") or not line.strip() for line in more):
            raise ValueError(f"a further line of {name} has no space before it, or is empty: {value!r:.200}")
        if any(_UNPRINTABLE.search(line.replace("\t", " ")) for line in (first, *more)):
            raise ValueError(f"{name} has control characters: {value!r:.200}")
        lines.append(f"{name}: {first}".rstrip())
        lines += [line.rstrip() for line in more]
    return "".join(f"{line}\n" for line in lines)


def one_line(text: str) -> str:
    """Return ``text`` on one line, without what no terminal should be sent."""
    return " ".join(_UNPRINTABLE.sub(" ", text).split())


def split_paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a text, which empty lines separate, each on one line and none empty."""
    paragraphs = [one_line(part) for part in re.split(r"\n[ \t]*\n", text)]
    return [paragraph for paragraph in paragraphs if paragraph]


def continued(text: str) -> str:
    """Return a text of several lines as further lines of a field: each begins with a space, none is empty."""
    lines = [_UNPRINTABLE.sub(" ", line.expandtabs()).rstrip() for line in text.strip("\n").splitlines()]
    return "\n".join(f" {line}" if line.strip() else " ." for line in lines)
