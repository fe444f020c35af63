"""Epochs that are folded leave the journal a few at a time; until then they count for nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tapwork import begin, difference, go_on

from taphouse.errors import TapError
from taphouse.persist import check_integrity, read_info
from taphouse.persist.schema import chain_sum

EPOCHS = 12


@pytest.fixture
def tap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tap as it is when its journal is folded, and the first epochs of that are removed."""
    monkeypatch.setattr("taphouse.persist.folding.CLEAR_ROWS", 2)
    running = begin(tmp_path, n=0, table={})
    for turn in range(1, EPOCHS + 1):
        running.root.n = turn
        running.root.table[turn] = [turn]
        running.commit()
    path = tmp_path / "folded.tap"
    running.store.backup(path)
    before = numbers(path)
    while numbers(path) == before:
        assert running.store.fold(1)
        path.unlink()
        running.store.backup(path)
    return path


def numbers(path: Path) -> list[int]:
    """Return the epochs that stand in the journal."""
    with closing(sqlite3.connect(path)) as db:
        return [number for (number,) in db.execute("SELECT epoch FROM journal ORDER BY epoch")]


def change(path: Path, statement: str, *values: object) -> None:
    """Change the file."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        assert db.execute(statement, values).rowcount == 1


def test_they_are_passed_over(tap: Path) -> None:
    last = EPOCHS + 1
    assert numbers(tap) == list(range(4, last + 1))
    info = read_info(tap)
    assert (info.epoch, info.counts["journal"]) == (last, 0)
    check_integrity(tap)
    root = go_on(tap).root
    assert (root.n, dict(root.table)) == (EPOCHS, {turn: [turn] for turn in range(1, EPOCHS + 1)})


def test_who_goes_on_removes_them_at_the_latest_when_it_stops(tap: Path) -> None:
    running = go_on(tap)
    running.root.n = -1
    running.commit()
    running.stop()
    assert numbers(tap) == []
    assert go_on(tap).root.n == -1


def test_who_goes_on_removes_them_while_it_runs(tap: Path, tmp_path: Path) -> None:
    running = go_on(tap)
    for turn in (-1, -2):
        running.root.n = turn
        running.commit()
        slices = 1
        while running.store.fold(1):
            slices += 1
        looked_at = tmp_path / f"{turn}.tap"
        running.store.backup(looked_at)
        assert slices > 1 and numbers(looked_at) == []
        assert go_on(looked_at).root.n == turn
    assert difference(running.root, go_on(looked_at).root) == ""


def test_without_a_change_nothing_is_removed(tap: Path) -> None:
    before = tap.read_bytes()
    go_on(tap).stop()
    assert tap.read_bytes() == before


def test_they_do_not_become_more_with_every_commit_however_large_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each commit adds an epoch to the journal while one that is folded goes."""
    monkeypatch.setattr("taphouse.persist.store.FOLD_BYTES", 1000)
    monkeypatch.setattr("taphouse.persist.store.FOLD_SLICE", 1)
    monkeypatch.setattr("taphouse.persist.folding.CLEAR_BYTES", 100)
    running = begin(tmp_path, blob=b"")
    most = []
    for _ in range(2):
        lengths = []
        for turn in range(150):
            running.root.blob = bytes([turn]) * 400
            running.commit()
            lengths.append(len(running.store._db.execute("SELECT epoch FROM journal").fetchall()))
        most.append(max(lengths))
    assert most[0] == most[1] < 20
    running.store.abandon()


def test_the_journal_does_not_grow_while_each_commit_brings_more_than_a_slice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No moment is idle: what is not folded along with the commits is never folded."""
    monkeypatch.setattr("taphouse.persist.store.FOLD_BYTES", 100_000)
    running = begin(tmp_path, numbers=dict.fromkeys(range(2000), b""))
    most = []
    for _ in range(3):
        lengths = []
        for turn in range(60):
            for key in range(100):
                running.root.numbers[(turn * 100 + key) % 2000] = bytes(1000)
            running.commit()
            lengths.append(len(running.store._db.execute("SELECT epoch FROM journal").fetchall()))
        most.append(max(lengths))
    assert max(most[1:]) <= most[0] < 20
    running.store.abandon()


@pytest.mark.parametrize("number", [5, EPOCHS + 1])
def test_a_gap_among_them_is_damage(tap: Path, number: int) -> None:
    change(tap, "DELETE FROM journal WHERE epoch = ?", number)
    with pytest.raises(TapError, match=rf"epoch {number} is missing"):
        read_info(tap)


@pytest.mark.parametrize("number", [5, EPOCHS + 1])
def test_so_is_one_that_is_chained_to_another(tap: Path, number: int) -> None:
    change(tap, "UPDATE journal SET chain = ? WHERE epoch = ?", chain_sum(b"", 1, b""), number)
    with pytest.raises(TapError, match="the chain is broken"):
        read_info(tap)
