"""A state that goes on as its own renewal: its first commit replaces it, and what it was stays beside it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tapwork import PLAN, Running, begin, find, leave_state, thaw_seed

from taphouse.durable import Ledger, attach, oid_of
from taphouse.errors import AlreadyRunningError, StorageError
from taphouse.persist import (
    NullStore,
    RenewedStore,
    TapLock,
    check_integrity,
    copy_tap_files,
    read_info,
    reading,
    replacing,
    thaw,
    thaw_loose,
    write_seed,
)


@pytest.fixture
def tap(tmp_path: Path) -> Path:
    return leave_state(tmp_path)


@contextmanager
def opened(path: Path) -> Iterator[Running]:
    lock = TapLock(path)
    lock.acquire(0)
    store = RenewedStore(path)
    try:
        yield Running(store, thaw(store, find))
    finally:
        store.close()
        lock.release()


def held(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith(".lock")}


def root_of(path: Path) -> Any:
    return thaw_seed(path).root


def test_nothing_is_written_before_the_first_commit(tap: Path) -> None:
    before = held(tap.parent)
    with opened(tap) as running:
        running.root.n = 2
        assert not running.store.fold()
        assert held(tap.parent) == before
    assert held(tap.parent) == before


def test_the_first_commit_keeps_the_tap_as_it_was_and_all_others_go_on_in_the_new_one(tap: Path) -> None:
    old, epoch = tap.read_bytes(), read_info(tap).epoch
    with opened(tap) as running:
        for n in (2, 3, 4):
            running.root.n = n
            running.root.table[n] = n
            assert running.commit() == epoch + n - 1
        assert isinstance(running.store, RenewedStore)
        assert running.store.kept_as == tap.with_name(f"{tap.name}.1")
    assert sorted(held(tap.parent)) == [tap.name, f"{tap.name}.1"]
    assert tap.with_name(f"{tap.name}.1").read_bytes() == old
    check_integrity(tap)
    assert (root_of(tap).n, root_of(tap).table[4], root_of(tap).table[7]) == (4, 4, "changed")
    assert read_info(tap).lineage == read_info(f"{tap}.1").lineage


def test_what_a_killed_server_left_is_in_it(tmp_path: Path) -> None:
    running = begin(tmp_path, n=1)
    running.root.n = 5
    running.commit()
    place = tmp_path / "killed"
    place.mkdir()
    tap = copy_tap_files(tmp_path / "tested-shutdown.tap", place)
    running.stop()
    with opened(tap) as again:
        again.root.m = 6
        again.commit()
    assert (root_of(tap).n, root_of(tap).m) == (5, 6)
    assert root_of(tap.with_name(f"{tap.name}.1")).n == 5


def test_told_not_to_it_just_goes_on(tap: Path) -> None:
    with opened(tap) as running:
        assert isinstance(running.store, RenewedStore)
        running.store.renews = False
        running.root.n = 2
        running.commit()
        assert running.store.kept_as is None
    assert sorted(held(tap.parent)) == [tap.name]
    assert root_of(tap).n == 2


def test_the_lock_goes_over_to_the_file_that_has_the_name_now(tap: Path) -> None:
    with opened(tap) as running:
        running.root.n = 2
        running.commit()
        other = tap.with_name("linked.tap")
        os.link(tap, other)
        child = os.fork()
        if not child:
            try:
                TapLock(other).acquire(0)
            except AlreadyRunningError:
                os._exit(7)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_a_commit_that_fails_leaves_the_tap_as_it_was_and_is_the_last(
    tap: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = held(tap.parent)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with opened(tap) as running:
        monkeypatch.setattr(replacing, "publish", fail)
        running.root.n = 2
        with pytest.raises(Exception, match="No space left"):
            running.commit()
        monkeypatch.undo()
        running.root.n = 3
        with pytest.raises(StorageError, match="abandoned"):
            running.commit()
    assert held(tap.parent) == before


# --- what is thawed and belongs to nobody -----------------------------------------------------------------


def test_what_is_thawed_loose_can_be_attached_and_saved_as_if_it_was_just_built(tmp_path: Path) -> None:
    shared = [1, 2]
    running = begin(
        tmp_path, one=shared, two=shared, table={k: [k] for k in range(2000)}, plain=bytearray(b"x")
    )
    running.root.deque = {3, 4}
    running.stop()
    root = thaw_loose(NullStore(tmp_path / "tested-shutdown.tap"), find).root
    assert not oid_of(root)
    assert root.one is root.two
    ledger = Ledger()
    ledger.begin(root)
    attach(root, ledger, ledger.new_oid())  # of another ledger it would be refused
    root.n = 5
    assert ledger.is_dirty
    again = thaw_loose(NullStore(tmp_path / "tested-shutdown.tap"), find).root
    again.table[6] = again.one
    write_seed(tmp_path / "again.tap", again, PLAN)
    found = root_of(tmp_path / "again.tap")
    assert found.table[6] is found.one
    assert found.table[5] == [5]
    assert found.deque == {3, 4}


# --- a copy of what is being written ----------------------------------------------------------------------


def test_a_commit_while_a_tap_is_copied_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running = begin(tmp_path, n=0)
    running.root.n = 1
    running.commit()
    copy, copied = reading._copy, []

    def busy(source: Path, target: Path) -> None:
        copied.append(source.name)
        running.root.n += 1
        running.commit()
        copy(source, target)
        running.root.n += 1
        running.commit()

    monkeypatch.setattr(reading, "_copy", busy)
    place = tmp_path / "copies"
    place.mkdir()
    made = copy_tap_files(tmp_path / "tested-shutdown.tap", place)
    monkeypatch.undo()
    assert len(copied) == 2
    assert root_of(made).n == 2
    running.stop()


def test_a_copy_that_the_log_was_moved_away_under_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = begin(tmp_path, n=0)
    copy, copied = reading._copy, []

    def busy(source: Path, target: Path) -> None:
        copy(source, target)
        copied.append(source.name)
        if len(copied) == 1:
            running.store._checkpoint("PASSIVE")
            running.root.n += 1
            running.commit()

    monkeypatch.setattr(reading, "_copy", busy)
    place = tmp_path / "copies"
    place.mkdir()
    made = copy_tap_files(tmp_path / "tested-shutdown.tap", place)
    monkeypatch.undo()
    assert len(copied) == 4
    assert root_of(made).n == 1
    running.stop()


def test_a_copy_with_a_gap_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that were read before a commit wrote them, and behind them bytes that were read after."""
    running = begin(tmp_path, n=0)
    running.root.n = -1
    running.commit()
    wal = tmp_path / "tested-shutdown.tap-wal"
    before = wal.read_bytes()
    for n in range(1, 4):
        running.root.n = n
        running.commit()
    copy, copied = reading._copy, []

    def torn(source: Path, target: Path) -> None:
        copy(source, target)
        copied.append(source.name)
        if len(copied) == 1:
            first = next(
                at for at, pair in enumerate(zip(before, wal.read_bytes(), strict=True)) if pair[0] != pair[1]
            )
            now = bytearray(target.read_bytes())
            now[first : first + 4096] = before[first : first + 4096]
            target.write_bytes(now)
            running.root.n = 4
            running.commit()

    monkeypatch.setattr(reading, "_copy", torn)
    place = tmp_path / "copies"
    place.mkdir()
    made = copy_tap_files(tmp_path / "tested-shutdown.tap", place)
    monkeypatch.undo()
    assert len(copied) == 4
    assert root_of(made).n == 4
    running.stop()
