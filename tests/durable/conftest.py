"""Both twins of the durable room in one process.

The room is imported as usual for the C twin; for the Python twin a second copy
of it is imported under the same names and taken out of ``sys.modules`` again, so
that every test runs on both.
"""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

ROOM = "taphouse.durable"


class Room(SimpleNamespace):
    """What the door exports, and ``parts``, the modules."""

    def __repr__(self) -> str:
        return f"<room on the {self.TRACKER} twin>"


def import_room(pure: bool) -> SimpleNamespace:
    """Import a copy of the room of its own; the one in use elsewhere stays."""
    before = {
        name: module for name, module in sys.modules.items() if name == ROOM or name.startswith(ROOM + ".")
    }
    for name in before:
        if name != ROOM + "._tracker":
            del sys.modules[name]
    asked = os.environ.get("TAPHOUSE_PURE")
    os.environ["TAPHOUSE_PURE"] = "1" if pure else ""
    try:
        door = importlib.import_module(ROOM)
        parts = {
            name[len(ROOM) + 1 :]: module
            for name, module in sys.modules.items()
            if name.startswith(ROOM + ".")
        }
        return Room(**vars(door), parts=parts)
    finally:
        if asked is None:
            del os.environ["TAPHOUSE_PURE"]
        else:
            os.environ["TAPHOUSE_PURE"] = asked
        for name in [n for n in sys.modules if n == ROOM or n.startswith(ROOM + ".")]:
            del sys.modules[name]
        sys.modules.update(before)


def _room_in_use() -> SimpleNamespace:
    door: ModuleType = importlib.import_module(ROOM)
    parts = {
        name[len(ROOM) + 1 :]: module for name, module in sys.modules.items() if name.startswith(ROOM + ".")
    }
    return Room(**vars(door), parts=parts)


_twins: dict[str, Any] = {}


@pytest.fixture(params=["c", "python"])
def room(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Everything the door exports, on one of the twins, and its modules as ``room.parts``."""
    name = request.param
    if name not in _twins:
        in_use = _room_in_use()
        _twins[in_use.TRACKER] = in_use
        if "python" not in _twins:
            _twins["python"] = import_room(pure=True)
    if name not in _twins:
        pytest.skip("the C twin is not built here (no compiler) or TAPHOUSE_PURE is set")
    found = _twins[name]
    assert name == found.TRACKER
    # Without what other tests have built in this process, and still hold.
    for watch, anew in {"WATCHED": {}, "_limit": 256, "_by_home": None}.items():
        monkeypatch.setattr(found.parts["aliases"], watch, anew)
    return found


class Attached:
    """A durable object in a ledger of its own, and whether it was marked since the last look."""

    def __init__(self, room: SimpleNamespace) -> None:
        class Thing(room.Durable):
            pass

        self.room = room
        self.calls = 0
        self.ledger = room.Ledger(self._count)
        self.thing = Thing()
        self.ledger.begin(self.thing)
        room.attach(self.thing, self.ledger, self.ledger.new_oid())

    def _count(self) -> None:
        self.calls += 1

    def was_marked(self) -> bool:
        """Say whether ``thing`` was marked dirty, and begin anew."""
        return any(x is self.thing for x in self.ledger.drain().dirty)


@pytest.fixture
def attached(room: SimpleNamespace) -> Attached:
    """An attached durable object."""
    return Attached(room)
