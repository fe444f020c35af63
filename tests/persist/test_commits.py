"""A commit is on the disk when it returns, and whatever happens later cannot take it back."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from pathlib import Path

import pytest
import tapmodels
from tapwork import PLAN, Running, begin, difference, find, go_on, root_with

from taphouse.errors import InternalError, StateExistsError, StorageError, TapError
from taphouse.persist import (
    copy_tap_files,
    create_state,
    open_state,
    read_info,
    replace_tap,
    set_aside,
    thaw,
    write_seed,
)
from taphouse.persist.walfile import scan_wal

STATE = "tested-shutdown.tap"


def killed_copy(running: Running, folder: Path) -> Path:
    """Return a copy of the files as kill -9 would leave them now."""
    shutil.rmtree(folder / "killed", ignore_errors=True)
    (folder / "killed").mkdir()
    assert running.store.path is not None
    return copy_tap_files(running.store.path, folder / "killed")


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def test_nothing_is_written_before_the_first_commit(tmp_path: Path) -> None:
    """Creating, thawing and closing without a commit leaves every file as it was."""
    write_seed(tmp_path / "tested-start.tap", root_with(n=1), PLAN)
    before = (tmp_path / "tested-start.tap").read_bytes()
    store = create_state(tmp_path / STATE, seed=tmp_path / "tested-start.tap")
    thaw(store, find)
    assert files(tmp_path) == ["tested-start.tap"]
    store.close()
    assert files(tmp_path) == ["tested-start.tap"]
    assert (tmp_path / "tested-start.tap").read_bytes() == before


def test_while_it_runs_a_tap_is_two_files_and_afterwards_one(tmp_path: Path) -> None:
    running = begin(tmp_path, n=0)
    assert files(tmp_path) == [STATE, f"{STATE}-wal", "tested-start.tap"]
    assert read_info(tmp_path / STATE).is_open
    running.stop()
    assert files(tmp_path) == [STATE, "tested-start.tap"]
    assert not read_info(tmp_path / STATE).is_open


def test_every_commit_survives_a_kill(tmp_path: Path) -> None:
    """Ten kills, each start going on where the one before stopped."""
    running = begin(tmp_path, n=0, log=[])
    for turn in range(10):
        running.root.n = turn
        running.root.log.append(turn)
        running.commit()
        after = go_on(killed_copy(running, tmp_path))
        assert (after.root.n, after.store.epoch) == (turn, running.store.epoch)
        assert after.root.log == list(range(turn + 1))


@pytest.mark.slow
def test_a_kill_between_any_two_slices_of_a_fold_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages, chunks and deltas are half folded; each stop in between thaws to the same state."""
    monkeypatch.setattr("taphouse.persist.store.FOLD_SLICE", 1)
    monkeypatch.setattr("taphouse.persist.folding.CLEAR_ROWS", 1)
    running = begin(
        tmp_path,
        nodes=[tapmodels.Node() for _ in range(400)],
        table={n: n for n in range(5000)},
        gone=[tapmodels.Node() for _ in range(100)],
        shrinks=list(range(3000)),
    )
    for node in running.root.nodes:
        node.n = 1
    running.root.gone.clear()
    running.root.table["new"] = [1]
    running.commit()
    running.root.table[5] = tapmodels.Node()
    running.root.shrinks.reverse()
    del running.root.shrinks[1500:]
    running.root.grown = list(range(2000))
    running.commit()
    running.root.table[6] = 6
    running.commit()
    stops = 0
    while running.store.fold(1):
        stops += 1
        if stops % 3 == 0:
            running.root.n = stops
            running.root.table[7] = stops
            running.commit()
        if stops % 4 == 1:
            assert difference(running.root, go_on(killed_copy(running, tmp_path)).root) == ""
        if stops > 60:
            break
    assert stops > 10
    running.stop()
    after = go_on(tmp_path / STATE)
    assert difference(running.root, after.root) == ""
    assert after.store.info.counts["journal"] == 0


@pytest.mark.slow
def test_the_wal_is_reused_at_its_size(tmp_path: Path) -> None:
    """Checkpoints move it into the main file; it does not grow with the number of commits."""
    running = begin(tmp_path, blob=b"")
    for turn in range(130):
        running.root.blob = bytes([turn % 256]) * 200_000
        running.commit()
    assert running.store.statistics().checkpoints >= 5
    assert running.store.statistics().folds >= 3
    assert (tmp_path / f"{STATE}-wal").stat().st_size < 16 << 20
    assert (tmp_path / STATE).stat().st_size < 24 << 20
    assert go_on(killed_copy(running, tmp_path)).root.blob == running.root.blob
    running.stop()


