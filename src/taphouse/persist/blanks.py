"""Blanks that came to nothing: objects of a tap that was refused half way.

A class of the application may have ``__del__``; it must not run on what a
stranger's file made.  This module must never know rows or files.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from taphouse.persist.unknown import Unknown

__all__ = ["disarm", "leak"]

_set_class: Final = object.__dict__["__class__"].__set__


class _Dead:
    """An object that means nothing any more."""


def disarm(objects: Iterable[Any]) -> None:
    """Make sure that freeing ``objects`` runs no code of the application."""
    for obj in objects:
        if not any("__del__" in base.__dict__ for base in type(obj).__mro__):
            continue
        for harmless in (Unknown, _Dead):
            try:
                _set_class(obj, harmless)
                break
            except TypeError:
                continue
        else:
            leak(obj)


def leak(obj: object) -> None:
    """Keep ``obj`` for ever, past the end of the interpreter too."""
    import ctypes  # 5 ms that only a process which is about to end pays

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(obj))
