"""One process per tap, whatever name it is called by."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tapwork import PLAN, begin, root_with

from playground import PATIENCE_S
from taphouse.errors import AlreadyRunningError, CannotCreateError
from taphouse.persist import TapLock, locks, write_seed
from taphouse.persist.locks import lock_path

HOLD = """
import sys
from taphouse.persist import TapLock
lock = TapLock(sys.argv[1])
lock.acquire(0)
print("held", flush=True)
sys.stdin.read()
lock.release()
"""


@contextmanager
def held_elsewhere(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Let another process hold the lock of ``path``."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.stdin.close()
        process.wait(PATIENCE_S)
        process.stdout.close()


@contextmanager
def owned_by_one_and_asked_for_by_another(path: Path) -> Iterator[int]:
    """Let another process own ``path`` by another name; this one holds the file beside it, as who waits does.

    Yields the owner's process id.
    """
    write_seed(path, root_with(n=1), PLAN)
    (path.parent / "other").mkdir()
    os.link(path, path.parent / "other" / "hard.tap")
    with held_elsewhere(path.parent / "other" / "hard.tap") as owner:
        lock_path(path).touch()
        with lock_path(path).open() as waiting:
            fcntl.flock(waiting, fcntl.LOCK_EX)
            yield owner.pid


@pytest.mark.process
def test_a_lock_is_met_under_every_name_of_the_tap(tmp_path: Path) -> None:
    """Hard link, symbolic link, another folder; the message names process, command and folder."""
    path = tmp_path / "one.tap"
    write_seed(path, root_with(n=1), PLAN)
    (tmp_path / "other").mkdir()
    os.link(path, tmp_path / "other" / "hard.tap")
    (tmp_path / "soft.tap").symlink_to(path)
    (tmp_path / "folder").symlink_to(tmp_path / "other")
    with held_elsewhere(path) as holder:
        for name in ("one.tap", "soft.tap", "other/hard.tap", "folder/hard.tap"):
            with pytest.raises(AlreadyRunningError) as caught:
                TapLock(tmp_path / name).acquire(0)
            text = str(caught.value)
            assert f"process {holder.pid} uses it" in text and "TapLock" in text and os.getcwd() in text
            assert "\n" not in text and caught.value.exit_code == 75
    lock = TapLock(tmp_path / "folder" / "hard.tap")
    lock.acquire(0)
    lock.release()


@pytest.mark.process
def test_the_owner_is_named_and_not_another_who_waits_for_it(tmp_path: Path) -> None:
    """Who waits holds the file beside the tap for an instant; the tap's own inode says who owns it."""
    path = tmp_path / "one.tap"
    with (
        owned_by_one_and_asked_for_by_another(path) as pid,
        pytest.raises(AlreadyRunningError, match=f"process {pid} uses it"),
    ):
        TapLock(path).acquire(0)


@pytest.mark.process
def test_who_is_refused_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "one.tap"
    write_seed(path, root_with(n=1), PLAN)
    (tmp_path / "other").mkdir()
    os.link(path, tmp_path / "other" / "hard.tap")
    with held_elsewhere(tmp_path / "other" / "hard.tap"):
        with pytest.raises(AlreadyRunningError):
            TapLock(path).acquire(0)
        assert not lock_path(path).exists()
        assert lock_path(tmp_path / "other" / "hard.tap").exists()


def test_a_lock_given_back_between_opening_and_locking_its_file_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even who does not wait is told then that another process uses the tap."""
    path, flock, removed = tmp_path / "x.tap", fcntl.flock, []

    def removes_at_the_worst_moment(descriptor: int, operation: int) -> None:
        if len(removed) < 3:
            removed.append(lock_path(path).unlink())
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", removes_at_the_worst_moment)
    lock = TapLock(path)
    lock.acquire(0)
    assert lock.is_held and len(removed) == 3
    lock.release()
    assert os.listdir(tmp_path) == []


@pytest.mark.process
def test_the_owner_is_named_though_the_kernel_left_it_out_of_a_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``/proc/locks`` comes page by page, and a line is lost when another goes between two pages."""
    path = tmp_path / "one.tap"
    whole = locks._read_holders
    looks = iter([True, True])

    def look() -> dict[tuple[int, int], int]:
        holders = whole()
        if next(looks, False):
            status = path.stat()
            holders.pop((status.st_dev, status.st_ino), None)
        return holders

    monkeypatch.setattr(locks, "_read_holders", look)
    with (
        owned_by_one_and_asked_for_by_another(path) as pid,
        pytest.raises(AlreadyRunningError, match=f"process {pid} uses it"),
    ):
        TapLock(path).acquire(0)


@pytest.mark.process
def test_a_tap_that_does_not_exist_yet_can_be_locked(tmp_path: Path) -> None:
    """And nothing is left of that lock afterwards, nor after a kill once it was taken again."""
    path = tmp_path / "new.tap"
    with held_elsewhere(path) as holder, pytest.raises(AlreadyRunningError, match=f"process {holder.pid}"):
        TapLock(path).acquire(0)
    assert os.listdir(tmp_path) == []
    with held_elsewhere(path) as holder:
        holder.send_signal(signal.SIGKILL)
        holder.wait(PATIENCE_S)
        lock = TapLock(path)
        lock.acquire(0)
        assert lock.is_held
        lock.release()
    assert os.listdir(tmp_path) == []


@pytest.mark.process
def test_a_start_waits_for_a_holder_that_is_ending(tmp_path: Path) -> None:
    with held_elsewhere(tmp_path / "x.tap") as holder:
        assert holder.stdin is not None
        holder.stdin.close()
        lock = TapLock(tmp_path / "x.tap")
        lock.acquire(PATIENCE_S)
        lock.release()


@pytest.mark.process
def test_a_child_of_a_fork_does_not_keep_the_lock(tmp_path: Path) -> None:
    """The parent ends, the child lives on: the tap is free."""
    program = (
        "import os, sys\n"
        "from taphouse.persist import TapLock\n"
        "lock = TapLock(sys.argv[1]); lock.acquire(0)\n"
        "if os.fork() == 0:\n"
        "    os.close(1); sys.stdin.read(); os._exit(0)\n"
        "os._exit(0)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "x.tap")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdin is not None and child.stdout is not None
    child.wait(PATIENCE_S)
    with child.stdin, child.stdout:
        lock = TapLock(tmp_path / "x.tap")
        lock.acquire(PATIENCE_S)
        lock.release()


def test_the_file_a_server_makes_is_locked_before_it_has_its_name(tmp_path: Path) -> None:
    """A second start that finds the new tap under another name meets its lock."""
    lock = TapLock(tmp_path / "tested-shutdown.tap")
    lock.acquire(0)
    running = begin(tmp_path, n=1)
    os.link(tmp_path / "tested-shutdown.tap", tmp_path / "hard.tap")
    with pytest.raises(AlreadyRunningError, match=f"process {os.getpid()}"):
        TapLock(tmp_path / "hard.tap").acquire(0)
    running.stop()
    lock.release()
    second = TapLock(tmp_path / "hard.tap")
    second.acquire(0)
    second.release()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CannotCreateError, match="none: No such file or directory; create the folder"):
        TapLock(tmp_path / "none" / "x.tap").acquire(0)
