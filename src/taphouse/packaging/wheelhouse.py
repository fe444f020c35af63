"""Wheelhouse: folders of wheels, and which of them is taken.

A wheel that a requirements file allows is known by its sum; of several that fit,
the most specific one is taken, as an installer does.  This module must never look
into a wheel that is not taken.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Final

from taphouse.errors import ConfigurationError
from taphouse.packaging.markers import normal_name
from taphouse.packaging.requirements import Locked
from taphouse.packaging.target import Target
from taphouse.packaging.wheelfile import WheelName, parse_wheel_name, wheel_sum

__all__ = ["Wheelhouse"]

_MOST_TOLD: Final = 8


class Wheelhouse:
    """The wheels in some folders, by the names of their files.

    Args:
        folders: one that is not there has no wheels.
        cache: one more folder, from which only what has a known sum is taken.

    Raises:
        ConfigurationError: a folder cannot be read, or has a file that is called a wheel and is none.
    """

    def __init__(self, folders: Iterable[str | os.PathLike[str]], cache: str = "") -> None:
        self.folders = [os.fspath(folder) for folder in folders]
        self._cache = cache
        self._found: dict[str, list[tuple[str, WheelName]]] = {}
        self._sums: dict[tuple[str, str], str] = {}
        for folder in [*self.folders, *filter(None, [cache])]:
            try:
                files = sorted(os.listdir(folder))
            except FileNotFoundError:
                continue
            except OSError as error:
                raise ConfigurationError(f"{folder}: cannot be read: {error.strerror}") from error
            for file in files:
                if file.endswith(".whl") and not file.startswith("."):
                    told = parse_wheel_name(file)
                    wheels = self._found.setdefault(normal_name(told.name), [])
                    wheels.append((os.path.join(folder, file), told))

    def __len__(self) -> int:
        return sum(map(len, self._found.values()))

    def names(self) -> list[str]:
        """Return the normal names of what there are wheels of in the folders, sorted."""
        return sorted(
            name
            for name, wheels in self._found.items()
            if not all(self._is_cached(path) for path, _ in wheels)
        )

    def locked(self, wanted: Locked, target: Target) -> str:
        """Return the file that fits best of those a requirement allows, "" if none is here."""
        allowed = [
            (path, told)
            for path, told in self._found.get(normal_name(wanted.name), ())
            if _rank(told, target) is not None and self._has_sum(path, wanted)
        ]
        return _best(allowed, target)

    def only(self, name: str, target: Target) -> str:
        """Return the file that fits best of the wheels of a distribution, "" if none does.

        Raises:
            ConfigurationError: there are several versions, and nothing says which.
        """
        fitting = [
            (path, told)
            for path, told in self._found.get(normal_name(name), ())
            if _rank(told, target) is not None and not self._is_cached(path)
        ]
        versions = sorted({told.version for _, told in fitting})
        if len(versions) > 1:
            raise ConfigurationError(
                f"{_listed(self.folders)}: has {name} in versions {_listed(versions)}",
                cure="remove all but one, or say which by --requirements",
            )
        return _best(fitting, target)

    def misfits(self, name: str, target: Target, wanted: Locked | None = None) -> str:
        """Return what there is of a distribution, and why each does not do; "" for nothing."""
        told = []
        for path, wheel in self._found.get(normal_name(name), ()):
            reason = f"for {target.misfit(wheel.tags)}"
            if self._is_cached(path):
                continue
            if _rank(wheel, target) is not None:
                if wanted is None or self._has_sum(path, wanted):
                    continue
                reason = "has another sum than the requirements allow"
            told.append(f"{os.path.basename(path)} ({reason})")
        return _listed(told)

    def _is_cached(self, path: str) -> bool:
        return os.path.dirname(path) == self._cache

    def _has_sum(self, path: str, wanted: Locked) -> bool:
        for kind in sorted({found.partition(":")[0] for found in wanted.sums}):
            if (path, kind) not in self._sums:
                self._sums[path, kind] = wheel_sum(path, kind)
            if self._sums[path, kind] in wanted.sums:
                return True
        return False


def _rank(told: WheelName, target: Target) -> tuple[int, ...] | None:
    return min((rank for rank in map(target.rank, told.tags) if rank is not None), default=None)


def _best(fitting: Sequence[tuple[str, WheelName]], target: Target) -> str:
    """Return the best by rank; of equal ones that of the highest build, then that of the first folder."""
    if not fitting:
        return ""
    highest = max(fitting, key=lambda found: found[1].build)[1].build
    of_build = [found for found in fitting if found[1].build == highest]
    return min(of_build, key=lambda found: _rank(found[1], target) or ())[0]


def _listed(words: Sequence[str]) -> str:
    more = f" and {len(words) - _MOST_TOLD} more" if len(words) > _MOST_TOLD else ""
    return ", ".join(words[:_MOST_TOLD]) + more
