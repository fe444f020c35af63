"""What `mktap` alone says: the types of servers there are, one line each.

It must never import a maker.
"""

from __future__ import annotations

from collections.abc import Iterator

from taphouse.cli.output import one_line
from taphouse.plugins import MakerEntry, Makers

__all__ = ["describe_types"]


def describe_types(makers: Makers) -> Iterator[str]:
    """Yield the lines of the list.

    Args:
        makers: what was found.
    """
    working = [entry for entry in makers if not entry.problem]
    width = max((len(entry.name) for entry in working), default=0)
    yield "usage: mktap [options] TYPE [options of the type]"
    for title, entries in (
        ("built in", [entry for entry in working if _is_ours(entry)]),
        ("installed", [entry for entry in working if not _is_ours(entry)]),
    ):
        if entries:
            yield ""
            yield f"types of servers, {title}:"
        for entry in entries:
            origin = "" if _is_ours(entry) else f" ({entry.origin})"
            said = entry.description or "says nothing of itself"
            yield "  " + one_line(f"{entry.name:<{width}}  {said}{origin}")
    if makers.problems or makers.duplicates:
        yield ""
        yield "not usable:"
        for line in (*makers.problems, *makers.duplicates):
            yield f"  {one_line(line)}"
    yield ""
    yield "mktap TYPE --help shows the options of a type, mktap --help those of mktap."


def _is_ours(entry: MakerEntry) -> bool:
    return entry.distribution == "taphouse"