def test_an_epoch_out_of_turn_is_refused(tmp_path: Path) -> None:
    running = begin(tmp_path, n=0)
    running.root.n = 1
    turn = running.freezer.freeze()
    assert turn is not None
    running.store.commit(turn)
    with pytest.raises(InternalError, match="epoch 2 follows epoch 2"):
        running.store.commit(turn)


def count_steps(folder: Path) -> list[str]:
    """Run the sample run once and return the names of all steps that touch the disk."""
    steps: list[str] = []
    sample_run(folder, lambda step: steps.append(step))
    return steps


def assert_one_line(error: StorageError, path: Path) -> None:
    assert error.exit_code == 74
    assert str(path) in str(error) and os.strerror(errno.EIO) in str(error)
    assert "\n" not in str(error)


def sample_run(folder: Path, on_io: object) -> list[int]:
    """Start, commit, fold, close; return what was acknowledged."""
    folder.mkdir()
    write_seed(folder / "tested-start.tap", root_with(n=0, rows=[]), PLAN)
    store = create_state(folder / STATE, seed=folder / "tested-start.tap")
    store.on_io = on_io  # type: ignore[assignment]
    running = Running(store, thaw(store, find))
    acknowledged = []
    try:
        for n in range(1, 4):
            running.root.n = n
            running.root.rows.append(bytes(20_000))
            running.commit()
            acknowledged.append(n)
            running.store.fold(1)
        running.store.close()
        acknowledged.append(-1)
    except StorageError as stopped:
        assert_one_line(stopped, folder / STATE)
        with pytest.raises(StorageError):
            running.store.fold()
        running.store.close()
    return acknowledged


@pytest.mark.slow
def test_a_failure_at_any_step_stops_the_store_and_loses_nothing_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EIO at the first, second, ... last step: exit code 74, one line, and a tap as of the last commit."""
    monkeypatch.setattr("taphouse.persist.store.CHECKPOINT_PAGES", 12)
    steps = count_steps(tmp_path / "whole")
    assert {"create", "open", "commit", "fold", "checkpoint", "close"} == set(steps)
    for stop in range(len(steps)):
        seen = 0

        def fail(_step: str, stop: int = stop) -> None:
            nonlocal seen
            seen += 1
            if seen > stop:
                raise OSError(errno.EIO, os.strerror(errno.EIO))

        folder = tmp_path / f"stop {stop}"
        acknowledged = sample_run(folder, fail)
        assert acknowledged[-1:] != [-1]
        if not (folder / STATE).exists():
            assert acknowledged == []
            continue
        (folder / "after").mkdir()
        after = go_on(copy_tap_files(folder / STATE, folder / "after")).root
        assert after.n >= max(acknowledged, default=0)
        assert len(after.rows) == after.n


def test_a_full_disk_is_a_storage_error(tmp_path: Path) -> None:
    """SQLite's own refusal, not an injected one: the file may not grow any more."""
    running = begin(tmp_path, n=0)
    assert running.store._db is not None
    (pages,) = running.store._db.execute("PRAGMA page_count").fetchone()
    running.store._db.execute(f"PRAGMA max_page_count={pages}")
    running.root.blob = bytes(1_000_000)
    with pytest.raises(StorageError, match="full"):
        running.commit()
    assert go_on(killed_copy(running, tmp_path)).root.n == 0


def test_a_tap_moved_without_its_wal_is_refused(tmp_path: Path) -> None:
    """Never older state: the cure is named, and not a byte is changed."""
    running = begin(tmp_path, n=0)
    running.root.n = 1
    running.commit()
    alone = tmp_path / "moved.tap"
    shutil.copyfile(tmp_path / STATE, alone)
    before = alone.read_bytes()
    for reader in (open_state, read_info):
        with pytest.raises(TapError, match="was not closed.*-wal is missing.*put the -wal file") as caught:
            reader(alone)
        assert "\n" not in str(caught.value)
    (tmp_path / "moved.tap-wal").write_bytes(b"")
    with pytest.raises(TapError, match="missing or empty"):
        open_state(alone)
    assert alone.read_bytes() == before


