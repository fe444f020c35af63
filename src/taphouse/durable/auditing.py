"""Auditing: finds what changed past the methods that track it.

``heapq`` and ``list.append(tracked, x)`` take a tracked list for any list and
change it unseen, whatever a subclass overrides.  An audit remembers what every
object and container held at the last drain, compares all of it at the next, and
names what differs though its row was not marked.  It costs time and memory in
proportion to the state: for tests and for ``--debug``, not for production.

This module must never run code of the application: it compares by identity.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable
from typing import Any

from taphouse.durable.kinds import DURABLE_CLASSES
from taphouse.durable.ownership import TRACKED, home_of, path_of
from taphouse.errors import InternalError

__all__ = ["Auditor"]


def _held(target: Any) -> tuple[Any, ...]:
    """Return all that a durable object or tracked container refers to, in order."""
    if type(target) not in TRACKED:
        return tuple(part for pair in target._tap_state.items() if pair[0][:3] != "_v_" for part in pair)
    if isinstance(target, OrderedDict):
        return tuple(part for pair in OrderedDict.items(target) for part in pair)
    if isinstance(target, dict):
        return tuple(part for pair in dict.items(target) for part in pair)
    if isinstance(target, set):
        return tuple(sorted(set.__iter__(target), key=id))
    return tuple(deque.__iter__(target) if isinstance(target, deque) else list.__iter__(target))


class Auditor:
    """Compares what is reachable from ``root`` with what it was at the last look.

    Args:
        root: a durable object.
    """

    def __init__(self, root: Any) -> None:
        self._root = root
        self._remembered: dict[int, tuple[Any, tuple[Any, ...]]] = {}
        self._look()

    def check(self, dirty: Iterable[Any] = ()) -> None:
        """Compare all, then remember anew.

        Args:
            dirty: durable objects and own containers that may differ.

        Raises:
            InternalError: naming the path of a container that changed unseen.
        """
        allowed = {id(target) for target in dirty}
        for target, held in self._remembered.values():
            home = home_of(target)
            if home is None or id(home) in allowed:
                continue
            now = _held(target)
            if len(now) != len(held) or any(a is not b for a, b in zip(now, held, strict=True)):
                raise InternalError(
                    f"{path_of(target)}: changed past its methods, by heapq or the like",
                    cure="use its methods (bisect.insort does), or assign x[:] = x afterwards",
                )
        self._look()

    def _look(self) -> None:
        remembered: dict[int, tuple[Any, tuple[Any, ...]]] = {}
        waiting = [self._root]
        while waiting:
            value = waiting.pop()
            kind = type(value)
            if kind in TRACKED or kind in DURABLE_CLASSES:
                if id(value) not in remembered:
                    held = _held(value)
                    remembered[id(value)] = (value, held)
                    waiting.extend(held)
            elif isinstance(value, tuple):
                waiting.extend(tuple.__iter__(value))
        self._remembered = remembered
