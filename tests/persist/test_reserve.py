"""The WAL has its space before it needs it, and nobody takes that space for content."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest
import tapmodels
from tapwork import Running, begin, go_on

from playground import PATIENCE_S
from taphouse.errors import StorageError
from taphouse.persist import copy_tap_files, read_info
from taphouse.persist import reserve as reserves
from taphouse.persist import store as stores
from taphouse.persist.walfile import count_frames, scan_wal

STATE = "tested-shutdown.tap"
FRAME = 4120


def wal_of(folder: Path) -> Path:
    return folder / f"{STATE}-wal"


def killed(running: Running, folder: Path) -> Path:
    folder.mkdir()
    assert running.store.path is not None
    return copy_tap_files(running.store.path, folder)


def test_the_wal_has_its_size_from_the_start_and_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "CHECKPOINT_PAGES", 50)
    running = begin(tmp_path, n=0)
    status = wal_of(tmp_path).stat()
    assert status.st_size == stores.RESERVE_BYTES
    assert status.st_blocks * 512 >= stores.RESERVE_BYTES
    for n in range(60):
        running.root.n = n
        running.root.blob = os.urandom(9000)
        running.commit()
        running.store.tend()
    statistics = running.store.statistics()
    assert statistics.checkpoints > 3
    assert statistics.wal_bytes == stores.RESERVE_BYTES == wal_of(tmp_path).stat().st_size
    assert 0 < statistics.sync_p50_s <= statistics.commit_s
    running.stop()
    assert not wal_of(tmp_path).exists()


def test_zeros_behind_the_last_frame_are_no_frames(tmp_path: Path) -> None:
    running = begin(tmp_path, n=0)
    for n in range(1, 4):
        running.root.n = n
        running.commit()
        frames = scan_wal(wal_of(tmp_path)).frames
        assert frames == count_frames(wal_of(tmp_path)) > 0
        ours = killed(running, tmp_path / f"{n}")
        assert read_info(ours).epoch == running.store.epoch
        again = go_on(ours)
        assert again.root.n == n
        again.root.n = 100
        again.commit()
        assert wal_of(ours.parent).stat().st_size == stores.RESERVE_BYTES
        again.stop()
        assert go_on(ours).root.n == 100


def test_frames_of_an_earlier_round_are_not_counted(tmp_path: Path) -> None:
    running = begin(tmp_path, n=0)
    for n in range(20):
        running.root.n = n
        running.commit()
    many = count_frames(wal_of(tmp_path))
    running.store._checkpoint("PASSIVE")
    running.root.n = 50
    running.commit()
    assert 0 < count_frames(wal_of(tmp_path)) < many


@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.ENOSPC, errno.EDQUOT])
def test_where_there_is_no_reserve_it_goes_on_without_and_says_so(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    running = begin(tmp_path, n=0)
    assert os.strerror(code) in running.store.reserve_refused
    assert str(wal_of(tmp_path)) in running.store.reserve_refused
    assert running.store.probes == ()
    running.root.n = 1
    running.commit()
    running.stop()
    assert go_on(tmp_path / STATE).root.n == 1


def test_a_reserve_does_not_take_the_last_room_of_a_disk(tmp_path: Path) -> None:
    wal = tmp_path / "some-wal"
    wal.write_bytes(b"")
    assert "too little room" in reserves.make_reserve(wal, 1 << 60)
    assert wal.stat().st_size == 0


def test_trying_the_disk_is_short_and_changes_nothing(tmp_path: Path) -> None:
    wal = tmp_path / "some-wal"
    wal.write_bytes(b"x" * 100)
    assert reserves.make_reserve(wal, 1 << 20) == ""
    probes = reserves.try_disk(wal, 1 << 20)
    assert 1 <= len(probes) <= 5
    assert wal.read_bytes() == b"x" * 100 + bytes((1 << 20) - 100)
    assert reserves.try_disk(wal, 2 << 20) == ()


def test_how_long_the_wal_is_after_a_fold_is_known(tmp_path: Path) -> None:
    running = begin(tmp_path, rows=[])
    for n in range(40):
        running.root.rows.append(tapmodels.Point(n, str(n) * 500))
        running.commit()
    running.store.fold(1000)
    assert running.store.statistics().wal_pages == count_frames(wal_of(tmp_path))


def test_a_store_that_is_given_up_in_the_middle_of_a_commit_opens_nothing_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "CHECKPOINT_PAGES", 0)  # moves the WAL after the commit
    running = begin(tmp_path, n=0)
    store, entered, go = running.store, threading.Event(), threading.Event()

    def wait(step: str) -> None:
        if step == "commit":
            entered.set()
            assert go.wait(PATIENCE_S)

    store.on_io = wait
    running.root.n = 1
    turn = running.freezer.freeze(None)
    assert turn is not None
    monkeypatch.setattr(stores, "connect", None)
    errors: list[BaseException] = []

    def commit() -> None:
        try:
            store.commit(turn)
        except StorageError as error:
            errors.append(error)

    thread = threading.Thread(target=commit)
    thread.start()
    assert entered.wait(PATIENCE_S)
    store.abandon()
    go.set()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert "abandoned" in str(errors[0])
    assert store._db is None
    ours = killed(running, tmp_path / "after")
    assert go_on(ours).root.n in (0, 1)
