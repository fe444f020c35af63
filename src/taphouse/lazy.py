"""Lazy doors: a room's names are fetched when they are asked for.

A start binds its ports before it needs to thaw, and `tap status` needs neither;
nobody should wait for modules that nobody uses.  This module must never know
which rooms there are.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

__all__ = ["lazy_door"]


def lazy_door(door: str, drawers: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` (PEP 562) of a room's door.

    A drawer of the same name as something in it must be imported by the door
    itself: importing a drawer binds its name in the door, to the module.

    Args:
        door: the room, ``taphouse.persist``.
        drawers: inner module -> the names the door offers from it.
    """
    places = {name: drawer for drawer, names in drawers.items() for name in names}

    def fetch(name: str) -> Any:
        drawer = places.get(name)
        if drawer is None:
            raise AttributeError(f"module {door!r} has no attribute {name!r}")
        value = getattr(import_module(f"{door}.{drawer}"), name)
        setattr(sys.modules[door], name, value)
        return value

    return fetch
