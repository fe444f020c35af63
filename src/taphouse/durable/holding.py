"""Holding: how many references a value has when nobody but the statement that writes it holds it.

``f.x = {}`` needs no watch for aliases, ``f.x = d`` does; the number of references
tells them apart.  How many a lone value has depends on the interpreter and on
the way it takes, so each way is measured once, at import, with a lone value and
with a held one.  Where the two do not differ, every value counts as held.

This module must never decide what happens to a value that is held.
"""

from __future__ import annotations

from collections.abc import Callable
from sys import getrefcount
from typing import Any

from taphouse.durable.adoption import CHILD_REFS, FILL, WRAPPERS, Adoption
from taphouse.durable.twin import Tracked, install, quicken

__all__ = ["ALONE_IN_METHOD", "ALONE_IN_SETITEM", "measure_child", "measure_setattr"]

NEVER = -1

_seen = 0


def _look(count: int) -> None:
    global _seen
    _seen = count


class _Probe(list[Any]):
    # Quickened like the tracked classes: the way through a C method counts otherwise.
    def append(self, value: Any, /) -> None:
        _look(getrefcount(value))

    def __setitem__(self, key: Any, value: Any) -> None:
        _look(getrefcount(value))


quicken(_Probe)


def _if_told(lone: int, held: int) -> int:
    return lone if lone < held else NEVER


def _measure_method() -> int:
    probe = _Probe()
    probe.append([])
    lone = _seen
    value: list[Any] = []
    probe.append(value)
    return _if_told(lone, _seen)


def _measure_setitem() -> int:
    probe = _Probe()
    probe[0] = []
    lone = _seen
    value: list[Any] = []
    probe[0] = value
    return _if_told(lone, _seen)


def _write(obj: Any, name: str, value: Any) -> None:
    _look(getrefcount(value))


def _erase(obj: Any, name: str) -> None:
    raise AttributeError(name)


class _Written(Tracked):
    pass


def measure_setattr() -> int:
    """Measure the way through the tracker; it must be installed anew afterwards."""
    install(_write, _erase, frozenset(), {tuple}, {})
    probe: Any = _Written()
    probe.x = []
    lone = _seen
    value: list[Any] = []
    probe.x = value
    return _if_told(lone, _seen)


class _Measuring(Adoption):
    __slots__ = ()

    def _container(self, value: Any, kind: type, owner: Any, key: Any, step: Any) -> Any:
        _look(getrefcount(value))
        return ()


def measure_child(kind: type, wrap: Callable[[Any], Any]) -> None:
    """Measure elements of one kind of container, as adoption meets them.

    Args:
        kind: a plain type whose tracked type is known by now.
        wrap: makes a container of that kind with one element.
    """
    tracked: Any = WRAPPERS[kind]
    counts = []
    value: list[Any] = []
    for plain in (wrap([]), wrap(value)):
        fresh = tracked.__new__(tracked)
        measuring = _Measuring(fresh, 0, True)
        measuring.path.append(0)
        FILL[kind](fresh, plain, measuring)
        counts.append(_seen)
    CHILD_REFS[tracked] = _if_told(*counts)


ALONE_IN_METHOD = _measure_method()
ALONE_IN_SETITEM = _measure_setitem()
