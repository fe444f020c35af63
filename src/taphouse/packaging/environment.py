"""Environment: what is installed where Python imports from, and what needs what.

From the metadata that pip has left.  This module must never import what it
finds, nor copy it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import Distribution
from typing import Any
from urllib.parse import unquote, urlsplit

from taphouse.errors import ConfigurationError
from taphouse.packaging.markers import counts, marker_values, normal_name, parse_requirement

__all__ = ["Environment", "is_editable"]


class Environment:
    """The distributions on a path.

    Args:
        path: folders, ``sys.path`` if not given; of two with one name the first counts.
    """

    def __init__(self, path: Sequence[str] | None = None) -> None:
        self._found: dict[str, Distribution] = {}
        self._owners: dict[str, list[str]] = {}
        for found in Distribution.discover(path=list(sys.path if path is None else path)):
            name = found.metadata["Name"]
            if name:  # a folder that pip was interrupted in has none
                self._found.setdefault(normal_name(name), found)

    def get(self, name: str) -> Distribution:
        """Return the distribution called ``name``, however it is spelled.

        Raises:
            ConfigurationError: it is not installed.
        """
        found = self._found.get(normal_name(name))
        if found is None:
            raise ConfigurationError(f"{name} is not installed", cure=f"install it: pip install {name}")
        return found

    def owners_of(self, module: str) -> list[str]:
        """Return the names of the distributions that bring the top-level module of ``module``, sorted.

        Several may bring parts of one namespace; none does for a module of Python itself and for code
        that was never installed.
        """
        if not self._owners:
            for name, found in self._found.items():
                for top in set(_top_levels(found)):
                    self._owners.setdefault(top, []).append(name)
        return sorted(self._owners.get(module.partition(".")[0], ()))

    def editable_folders(self) -> dict[str, str]:
        """Return distributions that are only pointers to where their code is written, with that folder."""
        found = {}
        for name, distribution in sorted(self._found.items()):
            if is_editable(distribution):
                url = _direct_url(distribution).get("url")
                path = unquote(urlsplit(url).path) if isinstance(url, str) else ""
                if path.strip("/"):
                    found[name] = os.path.realpath(path)
        return found

    def closure(self, names: Iterable[str]) -> list[Distribution]:
        """Return distributions and all that they need here, sorted by name.

        Args:
            names: ``uvicorn`` or, with extras, ``uvicorn[standard]``.

        Raises:
            ConfigurationError: something that is needed is not installed.
        """
        values = marker_values()
        done: set[tuple[str, str]] = set()
        waiting = [(parse_requirement(name), "") for name in names]
        while waiting:
            wanted, user = waiting.pop()
            key = normal_name(wanted.name)
            if key not in self._found:
                who = f"{user} needs {wanted.name}, which" if user else wanted.name
                raise ConfigurationError(
                    f"{who} is not installed", cure=f"install it: pip install {wanted.name}"
                )
            requires = self._found[key].requires or []
            for extra in ("", *sorted(wanted.extras)):
                if (key, extra) in done:
                    continue
                done.add((key, extra))
                needs = [parse_requirement(line) for line in requires]
                waiting += [(need, key) for need in needs if counts(need.marker, extra, values)]
        return [self._found[key] for key in sorted({key for key, _ in done})]


def is_editable(found: Distribution) -> bool:
    """Say whether a distribution is only a pointer to where its code is written."""
    told = _direct_url(found).get("dir_info")
    if isinstance(told, dict) and told.get("editable"):
        return True
    return any(file.name.startswith("__editable__") for file in found.files or ())


def _direct_url(found: Distribution) -> dict[str, Any]:
    """Return what pip has noted of where it was told to find a distribution, direct_url.json of PEP 610."""
    try:
        told = json.loads(found.read_text("direct_url.json") or "{}")
    except ValueError:
        return {}  # not ours to judge; the list of files tells the rest
    return told if isinstance(told, dict) else {}


def _top_levels(found: Distribution) -> Iterator[str]:
    for file in found.files or ():
        top = file.parts[0]
        if top in {"..", "/", "__pycache__"} or top.endswith((".dist-info", ".egg-info", ".pth")):
            continue
        yield top.partition(".")[0]
