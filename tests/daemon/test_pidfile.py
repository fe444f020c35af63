"""The pidfile is held by a lock; its number decides nothing."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from taphouse.daemon import PidFile, System, find_pidfile_holder
from taphouse.errors import (
    AlreadyRunningError,
    CannotCreateError,
    ConfigurationError,
    NotPermittedError,
    TaphouseError,
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


def test_a_new_pidfile_holds_our_number_and_is_readable_for_others_under_any_umask(path: Path) -> None:
    before = os.umask(0o077)
    try:
        pidfile = PidFile(str(path))
        pidfile.acquire()
    finally:
        os.umask(before)
    assert path.read_text() == f"{os.getpid()}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert pidfile.is_held
    pidfile.release()
    assert not path.exists()
    assert not pidfile.is_held


def test_nothing_else_is_left_in_the_directory(path: Path) -> None:
    pidfile = PidFile(str(path))
    pidfile.acquire()
    assert os.listdir(path.parent) == ["twistd.pid"]
    pidfile.release()
    assert os.listdir(path.parent) == []


def test_where_nameless_files_do_not_exist_the_pidfile_is_made_all_the_same(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "O_TMPFILE")
    pidfile = PidFile(str(path))
    pidfile.acquire()
    assert path.read_text() == f"{os.getpid()}\n"
    with pytest.raises(AlreadyRunningError):
        PidFile(str(path)).acquire()
    pidfile.release()
    assert not path.exists()


@pytest.mark.parametrize("number", ["1", "4194399", str(os.getppid())])
def test_a_number_without_a_lock_is_stale_whoever_has_that_number_now(path: Path, number: str) -> None:
    path.write_text(f"{number}\n")
    pidfile = PidFile(str(path))
    pidfile.acquire()
    assert pidfile.stale == int(number)
    assert path.read_text() == f"{os.getpid()}\n"
    pidfile.release()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "\n",
        "http\n",
        "-1\n",
        "0\n",
        "12 13\n",
        "\uff11\uff12\n",
        "1" * 70,
        "root:x:0:0:root:/root:/bin/bash\n",
    ],
)
def test_a_file_that_holds_no_number_is_refused_and_left_alone(path: Path, content: str) -> None:
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        PidFile(str(path)).acquire()
    assert caught.value.exit_code == 78
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert ("non-numeric" in str(caught.value)) == bool(content)
    assert "--pidfile" in caught.value.cure
    assert path.read_text(encoding="utf-8") == content


def test_a_symbolic_link_is_not_followed(path: Path) -> None:
    target = path.with_name("precious")
    target.write_text("4194399\n")
    path.symlink_to(target)
    with pytest.raises(ConfigurationError, match="symbolic link"):
        PidFile(str(path)).acquire()
    assert target.read_text() == "4194399\n"


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda path: path.mkdir(), ConfigurationError),
        (os.mkfifo, ConfigurationError),
        (lambda path: path.parent.rmdir(), CannotCreateError),
    ],
    ids=["directory", "fifo", "no folder"],
)
def test_what_cannot_be_a_pidfile_is_refused_in_one_line(
    path: Path, make, error: type[TaphouseError]
) -> None:
    make(path)
    with pytest.raises(error) as caught:
        PidFile(str(path)).acquire()
    assert str(path) in str(caught.value)


def test_a_second_start_in_the_same_process_is_refused_too(path: Path) -> None:
    first, second = PidFile(str(path)), PidFile(str(path))
    first.acquire()
    with pytest.raises(AlreadyRunningError) as caught:
        second.acquire()
    assert caught.value.exit_code == 75
    assert f"PID {os.getpid()}" in str(caught.value)
    second.release()
    assert path.exists()
    first.release()
    second.acquire()
    second.release()


def test_a_relative_path_means_the_directory_of_the_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    monkeypatch.chdir(tmp_path / "a")
    pidfile = PidFile("twistd.pid")
    monkeypatch.chdir(tmp_path)
    pidfile.acquire()
    assert (tmp_path / "a" / "twistd.pid").exists()
    pidfile.release()
    assert not (tmp_path / "a" / "twistd.pid").exists()


def test_release_never_removes_a_file_that_is_not_ours(path: Path) -> None:
    mine, other = PidFile(str(path)), PidFile(str(path))
    mine.acquire()
    path.unlink()
    other.acquire()
    mine.release()
    assert path.read_text() == f"{os.getpid()}\n"
    other.release()


def test_where_the_file_cannot_be_removed_its_number_goes_so_that_kill_hits_nobody(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pidfile = PidFile(str(path))
    pidfile.acquire()
    with monkeypatch.context() as patch:

        def refuse(path: str) -> None:
            raise PermissionError(13, "Permission denied", path)

        patch.setattr(os, "unlink", refuse)
        pidfile.release()
    assert path.read_text() == "stopped\n"
    pidfile.acquire()
    assert pidfile.stale is None
    assert path.read_text() == f"{os.getpid()}\n"
    pidfile.release()


def test_after_chroot_a_file_inside_is_removed_and_one_outside_loses_its_number(path: Path) -> None:
    pidfile = PidFile(str(path))
    pidfile.acquire()
    pidfile.rebase(str(path.parent))
    assert pidfile.path == "/twistd.pid"
    pidfile.path = str(path)  # as this test is in no chroot
    pidfile.release()
    assert not path.exists()
    pidfile.acquire()
    pidfile.rebase("/somewhere/else")
    pidfile.release()
    assert path.read_text() == "stopped\n"


def test_a_file_removed_between_opening_and_locking_it_is_not_taken_for_ours(path: Path) -> None:
    class RemovesAtTheWorstMoment(System):
        first = True

        def flock(self, fd: int, operation: int) -> bool:
            if self.first:
                self.first = False
                path.unlink()  # its holder releases it now, and the lock is free
            return super().flock(fd, operation)

    path.write_text("4194399\n")
    pidfile = PidFile(str(path), system=RemovesAtTheWorstMoment())
    pidfile.acquire()
    assert path.read_text() == f"{os.getpid()}\n"
    pidfile.release()


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
