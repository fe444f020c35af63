"""Where a state may lie, and what is said when its disk fails."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

import pytest

from taphouse.errors import CannotCreateError, ConfigurationError
from taphouse.persist import check_place, places
from taphouse.persist.places import failure_of, judge, place_of

MOUNTINFO = r"""
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,errors=remount-ro
23 22 0:21 / /proc rw,nosuid - proc proc rw
24 22 0:22 / /dev/shm rw,nosuid,nodev - tmpfs tmpfs rw
30 22 0:40 / /home rw,relatime shared:30 master:2 - nfs4 filer:/home rw,vers=4.2,hard
31 30 254:1 / /home/local rw - xfs /dev/vdb rw
32 22 0:41 / /mnt/with\040a\040blank rw - cifs //filer/share rw
33 22 0:42 / /mnt/seen rw - ext4 /dev/vdc rw
34 33 0:43 / /mnt/seen rw - 9p share rw
35 22 0:44 / /mnt/ssh rw - fuse.sshfs a@b:/ rw
36 22 0:45 / /mnt/ntfs rw - fuseblk /dev/sda1 rw
37 22 0:46 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw,lowerdir=a
38 22 0:47 / /mnt/s3 rw - fuse.s3fs s3fs rw
39 22 0:48 / /mnt/vm rw - virtiofs share rw
torn line
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/", "ext4"),
        ("/homeless", "ext4"),
        ("/home", "nfs4"),
        ("/home/me/otk", "nfs4"),
        ("/home/local/otk", "xfs"),
        ("/home/localized", "nfs4"),
        ("/mnt/with a blank/otk", "cifs"),
        ("/mnt/seen", "9p"),
        ("/dev/shm/a/b", "tmpfs"),
    ],
)
def test_a_folder_lies_on_the_nearest_mount_above_it(folder, kind):
    assert place_of(MOUNTINFO, folder).kind == kind


@pytest.mark.parametrize(
    ("folder", "why"),
    [
        ("/home/me", "/home is nfs4: its locks do not hold"),
        ("/mnt/with a blank", "/mnt/with a blank is cifs: its locks do not hold"),
        ("/mnt/seen/deep", "is 9p: its locks"),
        ("/mnt/ssh/x", "is fuse.sshfs: its locks"),
        ("/mnt/s3", "is fuse.s3fs: its syncs return before the data is safe"),
    ],
)
def test_a_state_over_a_network_is_refused_with_the_reason_and_the_cure(folder, why):
    with pytest.raises(ConfigurationError, match=why) as caught:
        judge(place_of(MOUNTINFO, folder))
    assert caught.value.exit_code == 78
    assert caught.value.cure == "keep the state on a local disk (--state, -d)"


@pytest.mark.parametrize("folder", ["/mnt/ntfs", "/mnt/vm"])
def test_what_nobody_can_judge_is_warned_of(folder):
    assert "whether a sync reaches a disk is up to the program behind it" in judge(
        place_of(MOUNTINFO, folder)
    )


@pytest.mark.parametrize("folder", ["/", "/home/local", "/dev/shm", "/var/lib/docker/overlay2/x/merged/srv"])
def test_local_disks_memory_and_overlays_are_fine(folder):
    assert not judge(place_of(MOUNTINFO, folder))


def test_nothing_is_known_of_a_place_without_mountinfo():
    assert not judge(place_of("", "/srv"))


def test_the_place_of_these_tests_is_fine_and_proc_is_not_there_in_a_chroot(tmp_path, monkeypatch):
    assert not check_place(tmp_path)
    assert not check_place(tmp_path / "missing")

    def closed(*_args):
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", closed)
    assert not check_place(tmp_path)


def test_a_folder_that_can_only_be_read_is_refused(tmp_path, monkeypatch):
    flags = type("Found", (), {"f_flag": places.os.ST_RDONLY})
    monkeypatch.setattr(places.os, "statvfs", lambda _folder: flags)
    with pytest.raises(CannotCreateError, match="is mounted read-only") as caught:
        check_place(tmp_path)
    assert caught.value.exit_code == 73


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "free space on its disk"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "raise the quota"),
        (OSError(errno.EROFS, "Read-only file system"), "mount its disk for writing again"),
        (OSError(errno.EIO, "Input/output error"), "the kernel's log says what is wrong"),
        (sqlite3.OperationalError("disk I/O error"), "the kernel's log says what is wrong"),
    ],
)
def test_a_failure_is_told_with_its_cure(tmp_path, error, says):
    told = failure_of(tmp_path / "a.tap", "commit", error)
    assert told.exit_code == 74
    assert str(told).startswith(f"{tmp_path}/a.tap: commit: ")
    assert "the tap is intact as of the last commit" in told.cure
    assert says in told.cure


def test_what_sqlite_does_not_tell_is_found_out_by_a_write_that_leaves_nothing(tmp_path, monkeypatch):
    error = sqlite3.OperationalError("disk I/O error")
    assert list(tmp_path.iterdir()) == []

    def over_quota(*_args):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(places.os, "write", over_quota)
    told = failure_of(tmp_path / "a.tap", "commit", error)
    assert "disk I/O error: Disk quota exceeded" in str(told)
    assert "raise the quota" in told.cure
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_sqlite_finds_moved_is_said_to_be(tmp_path):
    error = sqlite3.OperationalError("attempt to write a readonly database")
    error.sqlite_errorname = "SQLITE_READONLY_DBMOVED"
    told = failure_of(tmp_path / "a.tap", "commit", error)
    assert "a.tap was moved, removed or replaced by somebody else" in str(told)
    assert "bring its files back" in told.cure
