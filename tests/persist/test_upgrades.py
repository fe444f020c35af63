"""State of an older version of a class is brought up, step by step, once, or the class is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tapwork import PLAN, Running, root_with

from taphouse.durable import ClassRecord, Durable
from taphouse.errors import ClassIdentityError, UpgradeError
from taphouse.persist import NullStore, create_state, open_state, thaw, write_seed


class Shelf1(Durable, name="upgrades.Shelf"):
    pass


class Shelf3(Durable, name="upgrades.Shelf3", version=3):
    """Two steps on; the second is written with self, the first without."""

    steps: list[str] = ()  # type: ignore[assignment]

    @staticmethod
    def upgrade_from_1(state: dict[str, Any]) -> None:
        state["books"] = state.pop("titles")

    def upgrade_from_2(self, state: dict[str, Any]) -> dict[str, Any]:
        return {"books": dict.fromkeys(state["books"], 1), "owner": state["owner"]}


class ShelfGap(Durable, name="upgrades.ShelfGap", version=3):
    def upgrade_from_2(state: dict[str, Any]) -> None:
        state["n"] = 1


class ShelfFails(Durable, name="upgrades.ShelfFails", version=2):
    def upgrade_from_1(self, state: dict[str, Any]) -> None:
        state["missing"] += 1


class ShelfBad(Durable, name="upgrades.ShelfBad", version=2):
    def upgrade_from_1(self, state: dict[str, Any]) -> None:
        state["f"] = lambda: 0


def finder(shelf: type) -> Any:
    """Find the models, and ``shelf`` where a shelf is meant."""
    import tapmodels

    def find(record: ClassRecord) -> Any:
        return shelf if "Shelf" in record.qualname else getattr(tapmodels, record.qualname)

    return find


def seed(folder: Path) -> Path:
    shelf: Any = Shelf1()
    shelf.titles = ["a", "b"]
    root = root_with(shelf=shelf)
    shelf.owner = root
    write_seed(folder / "seed.tap", root, PLAN)
    return folder / "seed.tap"


def test_the_steps_run_in_order_and_once(tmp_path: Path) -> None:
    """What they made is stored with the new version and not upgraded again."""
    store = create_state(tmp_path / "state.tap", seed=seed(tmp_path))
    running = Running(store, thaw(store, finder(Shelf3)))
    shelf = running.root.shelf
    assert shelf.books == {"a": 1, "b": 1} and shelf.owner is running.root
    shelf.books["c"] = 1
    running.commit()
    running.stop()
    again = open_state(tmp_path / "state.tap")
    root = thaw(again, finder(Shelf3)).root
    assert root.shelf.books == {"a": 1, "b": 1, "c": 1}
    with pytest.raises(
        ClassIdentityError, match=r"version 3 in the tap, 1 is installed; install the newer code"
    ):
        thaw(open_state(tmp_path / "state.tap"), finder(Shelf1))


@pytest.mark.parametrize(
    ("shelf", "message"),
    [
        (ShelfGap, "version 1 in the tap, 3 is installed and has no upgrade_from_1; add upgrade_from_1"),
        (ShelfFails, "Shelf.upgrade_from_1 failed: KeyError: 'missing'; correct that method"),
        (ShelfBad, "Shelf.upgrade_from_1 failed: upgrades.Shelf.f: a lambda cannot be saved"),
    ],
)
def test_a_step_that_is_missing_or_fails_names_the_class(tmp_path: Path, shelf: type, message: str) -> None:
    with pytest.raises(UpgradeError) as caught:
        thaw(NullStore(seed(tmp_path)), finder(shelf))
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)
