"""A thaw makes very many objects at once; the cyclic collector is then as it was before."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
import tapmodels
from tapwork import PLAN, root_with, thaw_seed

from taphouse.durable import Durable
from taphouse.errors import ClassIdentityError
from taphouse.persist import write_seed


class Foreign(Durable):
    """An application that is not installed where it is thawed."""


@pytest.fixture
def seed(tmp_path: Path) -> Path:
    """A seed of an application with containers inline and of their own."""
    path = tmp_path / "tested-start.tap"
    root = root_with(n=[1, {"k": [2]}], big=[])
    for number in range(2000):
        root.big.append([number])
    write_seed(path, root, PLAN)
    return path


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    gc.enable()
    gc.unfreeze()


def test_what_was_thawed_is_old_at_once(seed: Path) -> None:
    """The first allocations afterwards do not visit everything that was thawed."""
    gc.collect()
    root = thaw_seed(seed).root
    old = {id(obj) for obj in gc.get_objects(generation=2)}
    assert {id(root.n), id(root.n[1]), id(root.big), *map(id, root.big)} <= old


@pytest.mark.parametrize("refused", [False, True])
@pytest.mark.parametrize("runs", [False, True])
def test_the_collector_runs_or_not_as_before(seed: Path, runs: bool, refused: bool) -> None:
    (gc.enable if runs else gc.disable)()
    if refused:
        write_seed(seed, Foreign(), PLAN)
        with pytest.raises(ClassIdentityError):
            thaw_seed(seed)
    else:
        thaw_seed(seed)
    assert gc.isenabled() is runs


def test_what_the_program_froze_stays_frozen(seed: Path) -> None:
    gc.freeze()
    frozen = gc.get_freeze_count()
    thaw_seed(seed)
    # Objects die meanwhile, but not by the thousand.
    assert gc.get_freeze_count() > frozen // 2


def test_garbage_among_what_was_thawed_is_still_found(tmp_path: Path) -> None:
    """Nothing is put where the collector never looks."""
    first, second = tapmodels.Node(), tapmodels.Node()
    first.next, second.next = second, first
    write_seed(tmp_path / "circle.tap", root_with(first=first), PLAN)
    root = thaw_seed(tmp_path / "circle.tap").root
    seen = weakref.ref(root.first)
    del root.first
    gc.collect()
    assert seen() is None
