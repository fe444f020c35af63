"""Imports before a server is ready, so that it has none to make while a package manager replaces its files.

It must never stop a start: what is needed and cannot be imported stops it elsewhere, and says so.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from contextlib import suppress

from taphouse.app import verbs

__all__ = ["import_early"]


def import_early(names: Iterable[str]) -> None:
    """Import modules, those that are not there excepted; scripts among them run nothing that they build."""
    with verbs.quiet():
        for name in names:
            with suppress(Exception, SystemExit):
                importlib.import_module(name)
