"""A state tap is replaced by its own next epoch: the old file or the new one, at every instant."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tapwork import PLAN, begin, find, go_on, leave_state

from taphouse.errors import CannotCreateError, InternalError, StorageError, TaphouseError
from taphouse.persist import (
    Freezer,
    TapLock,
    check_integrity,
    copy_tap_files,
    read_info,
    reading,
    rehearse_state,
    renew_state,
    replacing,
    thaw,
)


@pytest.fixture
def tap(tmp_path: Path) -> Path:
    return leave_state(tmp_path)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    lock = TapLock(path)
    lock.acquire(0)
    try:
        yield
    finally:
        lock.release()


def renew(path: Path, change: Callable[[Any], None]) -> Path:
    with locked(path), renew_state(path) as renewal:
        thawed = thaw(renewal.store, find)
        freezer = Freezer(thawed.ledger, renewal.store, thawed.chunk_bytes)
        change(thawed.root)
        turn = freezer.freeze({**PLAN, "renewed": True})
        assert turn is not None
        return renewal.commit(turn)


def set_n(root: Any) -> None:
    root.n = 2
    root.table[8] = "renewed"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_it_is_the_same_tap_one_epoch_later_and_the_old_one_lies_beside_it(tap: Path) -> None:
    before = read_info(tap)
    old = tap.read_bytes()
    assert renew(tap, set_n) == tap.with_name("tested-shutdown.tap.1")
    after = read_info(tap)
    assert (after.lineage, after.base_epoch, after.epoch) == (
        before.lineage,
        before.base_epoch,
        before.epoch + 1,
    )
    assert after.plan["renewed"] is True and not after.is_open
    check_integrity(tap)
    root = go_on(tap).root
    assert (root.n, root.table[7], root.table[8], len(root.table)) == (2, "changed", "renewed", 2000)
    assert tap.with_name("tested-shutdown.tap.1").read_bytes() == old
    assert names(tap.parent) == ["tested-shutdown.tap", "tested-shutdown.tap.1"]


def test_each_old_one_gets_the_next_free_number(tap: Path) -> None:
    renew(tap, set_n)
    renew(tap, lambda root: setattr(root, "n", 3))
    assert [go_on(tap.with_name(f"{tap.name}{tail}")).root.n for tail in ("", ".1", ".2")] == [3, 1, 2]


def test_what_a_killed_server_left_is_in_both(tmp_path: Path) -> None:
    running = begin(tmp_path, n=1)
    running.root.n = 5
    running.commit()
    (tmp_path / "died").mkdir()  # the lock of a store that was left alone ends with its process
    path = copy_tap_files(tmp_path / "tested-shutdown.tap", tmp_path / "died")
    running.stop()
    assert Path(f"{path}-wal").exists()
    kept = renew(path, lambda root: setattr(root, "n", root.n + 1))
    assert go_on(path).root.n == 6
    assert go_on(kept).root.n == 5


def test_owner_and_mode_stay(tap: Path) -> None:
    tap.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(tap, 1234, 2345)
    before = tap.stat()
    renew(tap, set_n)
    after = tap.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)


def test_without_a_commit_nothing_has_changed(tap: Path) -> None:
    before = {path.name: path.read_bytes() for path in tap.parent.iterdir()}
    with locked(tap), renew_state(tap) as renewal:
        thaw(renewal.store, find).root.n = 9
    with rehearse_state(tap) as store:
        thaw(store, find).root.n = 9
    assert {path.name: path.read_bytes() for path in tap.parent.iterdir()} == before


@pytest.mark.parametrize("step", ["open", "commit", "fold", "checkpoint", "close"])
def test_a_disk_that_fails_leaves_the_old_one(tap: Path, step: str) -> None:
    before = tap.read_bytes()

    def fail(now: str) -> None:
        if now == step:
            raise OSError(28, "No space left on device")

    with pytest.raises(StorageError) as caught, locked(tap), renew_state(tap) as renewal:
        renewal.store.on_io = fail
        thawed = thaw(renewal.store, find)
        thawed.root.n = 2
        turn = Freezer(thawed.ledger, renewal.store, thawed.chunk_bytes).freeze(PLAN)
        assert turn is not None
        renewal.commit(turn)
    assert caught.value.message.startswith(f"{tap}: ") and "No space left" in caught.value.message
    assert "the tap is intact as of the last commit" in caught.value.cure
    assert tap.read_bytes() == before
    assert names(tap.parent) == [tap.name]


def test_a_disk_without_room_for_the_copy_leaves_it_alone(tap: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Path, _copy: Path) -> None:
        raise OSError(28, "No space left on device") if source.exists() else FileNotFoundError

    before = tap.read_bytes()
    monkeypatch.setattr(reading, "_copy", full)
    with pytest.raises(CannotCreateError) as caught, locked(tap), renew_state(tap):
        pass
    assert str(caught.value) == (
        f"{tap}: No space left on device; the tap is as it was; free as much space as it takes once more"
    )
    assert (tap.read_bytes(), names(tap.parent)) == (before, [tap.name])


class Died(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("call", ["link", "replace", "fsync"])
@pytest.mark.parametrize(
    "error", [Died(), PermissionError(13, "not permitted"), OSError(5, "Input/output error")]
)
def test_an_end_at_any_step_of_the_exchange_leaves_a_whole_tap(
    tap: Path, monkeypatch: pytest.MonkeyPatch, call: str, error: BaseException
) -> None:
    """The last but one step is the rename: before it the old one has the name, after it the new one."""
    real = getattr(os, call)
    done: list[int] = []

    def ends(*arguments: Any, **keywords: Any) -> Any:
        if sys_calls_of_replacing():
            done.append(1)
            raise error
        return real(*arguments, **keywords)

    monkeypatch.setattr(os, call, ends)
    with pytest.raises((Died, TaphouseError)):
        renew(tap, set_n)
    monkeypatch.undo()
    assert done
    check_integrity(tap)
    assert go_on(tap).root.n in (1, 2)


def sys_calls_of_replacing() -> bool:
    """Say whether the exchange itself makes this call."""
    import sys

    frame = sys._getframe(2)
    while frame is not None:
        if frame.f_code is replacing.replace_tap.__code__:
            return True
        frame = frame.f_back
    return False


def test_where_there_are_no_links_the_old_one_is_copied(tap: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_arguments: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    old = tap.read_bytes()
    monkeypatch.setattr(os, "link", none)
    kept = renew(tap, set_n)
    assert (kept.read_bytes(), go_on(tap).root.n) == (old, 2)
    assert names(tap.parent) == [tap.name, kept.name]


def test_a_rename_that_fails_leaves_no_second_name(tap: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_arguments: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(replacing, "publish", fails)
    with pytest.raises(TaphouseError, match="Operation not permitted"):
        renew(tap, set_n)
    assert names(tap.parent) == [tap.name]


def test_it_needs_the_lock(tap: Path) -> None:
    with pytest.raises(InternalError, match="without its lock"), renew_state(tap):
        pass


def test_a_folder_that_takes_no_copy_is_named(tap: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: Any, **_keywords: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(CannotCreateError, match="No space left"), locked(tap), renew_state(tap):
        pass
