"""A log file rotates before the write that would cross its limit, and never stops a server."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from taphouse.daemon.logfile import LogFile
from taphouse.errors import CannotCreateError, NotPermittedError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "twistd.log"


def names(path: Path) -> list[str]:
    return sorted(os.listdir(path.parent))


def test_a_new_log_is_readable_for_its_group_and_the_umask_still_counts(path: Path) -> None:
    LogFile(str(path)).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    before = os.umask(0o077)
    try:
        LogFile(str(path) + "2").close()
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(str(path) + "2").st_mode) == 0o600


def test_an_old_log_is_continued(path: Path) -> None:
    path.write_bytes(b"old\n")
    log = LogFile(str(path))
    log.write([b"new\n", b"newer\n"])
    log.close()
    assert path.read_bytes() == b"old\nnew\nnewer\n"


def test_two_writers_never_overwrite_each_other(path: Path) -> None:
    one, two = LogFile(str(path)), LogFile(str(path))
    one.write([b"1\n"])
    two.write([b"2\n"])
    one.write([b"3\n"])
    assert path.read_bytes() == b"1\n2\n3\n"
    one.close()
    two.close()


def test_no_record_is_split_and_the_newest_old_file_is_number_one(path: Path) -> None:
    log = LogFile(str(path), rotate_bytes=10)
    records = [b"a%d\nb\n" % number for number in range(5)]
    log.write(records[:4])
    log.write(records[4:])
    log.close()
    assert names(path) == ["twistd.log", "twistd.log.1", "twistd.log.2"]
    assert path.read_bytes() == records[4]
    assert Path(f"{path}.1").read_bytes() == records[2] + records[3]
    assert Path(f"{path}.2").read_bytes() == records[0] + records[1]


def test_a_record_longer_than_the_limit_gets_a_file_of_its_own(path: Path) -> None:
    log = LogFile(str(path), rotate_bytes=10)
    log.write([b"x" * 30 + b"\n", b"y\n"])
    log.close()
    assert Path(f"{path}.1").read_bytes() == b"x" * 30 + b"\n"
    assert path.read_bytes() == b"y\n"


def test_no_limit_means_no_rotation(path: Path) -> None:
    log = LogFile(str(path), rotate_bytes=0)
    log.write([b"x" * 1000] * 100)
    log.close()
    assert names(path) == ["twistd.log"]


def test_only_so_many_old_files_are_kept_if_a_number_is_given(path: Path) -> None:
    log = LogFile(str(path), rotate_bytes=2, keep=2)
    log.write([b"%d\n" % number for number in range(6)])
    log.close()
    assert names(path) == ["twistd.log", "twistd.log.1", "twistd.log.2"]
    assert Path(f"{path}.2").read_bytes() == b"3\n"


def test_files_with_odd_names_are_left_alone(path: Path) -> None:
    odd = [
        "twistd.log.01",
        "twistd.log.old",
        "twistd.log.1.gz",
        "twistd.log.",
        "twistd.log.-1",
        "twistd.log.٣",
    ]
    for name in odd:
        (path.parent / name).write_text("odd")
    log = LogFile(str(path), rotate_bytes=2)
    log.write([b"1\n", b"2\n", b"3\n"])
    log.close()
    assert set(names(path)) == {*odd, "twistd.log", "twistd.log.1", "twistd.log.2"}
    assert all((path.parent / name).read_text() == "odd" for name in odd)


def test_a_gap_in_the_numbers_ends_the_shift(path: Path) -> None:
    for number in (1, 2, 4):
        Path(f"{path}.{number}").write_text(str(number))
    log = LogFile(str(path))
    log.write([b"now\n"])
    log.rotate()
    log.close()
    assert [Path(f"{path}.{n}").read_text() for n in (1, 2, 3, 4)] == ["now\n", "1", "2", "4"]


def test_the_mode_an_operator_set_holds_for_the_next_file_too(path: Path) -> None:
    before = os.umask(0o077)
    try:
        log = LogFile(str(path))
        path.chmod(0o644)
        log.write([b"1\n"])
        log.rotate()
    finally:
        os.umask(before)
    log.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert stat.S_IMODE(Path(f"{path}.1").stat().st_mode) == 0o644


def test_an_empty_file_is_not_rotated(path: Path) -> None:
    log = LogFile(str(path))
    log.rotate()
    log.write([b"1\n"])
    log.rotate()
    log.rotate()
    log.close()
    assert names(path) == ["twistd.log", "twistd.log.1"]


def test_a_file_that_somebody_moved_is_only_reopened(path: Path) -> None:
    log = LogFile(str(path))
    log.write([b"1\n"])
    path.rename(f"{path}.old")
    log.write([b"2\n"])
    log.rotate()
    log.write([b"3\n"])
    log.close()
    assert names(path) == ["twistd.log", "twistd.log.old"]
    assert Path(f"{path}.old").read_bytes() == b"1\n2\n"
    assert path.read_bytes() == b"3\n"


def test_a_file_that_somebody_replaced_is_only_reopened(path: Path) -> None:
    log = LogFile(str(path))
    log.write([b"1\n"])
    path.rename(f"{path}.1")
    path.write_bytes(b"created by logrotate\n")
    log.rotate()
    log.write([b"2\n"])
    log.close()
    assert names(path) == ["twistd.log", "twistd.log.1"]
    assert path.read_bytes() == b"created by logrotate\n2\n"


def test_where_nothing_can_be_renamed_the_log_just_grows(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    def refuse(old: str, new: str) -> None:
        tries.append(old)
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "rename", refuse)
    log = LogFile(str(path), rotate_bytes=20)
    log.write([b"12345678\n"] * 10)
    log.close()
    assert path.read_bytes() == b"12345678\n" * 10
    assert len(tries) == 4  # once a file's worth, not once a record


def test_after_chroot_the_name_is_the_one_inside(path: Path) -> None:
    log = LogFile(str(path))
    log.rebase(str(path.parent))
    assert log.path == "/twistd.log"
    log.close()


def test_after_chroot_a_file_outside_is_written_but_no_longer_moved(path: Path) -> None:
    log = LogFile(str(path), rotate_bytes=4)
    log.rebase("/somewhere/else")
    log.write([b"1\n", b"2\n", b"3\n"])
    log.rotate()
    log.close()
    assert names(path) == ["twistd.log"]
    assert path.read_bytes() == b"1\n2\n3\n"


def test_a_log_that_cannot_be_opened_is_an_error_of_one_line_that_names_it(tmp_path: Path) -> None:
    for bad in (tmp_path, tmp_path / "missing" / "twistd.log"):
        with pytest.raises(CannotCreateError) as caught:
            LogFile(str(bad))
        assert str(bad) in str(caught.value)
        assert caught.value.exit_code == 73


def test_a_fifo_nobody_reads_does_not_hang_the_start(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(CannotCreateError):
        LogFile(str(path))


def test_a_log_we_may_not_open_is_a_permission_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(NotPermittedError) as caught:
        LogFile(str(path))
    assert caught.value.exit_code == 77


def test_a_full_disk_loses_the_line_and_not_the_server() -> None:
    log = LogFile("/dev/full")
    log.write([b"x\n"])
    log.rotate()
    log.write([b"x\n"])
    log.close()
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


def test_stdio_follows_the_file_over_rotations(path: Path) -> None:
    saved = os.dup(1), os.dup(2)
    try:
        log = LogFile(str(path))
        log.follow_with_stdio()
        os.write(1, b"from C\n")
        log.rotate()
        os.write(2, b"from a child\n")
        log.close()
    finally:
        os.dup2(saved[0], 1)
        os.dup2(saved[1], 2)
        os.close(saved[0])
        os.close(saved[1])
    assert Path(f"{path}.1").read_bytes() == b"from C\n"
    assert path.read_bytes() == b"from a child\n"


def test_the_log_can_be_given_to_the_user_to_run_as(path: Path) -> None:
    log = LogFile(str(path))
    if os.geteuid() == 0:
        log.give_to(65534, 65533)
        assert (path.stat().st_uid, path.stat().st_gid) == (65534, 65533)
    else:
        log.give_to(0, 0)  # not allowed, and no reason to fail
        assert path.stat().st_uid == os.geteuid()
    log.write([b"1\n"])
    log.close()
    assert path.read_bytes() == b"1\n"
