"""`tap tree` writes what a package would install, whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest
from workshop import Workshop, contents

from taphouse.cli.shipping.plaintree import write_tree
from taphouse.errors import CannotCreateError, ConfigurationError, NotPermittedError
from taphouse.packaging import Tree

EPOCH = 1790000000


@pytest.fixture
def tree() -> Tree:
    made = Tree()
    made.add_file("usr/sbin/otk", "#!/bin/sh\n", 0o755)
    made.add_file("usr/lib/otk/server.tap", b"seed")
    made.add_folder("var/lib/otk", 0o700)
    made.add_link("usr/lib/otk/tap", "server.tap")
    return made


def state_of(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Path -> mode and content."""
    found = {}
    for path in sorted(folder.rglob("*")):
        mode = stat.S_IMODE(path.lstat().st_mode)
        content = os.readlink(path).encode() if path.is_symlink() else b""
        found[str(path.relative_to(folder))] = (mode, path.read_bytes() if path.is_file() else content)
    return found


# --- the folder ---------------------------------------------------------------------------------


def test_everything_is_there_with_its_mode_and_time_whatever_the_umask(tree: Tree, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_tree(str(tmp_path / "out"), tree, EPOCH)
    finally:
        os.umask(before)
    found = state_of(tmp_path / "out")
    assert found["usr/sbin/otk"] == (0o755, b"#!/bin/sh\n")
    assert found["var/lib/otk"] == (0o700, b"")
    assert os.readlink(tmp_path / "out/usr/lib/otk/tap") == "server.tap"
    for path in (tmp_path / "out", *(tmp_path / "out").rglob("*")):
        assert path.lstat().st_mtime == EPOCH
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o755
    assert os.listdir(tmp_path) == ["out"]


def test_a_folder_that_is_empty_is_filled(tree: Tree, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    write_tree(str(tmp_path / "out"), tree, EPOCH)
    assert (tmp_path / "out/usr/sbin/otk").is_file()


def test_a_folder_with_something_in_it_is_replaced_when_that_is_asked_for(tree: Tree, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").write_text("mine")
    with pytest.raises(CannotCreateError, match=r"out: is not empty; choose another \(-o\), or .*--force"):
        write_tree(str(tmp_path / "out"), tree, EPOCH)
    assert os.listdir(tmp_path / "out") == ["mine"]
    write_tree(str(tmp_path / "out"), tree, EPOCH, replace=True)
    assert sorted(os.listdir(tmp_path / "out")) == ["usr", "var"]
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_is_no_folder_is_never_replaced(tree: Tree, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "out"
    path.write_text("mine") if kind == "file" else path.symlink_to(tmp_path)
    with pytest.raises(CannotCreateError, match="is there, and is no folder"):
        write_tree(str(path), tree, EPOCH, replace=True)
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("call", ["mkdir", "symlink", "utime", "rename"])
def test_a_full_disk_leaves_what_was_there(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").write_text("mine")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        really = getattr(os, call)
        # The first folder is the one to work in.
        calls = iter(range(1000))
        patch.setattr(
            os, call, lambda *a, **k: (really if next(calls) < (call == "mkdir") else full)(*a, **k)
        )
        with pytest.raises(CannotCreateError, match="out: No space left on device; choose a folder"):
            write_tree(str(tmp_path / "out"), tree, EPOCH, replace=True)
    assert state_of(tmp_path) == {"out": (0o755, b""), "out/mine": (0o644, b"mine")}


def test_where_nothing_may_be_made_is_told(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CannotCreateError, match="nowhere/out: No such file or directory"):
        write_tree(str(tmp_path / "nowhere/out"), tree, EPOCH)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(NotPermittedError, match="out: Permission denied"):
        write_tree(str(tmp_path / "out"), tree, EPOCH)
    assert os.listdir(tmp_path) == []


def test_a_file_that_vanishes_meanwhile_leaves_nothing(tree: Tree, tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text("x")
    tree.copy_file("usr/lib/otk/app/module.py", tmp_path / "module.py")
    (tmp_path / "module.py").unlink()
    with pytest.raises(ConfigurationError, match=r"module\.py: cannot be read"):
        write_tree(str(tmp_path / "out"), tree, EPOCH)
    assert os.listdir(tmp_path) == []


# --- the command --------------------------------------------------------------------------------


@pytest.mark.process
def test_it_is_what_the_package_would_install(otk: Workshop, tmp_path: Path) -> None:
    out = tmp_path / "out"
    told = otk.run("tap", "tree", "-o", str(out), "otk-start.tap").stdout
    found = {f"/{path.relative_to(out)}": path.read_bytes() for path in out.rglob("*") if path.is_file()}
    (deb,) = otk.folder.glob("*.deb")
    assert found == contents(deb)
    assert told.startswith(f"{out}: otk 1.0, {len(found)} files")
    assert "  needs   python3.11" in told
    line = otk.refused("tap", "tree", "-o", str(out), "otk-start.tap", status=73)
    assert line == f"tap: {out}: is not empty; choose another (-o), or let it be replaced (--force)\n"
