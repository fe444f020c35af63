"""The pidfile is held by a lock; its number decides nothing."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

import pytest

from taphouse.daemon import PidFile, System
from taphouse.errors import (
    AlreadyRunningError,
    CannotCreateError,
    ConfigurationError,
    TaphouseError,
)


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


@pytest.mark.parametrize("operation", [fcntl.LOCK_SH, fcntl.LOCK_EX], ids=["who looks", "who has no process"])
def test_a_lock_that_is_no_servers_is_waited_for(path: Path, operation: int) -> None:
    """Of one who looks who holds the file, and of a child that a killed server was about to make."""

    class LetsGoWhileWeWait(System):
        def sleep(self, seconds: float) -> None:
            locked.close()

    path.write_text("4194399\n")
    locked = path.open()
    fcntl.flock(locked, operation)
    pidfile = PidFile(str(path), system=LetsGoWhileWeWait())
    pidfile.acquire()
    assert path.read_text() == f"{os.getpid()}\n"
    pidfile.release()


def test_a_lock_that_stays_is_a_server_though_its_number_is_nobodys(path: Path) -> None:
    """It may run in another container, whose numbers are not ours."""
    waits: list[float] = []

    class Counts(System):
        def sleep(self, seconds: float) -> None:
            waits.append(seconds)

    path.write_text("4194399\n")
    with path.open() as locked:
        fcntl.flock(locked, fcntl.LOCK_EX)
        with pytest.raises(AlreadyRunningError, match="PID 4194399"):
            PidFile(str(path), system=Counts()).acquire()
    assert 0 < sum(waits) < 5
    assert path.read_text() == "4194399\n"


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
