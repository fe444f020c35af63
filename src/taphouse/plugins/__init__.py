"""Room ``plugins``: find what makes servers, wherever it was installed.

A maker is a module (or an object in one) with ``Options`` and
``updateApplication``.  It is found by an entry point of its distribution or by
a marker line in its file, and not imported until somebody wants the server it
makes.  This room must never know what a maker makes, nor the makers that come
with taphouse: those are found like anybody's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from taphouse.lazy import lazy_door

if TYPE_CHECKING:
    from taphouse.plugins.declaration import Declaration as Declaration
    from taphouse.plugins.dropped import has_marker as has_marker
    from taphouse.plugins.entry import MakerEntry as MakerEntry
    from taphouse.plugins.finding import Makers as Makers
    from taphouse.plugins.finding import find_makers as find_makers
    from taphouse.plugins.installed import declares_entry_point as declares_entry_point
    from taphouse.plugins.maker import Maker as Maker
    from taphouse.plugins.places import plugins_folder as plugins_folder
    from taphouse.plugins.places import why_refused as why_refused

__all__ = [
    "Declaration",
    "Maker",
    "MakerEntry",
    "Makers",
    "declares_entry_point",
    "find_makers",
    "has_marker",
    "plugins_folder",
    "why_refused",
]

if not TYPE_CHECKING:  # a type checker knows every name; it should miss the others
    __getattr__ = lazy_door(
        __name__,
        {
            "declaration": ["Declaration"],
            "dropped": ["has_marker"],
            "entry": ["MakerEntry"],
            "finding": ["Makers", "find_makers"],
            "installed": ["declares_entry_point"],
            "maker": ["Maker"],
            "places": ["plugins_folder", "why_refused"],
        },
    )
