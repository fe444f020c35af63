"""Modules that say by a line in their file that they make a server.

``# taphouse-maker: NAME - description`` among the first lines of ``quotes.py``
or of ``quotes/__init__.py``.  It must never import or compile what it reads.
"""

from __future__ import annotations

import itertools
import os
import re
import sys
from collections.abc import Iterable, Iterator

from taphouse.plugins.declaration import Declaration, is_type_name
from taphouse.plugins.places import why_refused
from taphouse.plugins.reading import read_start

__all__ = ["MOST_NAMES", "dropped_in", "has_marker", "names_in"]

MOST_NAMES = 20_000
"""A folder with more names than that is a store of something; it would cost seconds to look through."""

_HEAD_BYTES = 4096
_HEAD_LINES = 20
_WORD = b"taphouse-maker:"
_LINE = re.compile(r"#\s*taphouse-maker:\s*(?P<name>\S*)\s*(?:[-:\u2013\u2014]\s*(?P<said>.*))?")


def names_in(folder: str) -> list[str]:
    """Return the names in ``folder`` in order, `MOST_NAMES` and one more at most.

    Raises:
        OSError: it cannot be read.
    """
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in itertools.islice(entries, MOST_NAMES + 1))


def dropped_in(folder: str, names: Iterable[str], problems: list[str]) -> Iterator[Declaration]:
    """Yield the makers among the modules ``names`` of ``folder``.

    Args:
        folder: a folder on ``sys.path``, or the user's own for makers.
        names: what lies in it.
        problems: gets a line for each file that names no maker and should.
    """
    for name in names:
        if name.startswith(".") or name.endswith((".dist-info", ".egg-info")):
            continue
        if name.endswith(".py"):
            module, path = name.removesuffix(".py"), os.path.join(folder, name)
        elif "." not in name and name != "__pycache__":
            module, path = name, os.path.join(folder, name, "__init__.py")
        else:
            continue
        try:
            line = _marker_line(path)
        except OSError as error:
            problems.append(f"{path}: cannot be read: {error.strerror}")
            continue
        if line:
            declaration = _declaration(line, module, path, folder, problems)
            if declaration is not None:
                yield declaration


def has_marker(path: str) -> bool:
    """Say whether the module in the file ``path`` declares itself a maker."""
    try:
        return bool(_marker_line(path))
    except OSError:
        return False


def _marker_line(path: str) -> str:
    """Return the marker line of the file ``path``, ``""`` if it has none.

    Raises:
        OSError: it cannot be read.
    """
    head = read_start(path, _HEAD_BYTES)
    if not head or _WORD not in head:
        return ""
    for line in head.decode("utf-8", "replace").splitlines()[:_HEAD_LINES]:
        if line.startswith("#") and line.lstrip("# \t").startswith(_WORD.decode()):
            return line.strip()
    return ""


def _declaration(line: str, module: str, path: str, folder: str, problems: list[str]) -> Declaration | None:
    match = _LINE.fullmatch(line)
    name = match["name"] if match else ""
    if match is None or not is_type_name(name):
        problems.append(
            f"{path}: its marker line names no server type; write '# taphouse-maker: NAME - description'"
        )
        return None
    if not module.isidentifier():
        fault = f"{module!r:.100} is no name that Python can import; rename it, such as {_identifier(module)}"
    elif module in sys.stdlib_module_names:
        fault = f"module {module} is Python's own; rename it"
    else:
        fault = why_refused(path)
    return Declaration(
        name, module, path, file=path, folder=folder, said=(match["said"] or "").strip(), fault=fault
    )


def _identifier(text: str) -> str:
    made = re.sub(r"\W", "_", text)
    return made if made.isidentifier() else f"_{made}"