def test_a_foreign_wal_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    """The WAL of another tap, and the WAL of the same tap from before its last checkpoint."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, two = begin(tmp_path / "one", n=0), begin(tmp_path / "two", n=0)
    for running in (one, two):
        running.root.n = 5
        running.commit()
    old_wal = (tmp_path / "one" / f"{STATE}-wal").read_bytes()
    ours = killed_copy(one, tmp_path)
    wal = ours.with_name(f"{STATE}-wal")
    shutil.copyfile(tmp_path / "two" / f"{STATE}-wal", wal)
    before = ours.read_bytes(), wal.read_bytes()
    with pytest.raises(TapError, match="belongs to another tap or another time"):
        open_state(ours)
    assert (ours.read_bytes(), wal.read_bytes()) == before
    for _ in range(2):
        one.root.n += 1
        one.commit()
        one.store._checkpoint("PASSIVE")
    one.root.n += 1
    one.commit()
    ours = killed_copy(one, tmp_path)
    assert go_on(ours).root.n == 8
    ours = killed_copy(one, tmp_path)
    ours.with_name(f"{STATE}-wal").write_bytes(old_wal)
    with pytest.raises(TapError, match="belongs to another tap or another time"):
        open_state(ours)
    one.stop()
    shutil.copyfile(tmp_path / "two" / f"{STATE}-wal", tmp_path / "one" / f"{STATE}-wal")
    with pytest.raises(TapError, match="belongs to another tap or another time"):
        open_state(tmp_path / "one" / STATE)


def test_damage_in_the_middle_of_the_wal_is_refused_and_a_torn_end_is_not(tmp_path: Path) -> None:
    """SQLite alone would silently go back to the state before the damage."""
    running = begin(tmp_path, n=0)
    for n in range(10):
        running.root.n = n
        running.commit()
    ours = killed_copy(running, tmp_path)
    wal = ours.with_name(f"{STATE}-wal")
    frames = scan_wal(wal).frames
    assert frames >= 11
    whole = wal.read_bytes()[: 32 + 4120 * frames]
    for at in (40, 32 + 4120 * 3 + 500, 32 + 4120 * (frames - 4) + 30):
        damaged = bytearray(whole)
        damaged[at] ^= 1
        wal.write_bytes(damaged)
        with pytest.raises(TapError, match="damaged"):
            open_state(ours)
    wal.write_bytes(whole[:-1000])
    assert go_on(ours).root.n == 8
    header = bytearray(whole)
    header[13] ^= 1
    wal.write_bytes(header)
    with pytest.raises(TapError, match="damaged header"):
        read_info(ours)


@pytest.mark.slow
def test_a_kill_while_it_starts_is_no_trouble(tmp_path: Path) -> None:
    """At each step of the first commit of a second and third session."""
    begin(tmp_path, n=7).stop()
    for stop in range(8):
        folder = tmp_path / f"{stop}"
        folder.mkdir()
        path = copy_tap_files(tmp_path / STATE, folder)
        for _session in range(2):
            running = go_on(path)
            left = stop

            def fail(_step: str) -> None:
                nonlocal left
                left -= 1
                if left < 0:
                    raise OSError(errno.EIO, "stopped here")

            running.store.on_io = fail
            running.root.n += 1
            try:
                running.commit()
            except StorageError:
                running.root.n -= 1
            expected = running.root.n
            running.store.abandon()
            again = folder / f"{_session}"
            again.mkdir()
            path = copy_tap_files(path, again)
            assert go_on(path).root.n in (expected, expected + 1)


def test_a_seed_is_not_started_over_newer_state(tmp_path: Path) -> None:
    """State that holds commits is named with both cures; state that holds none is replaced."""
    running = begin(tmp_path, n=0)
    running.stop()
    again = create_state(tmp_path / STATE, seed=tmp_path / "tested-start.tap")
    fresh = Running(again, thaw(again, find))
    fresh.root.n = 1
    fresh.commit()
    fresh.root.n = 2
    fresh.commit()
    fresh.stop()
    with pytest.raises(StateExistsError, match="newer state.*twistd -f tested-shutdown.tap.*--fresh"):
        create_state(tmp_path / STATE, seed=tmp_path / "tested-start.tap")


def test_state_that_is_set_aside_keeps_everything(tmp_path: Path) -> None:
    """Under the first free number, as one closed file, also after a kill; a damaged one as it is."""
    running = begin(tmp_path, n=1)
    killed = killed_copy(running, tmp_path)
    assert set_aside(killed).name == f"{STATE}.1"
    assert files(killed.parent) == [f"{STATE}.1"]
    assert go_on(killed.with_name(f"{STATE}.1")).root.n == 1
    damaged = killed_copy(running, tmp_path)
    damaged.with_name(f"{STATE}.1").write_bytes(b"")
    damaged.write_bytes(damaged.read_bytes()[:5000])
    assert set_aside(damaged).name == f"{STATE}.2"
    assert files(damaged.parent) == [f"{STATE}.1", f"{STATE}.2", f"{STATE}.2-wal"]


def test_a_fresh_start_sets_aside_with_its_first_commit(tmp_path: Path) -> None:
    running = begin(tmp_path, n=1)
    running.root.n = 2
    running.stop()
    store = create_state(tmp_path / STATE, seed=tmp_path / "tested-start.tap", fresh=True)
    fresh = Running(store, thaw(store, find))
    assert files(tmp_path) == [STATE, "tested-start.tap"]
    fresh.root.n = 9
    fresh.commit()
    assert f"{STATE}.1" in files(tmp_path)
    fresh.stop()
    assert go_on(tmp_path / STATE).root.n == 9
    assert go_on(tmp_path / f"{STATE}.1").root.n == 2


def test_a_tap_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """The old one's WAL does not stay behind to be laid over the new one."""
    running = begin(tmp_path, n=1)
    killed = killed_copy(running, tmp_path)
    running.stop()
    new = killed.with_name("new.tap")
    shutil.copyfile(tmp_path / STATE, new)
    replace_tap(new, killed)
    assert files(killed.parent) == [STATE]
    assert go_on(killed).root.n == 1
    unfinished = killed_copy(begin_again(tmp_path), tmp_path)
    with pytest.raises(TapError, match="was not closed"):
        replace_tap(unfinished, tmp_path / STATE)


