"""Pidfiles between processes: holders that live, end, are killed, fork, and a hundred at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from taphouse.daemon import PidFile, System, find_pidfile_holder
from taphouse.errors import (
    AlreadyRunningError,
    NotPermittedError,
)

HOLDER = """
import os, sys
from taphouse.daemon import PidFile
PidFile(sys.argv[1]).acquire()
print("held", flush=True)
sys.stdin.read()
os._exit(0)
"""


def start_holder(path: Path) -> subprocess.Popen[str]:
    """Start another process that holds the pidfile until its stdin closes."""
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    return child


def end(child: subprocess.Popen[str]) -> None:
    child.kill()
    child.communicate()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "twistd.pid"


@pytest.mark.process
def test_a_live_holder_is_named_and_its_file_untouched(path: Path) -> None:
    child = start_holder(path)
    try:
        with pytest.raises(AlreadyRunningError) as caught:
            PidFile(str(path)).acquire()
        text = str(caught.value)
        assert f"PID {child.pid}" in text
        assert sys.executable in text
        assert os.getcwd() in text
        assert str(path) in text
        assert "\n" not in text
        holder = find_pidfile_holder(str(path))
        assert holder is not None
        assert holder.pid == child.pid
        assert path.read_text() == f"{child.pid}\n"
    finally:
        end(child)


@pytest.mark.process
def test_after_kill_9_the_next_start_just_works(path: Path) -> None:
    child = start_holder(path)
    end(child)
    assert find_pidfile_holder(str(path)) is None
    pidfile = PidFile(str(path))
    pidfile.acquire()
    assert pidfile.stale == child.pid
    pidfile.release()


@pytest.mark.process
def test_a_start_waits_for_a_holder_that_is_ending(path: Path) -> None:
    child = start_holder(path)
    assert child.stdin is not None

    class EndsWhileWeWait(System):
        def sleep(self, seconds: float) -> None:
            child.communicate("")

    pidfile = PidFile(str(path), system=EndsWhileWeWait())
    pidfile.acquire(wait_s=30)
    assert path.read_text() == f"{os.getpid()}\n"
    pidfile.release()


@pytest.mark.process
def test_a_forked_child_does_not_keep_the_lock_nor_remove_the_file(path: Path) -> None:
    pidfile = PidFile(str(path))
    pidfile.acquire()
    read_end, write_end = os.pipe()
    child = os.fork()
    if not child:
        os.write(write_end, b"h" if pidfile.is_held else b"x")
        pidfile.release()
        os.write(write_end, b"r")
        signal.pause()
        os._exit(0)
    try:
        assert os.read(read_end, 1) == b"x"
        assert os.read(read_end, 1) == b"r"
        assert path.exists()
        with pytest.raises(AlreadyRunningError):
            PidFile(str(path)).acquire()
        pidfile.release()
        second = PidFile(str(path))
        second.acquire()  # the child is alive and must not hold anything
        second.release()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(read_end)
        os.close(write_end)


@pytest.mark.process
@pytest.mark.parametrize("before", [None, "4194399\n"], ids=["no file", "stale file"])
def test_of_a_hundred_simultaneous_starters_exactly_one_wins(path: Path, before: str | None) -> None:
    for _ in range(3):
        if before:
            path.write_text(before)
        start_read, start_write = os.pipe()
        result_read, result_write = os.pipe()
        end_read, end_write = os.pipe()
        children = []
        for _ in range(100):
            child = os.fork()
            if not child:
                os.close(start_write)
                os.close(end_write)
                os.read(start_read, 1)  # the barrier: end of file releases all at once
                try:
                    PidFile(str(path)).acquire()
                    answer = b"W"
                except AlreadyRunningError as refused:
                    # The winner is named, unless it has not yet said who it is.
                    answer = b"L" if "PID" in str(refused) else b"?"
                except BaseException:
                    answer = b"E"
                os.write(result_write, answer)
                os.read(end_read, 1)
                os._exit(0)
            children.append(child)
        os.close(start_write)
        answers = b""
        while len(answers) < 100:
            answers += os.read(result_read, 100)
        try:
            assert answers.count(b"W") == 1
            assert answers.count(b"L") == 99
            assert int(path.read_text()) in children
        finally:
            os.close(end_write)
            for child in children:
                os.waitpid(child, 0)
            for fd in (start_read, result_read, result_write, end_read):
                os.close(fd)
        path.unlink()


def needs_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("NOT RUN: needs root to become another user in a child process")


@pytest.mark.process
def test_a_directory_of_another_user_is_a_permission_error_that_names_the_file(path: Path) -> None:
    needs_root()
    path.parent.chmod(0o755)
    code = (
        "import os, sys\nfrom taphouse.daemon import PidFile\nfrom taphouse.errors import NotPermittedError\n"
        "os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)\n"
        "try:\n    PidFile('/taphouse-test.pid').acquire()\n"
        "except NotPermittedError as refused:\n    print(refused); sys.exit(refused.exit_code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == NotPermittedError.exit_code == 77, done.stderr
    assert "/taphouse-test.pid" in done.stdout
