"""What an update did, or would do, in lines that an operator reads before the server starts again.

Values are shown shortly, and none of the application's code runs to show them.
This module must never decide anything.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

from taphouse.cli.output import one_line
from taphouse.value import Value

__all__ = ["CHANGED", "CONFLICT", "KEPT", "Finding", "Report", "shorten"]

CHANGED: Final = "changed"
KEPT: Final = "kept"
CONFLICT: Final = "conflict"
_HEADINGS: Final = {
    CHANGED: ("changes", "would change"),
    KEPT: ("keeps what changed while it ran", "would keep what changed while it ran"),
    CONFLICT: (
        "keeps, though the new build has another value",
        "would keep, though the new build has another value",
    ),
}
_ENTRIES: Final = 5
_TEXT: Final = 60
_DEPTH: Final = 3


class Finding(Value):
    """One line of a report.

    Args:
        kind: `CHANGED`, `KEPT` or `CONFLICT`.
        what: an option, a label, or a label and an attribute.
        text: what is with it.
    """

    kind: str
    what: str
    text: str

    def line(self) -> str:
        """Return it as a line of its own, for a log."""
        return one_line(f"{_HEADINGS[self.kind][0]}: {self.what}: {self.text}")


class Report(Value):
    """The outcome of an update.

    Args:
        path: of the tap.
        findings: what changed, what was kept, and where both sides changed.
        notes: what else is to be known.
        is_rehearsal: nothing was written.
        kept_as: where the tap is as it was before, or ``""``.
        is_written: the tap was made anew; not if there was nothing to change.
    """

    path: str
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    is_rehearsal: bool = False
    kept_as: str = ""
    is_written: bool = False

    def of(self, kind: str) -> list[Finding]:
        """Return the findings of one kind."""
        return [found for found in self.findings if found.kind == kind]

    def lines(self) -> Iterator[str]:
        """Yield the report, line by line."""
        for kind, headings in _HEADINGS.items():
            found = self.of(kind)
            if found:
                yield f"{headings[self.is_rehearsal]}:"
            yield from ("  " + one_line(f"{entry.what}: {entry.text}") for entry in found)
        yield from (one_line(note) for note in self.notes)
        if self.is_rehearsal:
            yield one_line(f"{self.path}: nothing was written (--dry-run)")
        elif not self.is_written:
            yield one_line(f"{self.path}: nothing to change, nothing was written")
        elif self.kept_as:
            yield one_line(f"{self.path}: updated; as it was before it is kept as {self.kept_as}")
        else:
            yield one_line(f"{self.path}: updated")


def shorten(value: Any) -> str:
    """Return a durable value in few words: some entries of a container, a class for an object."""
    text = one_line(_short(value, 0))
    return text if len(text) <= _TEXT else text[: _TEXT - 3] + "..."


def _short(value: Any, depth: int) -> str:
    if isinstance(value, str):
        return repr(str.__getitem__(value, slice(_TEXT)))
    if isinstance(value, (bytes, bytearray)):
        return repr(bytes(value[:_TEXT]))
    if isinstance(value, int) and type(value) in (int, bool):
        return str(value) if value.bit_length() <= 4096 else f"a number of {value.bit_length()} bits"
    if value is None or type(value) in (float, complex):
        return repr(value)
    if depth >= _DEPTH:
        return "..."
    if isinstance(value, Mapping):
        pairs = (f"{_short(key, depth + 1)}: {_short(part, depth + 1)}" for key, part in value.items())
        return _some("{", pairs, len(value), "}")
    if isinstance(value, (set, frozenset)):
        shown = sorted(_short(part, depth + 1) for part in islice(value, 1000))
        return _some("{", shown, len(value), "}") if value else "an empty set"
    if isinstance(value, tuple):
        return _some("(", (_short(part, depth + 1) for part in tuple.__iter__(value)), len(value), ")")
    if isinstance(value, (list, deque)):
        return _some("[", (_short(part, depth + 1) for part in value), len(value), "]")
    if isinstance(value, enum.Enum):
        return f"{type(value).__qualname__}.{value._name_}"
    if isinstance(value, type) or type(value).__module__ in _PLAIN_MODULES:
        return getattr(value, "__name__", "") or str(value)
    return f"a {type(value).__qualname__}"


_PLAIN_MODULES: Final = {
    "datetime",
    "decimal",
    "fractions",
    "uuid",
    "pathlib",
    "ipaddress",
    "zoneinfo",
    "builtins",
}
"""Classes of Python's own whose ``str()`` says it."""


def _some(opening: str, parts: Iterable[str], count: int, closing: str) -> str:
    shown = list(islice(parts, _ENTRIES))
    if count > len(shown):
        shown.append(f"... {count - len(shown)} more")
    return opening + ", ".join(shown) + closing
