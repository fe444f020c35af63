"""What distributions declare in their ``entry_points.txt``, read without importlib.metadata.

That one takes 10 ms to be imported and parses the metadata of everything that is installed; we want a few
lines of a few files.  It must never import what it reads of.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator

from taphouse.names import is_importable_name
from taphouse.plugins.declaration import MAKERS_GROUP, Declaration
from taphouse.plugins.places import search_folders
from taphouse.plugins.reading import read_start

__all__ = ["declared_in", "declares_entry_point", "distribution_key"]

_SUFFIXES = (".dist-info", ".egg-info")
_MOST_BYTES = 1 << 20
_VALUE = re.compile(r"(?P<module>[\w.]+)\s*(?::\s*(?P<attribute>[\w.]+)\s*)?(?:\[.*\])?")


def distribution_key(name: str) -> str:
    """Return what tells a distribution from others, ``""`` if a folder called ``name`` describes none.

    Of two folders with one key Python uses the one that comes first on the path.
    """
    stem, suffix = os.path.splitext(name)
    # What begins with ~ is what pip left behind when it was interrupted.
    if suffix not in _SUFFIXES or stem.startswith("~"):
        return ""
    return re.sub(r"[-_.]+", "_", stem.partition("-")[0]).lower()


def declared_in(folder: str, info: str) -> Iterator[Declaration]:
    """Yield the makers that the distribution described by ``folder/info`` declares.

    Args:
        folder: a folder on ``sys.path``.
        info: the name of a ``.dist-info`` or ``.egg-info`` folder in it.
    """
    content = read_start(os.path.join(folder, info, "entry_points.txt"), _MOST_BYTES) or b""
    if MAKERS_GROUP.encode() not in content:
        return
    stem = os.path.splitext(info)[0]
    distribution, _, rest = stem.partition("-")
    version = re.sub(r"-py\d.*", "", rest)
    origin = f"{distribution} {version}".strip()
    for group, name, value in _points(content):
        if group == MAKERS_GROUP:
            yield _declaration(name, value, origin, distribution)


def _declaration(name: str, value: str, origin: str, distribution: str) -> Declaration:
    match = _VALUE.fullmatch(value)
    module = match["module"] if match else ""
    attribute = (match["attribute"] or "") if match else ""
    if not is_importable_name(module) or (attribute and not is_importable_name(attribute)):
        return Declaration(
            name,
            "",
            origin,
            distribution=distribution,
            fault=f"its entry point says {value!r:.100}, which is neither MODULE nor MODULE:OBJECT",
        )
    return Declaration(name, module, origin, attribute=attribute, distribution=distribution)


def declares_entry_point(top: str) -> bool:
    """Say whether a distribution with a ``taphouse.*`` entry point brings the top-level module ``top``."""
    seen = set()
    for folder in search_folders():
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            continue
        for info in names:
            key = distribution_key(info)
            if not key or key in seen:
                continue
            seen.add(key)
            path = os.path.join(folder, info)
            content = read_start(os.path.join(path, "entry_points.txt"), _MOST_BYTES) or b""
            if b"[taphouse" not in content:
                continue
            values = [value for group, _, value in _points(content) if group.partition(".")[0] == "taphouse"]
            if values and top in _top_levels(path, values):
                return True
    return False


def _points(content: bytes) -> Iterator[tuple[str, str, str]]:
    """Yield group, name and value of each entry point in the text of an ``entry_points.txt``."""
    group = ""
    for line in content.decode("utf-8", "replace").splitlines():
        line = line.strip()
        if line.startswith("[") and line.endswith("]"):
            group = line[1:-1].strip()
        elif line and line[0] not in "#;" and group:
            name, equals, value = line.partition("=")
            if equals:
                yield group, name.strip(), value.strip()


def _top_levels(info: str, values: Iterable[str]) -> set[str]:
    """Return the top-level modules that the distribution described by ``info`` brings."""
    names = {value.partition(":")[0].partition(".")[0].strip() for value in values}
    listed = read_start(os.path.join(info, "top_level.txt"), _MOST_BYTES) or b""
    names.update(listed.decode("utf-8", "replace").split())
    record = read_start(os.path.join(info, "RECORD"), 16 * _MOST_BYTES) or b""
    for line in record.decode("utf-8", "replace").splitlines():
        first, slash, _ = line.partition(",")[0].lstrip('"').partition("/")
        names.add(first if slash else first.removesuffix(".py"))
    return names
