"""Statements: which listeners and connectors an update brings, moves and takes away.

This module must never change any.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from taphouse.app import Application, Connector, Listener
from taphouse.cli.making.reporting import CHANGED, Finding, shorten
from taphouse.durable import Durable, raw_state

__all__ = ["Statements"]

_VERBS: Final = {"listeners": "listens on", "connectors": "connects to"}


class Statements:
    """The listeners, or the connectors, of two builds, by the factory that serves them.

    Args:
        kind: ``listeners`` or ``connectors``.
        stored: the application of the tap.
        mine: its objects by label.
        new: as it is built now.
        theirs: its objects by label.
        recorded: what was built last; statements that were added by hand are nobody's business here.
    """

    def __init__(
        self,
        kind: str,
        stored: Application,
        mine: Mapping[str, Durable],
        new: Application,
        theirs: Mapping[str, Durable],
        recorded: Mapping[str, Any],
    ) -> None:
        self._verb = _VERBS[kind]
        built = recorded.get(kind)
        records = getattr(stored, kind)
        self._old = _by_factory(mine, (x for x in records if built is None or x.label in built))
        self._now = _by_factory(theirs, getattr(new, kind))

    def _pairs(self) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
        for factory in dict.fromkeys((*self._old, *self._now)):
            yield factory, self._old.get(factory, {}), self._now.get(factory, {})

    def moves(self) -> Iterator[Finding]:
        """Yield which addresses come and go."""
        for factory, was, becomes in self._pairs():
            gone = ", ".join(label for label in was if label not in becomes)
            added = ", ".join(label for label in becomes if label not in was)
            if gone and added:
                yield Finding(CHANGED, factory, f"{self._verb} {gone} -> {added}")
            elif gone:
                yield Finding(CHANGED, factory, f"no longer {self._verb} {gone}")
            elif added:
                yield Finding(CHANGED, factory, f"{self._verb} {added}")

    def settings(self) -> Iterator[Finding]:
        """Yield what changes of those that stay."""
        for _, was, becomes in self._pairs():
            for label in [label for label in was if label in becomes]:
                for name, before, after in _differences(was[label], becomes[label]):
                    yield Finding(CHANGED, f"{label} {name}", f"{shorten(before)} -> {shorten(after)}")


def _by_factory(located: Mapping[str, Durable], records: Iterable[Any]) -> dict[str, dict[str, Any]]:
    labels = {id(obj): label for label, obj in located.items()}
    found: dict[str, dict[str, Any]] = {}
    for record in records:
        found.setdefault(labels[id(record.factory)], {})[record.label] = record
    return found


def _differences(one: Listener | Connector, other: Listener | Connector) -> Iterator[tuple[str, Any, Any]]:
    before, after = raw_state(one), raw_state(other)
    for name in sorted({*before, *after} - {"factory"}):
        if before.get(name) != after.get(name):
            yield name, before.get(name), after.get(name)
