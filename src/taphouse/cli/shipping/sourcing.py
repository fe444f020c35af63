"""Sourcing: where the distributions of a package come from, as the command line says.

The running environment, or wheels; stripped or not.  This module must never know
what kind of package is made.
"""

from __future__ import annotations

import os
import platform as running
import sys
from typing import TextIO

from taphouse.cli.shipping.fetching import cache_folder, fetch_wheels
from taphouse.cli.shipping.stripping import Stripping
from taphouse.errors import UsageError
from taphouse.packaging import (
    Environment,
    PartsSource,
    RunningEnvironment,
    Wheelhouse,
    Wheels,
    make_target,
    read_lock,
)
from taphouse.value import Value

__all__ = ["Sourced", "SourceOptions", "choose_source"]

_INSTEAD = "name wheels for it: --requirements FILE or --wheels FOLDER"


class SourceOptions(Value, kw_only=True):
    """What was asked for.

    Args:
        python: ``3.13``, "" for what the code needs.
        platform: a machine, ``arm64`` or ``manylinux_2_36_aarch64``, "" for this one.
        requirements: a locked file, or "".
        wheels: a folder, or "".
        from_env: say that it is the running environment, which it is without the two above.
        strip: take the symbols out of compiled files.
    """

    python: str = ""
    platform: str = ""
    requirements: str = ""
    wheels: str = ""
    from_env: bool = False
    strip: bool = False


class Sourced(Value):
    """A source, and what its choice means.

    Args:
        source: where distributions come from.
        python: the version that the package is for, "" for what the code needs.
        wheels: the same source, if it is one of wheels.
        stripping: the same source, if it strips.
    """

    source: PartsSource
    python: str
    wheels: Wheels | None = None
    stripping: Stripping | None = None

    def notes(self) -> list[str]:
        """Return lines about what was left out or stripped, after the package was made."""
        notes = list(self.wheels.notes) if self.wheels else []
        return notes + (self.stripping.report() if self.stripping else [])


def choose_source(options: SourceOptions, *, stream: TextIO | None = None) -> Sourced:
    """Return where distributions come from; wheels that a file locks and nobody has yet are fetched.

    Args:
        options: what was asked for.
        stream: where it is said if fetching takes long; standard error if not given.

    Raises:
        UsageError: the options exclude each other, or ask for what there is not.
        ConfigurationError: a file cannot be read or used, or a wheel cannot be fetched.
        CannotCreateError: the cache cannot be written.
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
    lock = read_lock(options.requirements)
    # Those of the folder first: they need no network, and neither do those that were fetched before.
    cache = cache_folder()
    wheels = Wheels(Wheelhouse(folders, cache), target, lock, here=Environment())
    wheels.check_ours()
    missing = wheels.missing()
    if missing:
        fetch_wheels(lock, missing, target, cache, stream=stream)
        wheels = Wheels(Wheelhouse(folders, cache), target, lock, here=Environment())
    return Sourced(wheels, python, wheels)


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
