"""Sourcing: where the distributions of a package come from, as the command line says.

The running environment, or wheels; stripped or not.  This module must never know
what kind of package is made.
"""

from __future__ import annotations

import os
import platform as running
import sys
from collections.abc import Sequence
from typing import TextIO

from taphouse.cli.shipping.cache import cache_folder
from taphouse.cli.shipping.fetching import fetch_wheels
from taphouse.cli.shipping.sourceoptions import SourceOptions
from taphouse.cli.shipping.stripping import Stripping
from taphouse.errors import UsageError
from taphouse.packaging import (
    Environment,
    Lock,
    Part,
    PartsSource,
    RunningEnvironment,
    Target,
    Tree,
    Wheelhouse,
    Wheels,
    make_target,
    read_lock,
)
from taphouse.value import Value

__all__ = ["LockedWheels", "Sourced", "choose_source"]

_INSTEAD = "name wheels for it: --requirements FILE or --wheels FOLDER"


class LockedWheels:
    """Wheels that a file locks; those that nobody has yet are fetched when they are wanted.

    Args:
        lock: the file.
        target: what they have to fit.
        folders: to look in first, of which taphouse itself may come without a sum.
        stream: where it is said if fetching takes long; standard error if not given.

    Raises:
        ConfigurationError: taphouse itself is nowhere.
        CannotCreateError: there can be no cache.
    """

    def __init__(self, lock: Lock, target: Target, folders: list[str], stream: TextIO | None = None) -> None:
        self._lock = lock
        self._target = target
        self._folders = folders
        self._cache = cache_folder("wheels")
        self._stream = stream
        self.notes: list[str] = []
        """As those of `Wheels`."""
        self._wheels().check_ours()

    def add_parts(self, tree: Tree, folder: str, modules: Sequence[str]) -> list[Part]:
        """Add the distributions, as `Wheels` does.

        Raises:
            ConfigurationError: as there, or a wheel cannot be fetched.
            CannotCreateError: the cache cannot be written.
        """
        missing = self._wheels().missing()
        if missing:
            fetch_wheels(self._lock, missing, self._target, self._cache, stream=self._stream)
        wheels = self._wheels()
        parts = wheels.add_parts(tree, folder, modules)
        self.notes = wheels.notes
        return parts

    def _wheels(self) -> Wheels:
        # Those of the folders first: they need no network, and neither do those that were fetched before.
        return Wheels(Wheelhouse(self._folders, self._cache), self._target, self._lock, here=Environment())


class Sourced(Value):
    """A source, and what its choice means.

    Args:
        source: where distributions come from.
        python: the version that the package is for, "" for what the code needs.
        wheels: the same source before it strips, if it is one of wheels.
        stripping: the same source, if it strips.
    """

    source: PartsSource
    python: str
    wheels: Wheels | LockedWheels | None = None
    stripping: Stripping | None = None

    def notes(self) -> list[str]:
        """Return lines about what was left out or stripped, after the package was made."""
        notes = list(self.wheels.notes) if self.wheels else []
        return notes + (self.stripping.report() if self.stripping else [])


def choose_source(options: SourceOptions, *, stream: TextIO | None = None) -> Sourced:
    """Return where distributions come from.

    Args:
        options: what was asked for.
        stream: where it is said if fetching takes long; standard error if not given.

    Raises:
        UsageError: the options exclude each other, or ask for what there is not.
        ConfigurationError: a file or folder cannot be used, or taphouse itself is not among the wheels.
        CannotCreateError: there can be no cache.
    """
    if options.requirements or options.wheels:
        found = _wheels(options, stream)
    else:
        _check_environment(options)
        found = Sourced(RunningEnvironment(), options.python)
    if options.strip:
        stripping = Stripping(found.source)
        return Sourced(stripping, found.python, found.wheels, stripping)
    return found


def _wheels(options: SourceOptions, stream: TextIO | None) -> Sourced:
    if options.from_env:
        raise UsageError(
            "--from-env takes what is installed here, --requirements and --wheels do not",
            cure="leave one out",
        )
    if options.wheels and not os.path.isdir(options.wheels):
        raise UsageError(f"{options.wheels}: is no folder", cure="name a folder of wheels (--wheels)")
    target = make_target(options.python or None, options.platform or None)
    # What was chosen for a Python runs with that one, even if nothing of it is compiled.
    python = ".".join(map(str, target.python)) if options.python or target.python > (3, 11) else ""
    folders = [options.wheels] if options.wheels else []
    if not options.requirements:
        wheels = Wheels(Wheelhouse(folders), target, here=Environment())
        return Sourced(wheels, python, wheels)
    locked = LockedWheels(read_lock(options.requirements), target, folders, stream)
    return Sourced(locked, python, locked)


def _check_environment(options: SourceOptions) -> None:
    """Refuse another Python or machine than what is installed here is for."""
    target = make_target(options.python or None, options.platform or None)
    if target.machine != running.machine():
        raise UsageError(
            f"what is installed here is for {running.machine()}, not {target.machine} (--platform)",
            cure=_INSTEAD,
        )
    if target.python != sys.version_info[:2]:
        raise UsageError(
            f"what is installed here is for Python 3.{sys.version_info[1]}, not 3.{target.python[1]}",
            cure=_INSTEAD,
        )
