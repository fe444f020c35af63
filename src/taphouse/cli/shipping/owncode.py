"""Own code: which modules of a server no distribution brings, and whether they can be copied as they lie.

This module must never copy anything.
"""

from __future__ import annotations

import os
from collections.abc import Container, Mapping

from taphouse.errors import ConfigurationError
from taphouse.packaging import Environment, split_modules

__all__ = ["own_modules"]

_INSTALLED = frozenset({"site-packages", "dist-packages"})


def own_modules(modules: Mapping[str, str], environment: Environment, brought: Container[str]) -> list[str]:
    """Return the top-level modules that are the application's own, sorted.

    Args:
        modules: importable name -> file, "" for what has none.
        environment: what is installed.
        brought: top-level modules that come from somewhere else, even if they lie about here.

    Raises:
        ConfigurationError: one is installed as editable, or without a list of its files, or has a name that
            a distribution has too.
    """
    _distributions, without = split_modules(modules, environment)
    own = [top for top in without if top not in brought]
    editable = environment.editable_folders()
    for name, file in modules.items():
        top = name.partition(".")[0]
        is_installed = not _INSTALLED.isdisjoint(file.split(os.sep))
        if not file or (top in without and top in brought):
            continue
        if top not in without:
            if not is_installed:
                owners = ", ".join(environment.owners_of(name))
                raise ConfigurationError(
                    f"module {name} ({file}) has the name of one that {owners} brings",
                    cure="rename it, or install it with pip",
                )
        elif is_installed:
            raise ConfigurationError(
                f"module {name} ({file}) was installed without a list of its files",
                cure="make the package from a virtual environment that pip has filled",
            )
        else:
            _refuse_editable(file, editable)
    return own


def _refuse_editable(file: str, editable: Mapping[str, str]) -> None:
    for distribution, folder in editable.items():
        if file.startswith(f"{folder}/") and os.path.dirname(file) != folder:
            raise ConfigurationError(
                f"{distribution} is installed as editable: its code is in {folder}",
                cure="install it whole: pip install . (without -e) in its folder",
            )
