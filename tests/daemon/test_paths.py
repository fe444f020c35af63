"""What root runs from, nobody else can change."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from taphouse.daemon import (
    System,
    check_rundir,
    check_trusted,
    enter_chroot,
)
from taphouse.errors import (
    ConfigurationError,
    NotPermittedError,
)


class SeenAs(System):
    """This machine, seen by another user, with some files belonging to others."""

    def __init__(self, uid: int, owners: dict[str, tuple[int, int, int]]) -> None:
        self.uid = uid
        self.owners = owners

    def geteuid(self) -> int:
        return self.uid

    def lstat(self, path: str) -> os.stat_result:
        uid, gid, mode = self.owners.get(path, (0, 0, 0o755))
        return os.stat_result((stat.S_IFDIR | mode, 0, 0, 0, uid, gid, 0, 0, 0, 0))


@pytest.mark.parametrize(
    ("owners", "words"),
    [
        ({}, ""),
        ({"/srv/otk": (0, 50, 0o775)}, "writable by others"),
        ({"/srv/otk": (0, 0, 0o775)}, ""),
        ({"/srv/otk": (0, 0, 0o757)}, "writable by others"),
        ({"/srv/otk": (0, 0, 0o1777)}, "writable by others"),
        ({"/srv": (0, 0, 0o1777)}, ""),
        ({"/srv": (0, 0, 0o777)}, "directory /srv is writable by others"),
        ({"/srv/otk": (1000, 1000, 0o700)}, "belongs to user 1000"),
        ({"/srv": (1000, 1000, 0o755)}, "belongs to user 1000"),
        ({"/srv/otk": (500, 500, 0o700)}, ""),
        ({"/": (0, 0, 0o757)}, "directory / is writable"),
    ],
)
def test_root_runs_only_from_directories_that_nobody_else_can_change(
    owners: dict[str, tuple[int, int, int]], words: str
) -> None:
    system = SeenAs(0, owners)
    if not words:
        check_trusted("/srv/otk", "run directory", trusted=frozenset({500}), system=system)
        return
    with pytest.raises(NotPermittedError) as caught:
        check_trusted("/srv/otk", "run directory", trusted=frozenset({500}), system=system)
    assert words in str(caught.value)
    assert caught.value.exit_code == 77


def test_what_a_link_points_to_is_what_counts(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "link").symlink_to("open")
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(NotPermittedError, match="/open is writable by others"):
        check_trusted(str(tmp_path / "link"), "run directory")


def test_a_run_directory_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="does not exist"):
        check_rundir("missing")
    Path("file").touch()
    with pytest.raises(ConfigurationError, match="is not a directory"):
        check_rundir("file")
    assert check_rundir(".", system=SeenAs(os.geteuid() or 0, {})) == str(tmp_path)


def test_an_unwritable_run_directory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    with pytest.raises(NotPermittedError, match="not writable") as caught:
        check_rundir(str(tmp_path), system=SeenAs(1000, {}))
    assert caught.value.exit_code == 77


def test_chroot_is_for_root_and_for_directories_only_root_can_change(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="not a directory"):
        enter_chroot(str(tmp_path / "missing"))
    with pytest.raises(NotPermittedError, match="only root"):
        enter_chroot(str(tmp_path), system=SeenAs(1000, {}))
    with pytest.raises(NotPermittedError, match="writable by others"):
        enter_chroot(str(tmp_path), system=SeenAs(0, {str(tmp_path): (0, 0, 0o777)}))
