"""Sources: where the distributions come from that a package brings along.

This module must never know what they are used for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from taphouse.packaging.about import Part
from taphouse.packaging.environment import Environment
from taphouse.packaging.gathering import add_distribution, split_modules
from taphouse.packaging.tree import Tree

__all__ = ["PartsSource", "RunningEnvironment"]


class PartsSource(Protocol):
    """Has distributions, and puts those that are needed into a tree."""

    def add_parts(self, tree: Tree, folder: str, modules: Sequence[str]) -> list[Part]:
        """Add the distributions that bring modules, and all that these need; return them by name.

        Args:
            tree: where to.
            folder: of the package that Python imports from.
            modules: names of what is going to be imported, ``starlette.routing``; those of Python itself and
                the application's own, which no distribution brings, are passed over.

        Raises:
            ConfigurationError: what is needed is not there, or cannot be shipped.
        """


class RunningEnvironment:
    """What is installed where we run, as pip has installed it.

    Args:
        path: folders to look in, ``sys.path`` if not given.
    """

    def __init__(self, path: Sequence[str] | None = None) -> None:
        self._environment = Environment(path)

    def add_parts(self, tree: Tree, folder: str, modules: Sequence[str]) -> list[Part]:
        distributions, _own = split_modules(modules, self._environment)
        return [add_distribution(tree, folder, found) for found in self._environment.closure(distributions)]
