"""Aliases: plain containers that were adopted and may still be held elsewhere.

``rows = []; factory.rows = rows`` makes a tracked copy; ``rows.append(1)``
afterwards would be missed.  So the plain original is watched till the end of the
epoch: adopting it again yields the same tracked container, and a difference
from what it held when adopted is an error that names the path.  Elements are
compared by identity only: no code of the application runs.

This module must never know ledgers, and never changes what it watches.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from typing import Any

from taphouse.errors import InternalError

__all__ = ["WATCHED", "Watch", "check_home", "known_copy", "release_checked", "watch"]


class Watch:
    """One plain container, what it held when it was adopted, and its tracked copy (weakly)."""

    __slots__ = ("copy", "held", "plain")

    def __init__(self, plain: Any, copy: Any) -> None:
        self.plain = plain
        self.copy = weakref.ref(copy)
        self.held = _contents(plain)

    def is_changed(self) -> bool:
        """Say whether the plain container differs from what it held, by identity."""
        now = _contents(self.plain)
        if len(now) != len(self.held):
            return True
        if all(a is b for a, b in zip(now, self.held, strict=True)):
            return False
        return type(self.plain) is not set or {id(x) for x in now} != {id(x) for x in self.held}


def _contents(plain: Any) -> tuple[Any, ...]:
    if isinstance(plain, dict):
        return (*plain.keys(), *plain.values())
    return tuple(plain)


WATCHED: dict[int, Watch] = {}
"""What is watched, by the id of the plain container."""
_limit = 256
_by_home: dict[int, list[Watch]] | None = None
"""What is watched, by the id of the object in whose row it will be written; None: to be made anew."""


def watch(plain: Any, copy: Any) -> None:
    """Watch ``plain``, whose tracked copy is ``copy``, till :func:`release_checked`."""
    global _limit, _by_home
    _by_home = None
    WATCHED[id(plain)] = Watch(plain, copy)
    if len(WATCHED) > _limit:
        _sweep()
        _limit = max(256, 2 * len(WATCHED))


def known_copy(plain: Any) -> Any:
    """Return the tracked copy made of this very container in this epoch, or None."""
    found = WATCHED.get(id(plain))
    return None if found is None or found.plain is not plain else found.copy()


def _references_of_unaliased() -> int:
    probe = Watch([], _Probe())
    return sys.getrefcount(probe.plain)


class _Probe:
    __slots__ = ("__weakref__",)


_ALONE = _references_of_unaliased()


def _sweep() -> None:
    """Drop what nobody else holds any more and did not change, so that building never grows the watch."""
    for key, entry in list(WATCHED.items()):
        if entry.copy() is None or (sys.getrefcount(entry.plain) <= _ALONE and not entry.is_changed()):
            del WATCHED[key]


def release_checked(concerns: Callable[[Any], bool | None], path_of: Callable[[Any], str]) -> None:
    """Compare the watched containers and stop watching them.

    Args:
        concerns: given a tracked copy: True compare it now, False keep watching, None forget it.
        path_of: the path of a tracked copy for the message.

    Raises:
        InternalError: if one was changed through an alias.
    """
    global _by_home
    _by_home = None
    for key, entry in list(WATCHED.items()):
        copy = entry.copy()
        wanted = None if copy is None else concerns(copy)
        if wanted is False:
            continue
        del WATCHED[key]
        if wanted:
            _compare(entry, copy, path_of)


def _compare(entry: Watch, copy: Any, path_of: Callable[[Any], str]) -> None:
    if entry.is_changed():
        raise InternalError(
            f"{path_of(copy)}: changed through an alias that is not tracked",
            cure="use the attribute: what was assigned is a tracked copy of the plain container",
        )


def check_home(target: Any, home_of: Callable[[Any], Any], path_of: Callable[[Any], str]) -> None:
    """Compare what ``target`` adopted before it had a row; it is watched further till the drain.

    Raises:
        InternalError: if one was changed through an alias.
    """
    global _by_home
    if _by_home is None:
        _by_home = {}
        for entry in WATCHED.values():
            copy = entry.copy()
            if copy is not None:
                _by_home.setdefault(id(home_of(copy)), []).append(entry)
    for entry in _by_home.get(id(target), ()):
        copy = entry.copy()
        if copy is not None and home_of(copy) is target:
            _compare(entry, copy, path_of)