def begin_again(folder: Path) -> Running:
    running = go_on(folder / STATE)
    running.root.n = 3
    running.commit()
    return running


def test_a_backup_of_a_running_server_is_a_closed_tap(tmp_path: Path) -> None:
    running = begin(tmp_path, n=1, big=list(range(3000)))
    running.root.n = 2
    running.root.big.append(-1)
    running.commit()
    running.store.backup(tmp_path / "backup.tap")
    assert not read_info(tmp_path / "backup.tap").is_open
    running.root.n = 3
    running.commit()
    restored = go_on(tmp_path / "backup.tap")
    assert (restored.root.n, restored.root.big[-1]) == (2, -1)
    assert "backup.tap-wal" not in files(tmp_path)
    running.stop()


def test_reading_changes_not_one_byte(tmp_path: Path) -> None:
    """Of a running server's two files, of a seed, of a closed state."""
    running = begin(tmp_path, n=1)
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir()}
    assert read_info(tmp_path / STATE).epoch == 1
    assert read_info(tmp_path / "tested-start.tap").role == "seed"
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir()} == before
    running.stop()


def test_saving_replaces_a_seed_and_nothing_else(tmp_path: Path) -> None:
    """A state tap or a file of somebody else under that name is not overwritten."""
    path = tmp_path / "tested-start.tap"
    write_seed(path, root_with(n=1), PLAN)
    write_seed(path, root_with(n=2), PLAN)
    assert files(tmp_path) == [path.name]
    running = begin(tmp_path, n=0)
    running.stop()
    with pytest.raises(TapError, match="is the state of a server"):
        write_seed(tmp_path / STATE, root_with(n=3), PLAN)
    other = tmp_path / "letter.tap"
    other.write_text("dear reader")
    with pytest.raises(Exception, match="is there already and is no intact tap"):
        write_seed(other, root_with(n=3), PLAN)
    assert other.read_text() == "dear reader"


def test_what_cannot_be_saved_touches_no_file(tmp_path: Path) -> None:
    """The path is in the message; an older seed stays."""
    path = tmp_path / "tested-start.tap"
    write_seed(path, root_with(n=1), PLAN)
    before = path.read_bytes()
    root = root_with(account=tapmodels.Account("ann", []))
    root.account.more["later"] = lambda: 0
    with pytest.raises(TypeError, match=r"account\.more\['later'\]: a lambda cannot be saved"):
        write_seed(path, root, PLAN)
    assert path.read_bytes() == before and files(tmp_path) == [path.name]


def test_the_store_leaves_only_its_own_tables(tmp_path: Path) -> None:
    """Another program that opens the closed file finds SQLite in good order."""
    begin(tmp_path, n=1).stop()
    with sqlite3.connect(tmp_path / STATE) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert db.execute("PRAGMA application_id").fetchone() == (0x54415068,)
        assert db.execute("SELECT count(*) FROM journal").fetchone() == (0,)
    db.close()
