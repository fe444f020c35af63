"""A package is what dpkg expects, the same bytes wherever it is built, and whole or not there."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packagereading import EPOCH, FIELDS, ar_members, tried, unpacked

from playground import TOP
from taphouse.errors import CannotCreateError, ConfigurationError, NotPermittedError, UsageError
from taphouse.packaging import Tree, gzipped, installed_kib, manifest_text, write_deb, write_tar
from taphouse.packaging.ar import ArWriter

Build = Callable[..., Path]

dpkg = pytest.mark.skipif(
    shutil.which("dpkg-deb") is None, reason="NOT RUN: this machine has no dpkg-deb to read packages with"
)


# --- what is in it ------------------------------------------------------------------------------


def test_the_members_are_those_of_a_package(tree: Tree, build: Build) -> None:
    members = ar_members(build(tree).read_bytes())
    assert list(members) == ["debian-binary", "control.tar.xz", "data.tar.xz"]
    assert members["debian-binary"] == b"2.0\n"


def test_every_folder_is_there_before_what_lies_in_it(tree: Tree, build: Build) -> None:
    names = unpacked(build(tree), "data.tar.xz").getnames()
    assert names[0] == "."
    for name in names[1:]:
        assert os.path.dirname(name) in names[: names.index(name)]


def test_everything_is_roots_and_of_one_time(tree: Tree, build: Build) -> None:
    for member in unpacked(build(tree), "data.tar.xz"):
        assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "root", "root")
        assert member.mtime == EPOCH


def test_sums_are_of_all_files_but_what_the_administrator_edits(tree: Tree, build: Build) -> None:
    control = unpacked(build(tree, conffiles=["/etc/otk/otk.conf"]), "control.tar.xz")
    sums = dict(
        reversed(line.split("  ")) for line in control.extractfile("./md5sums").read().decode().splitlines()
    )
    assert sorted(sums) == ["usr/lib/otk/__main__.py", "usr/lib/otk/vendor/big.so", "usr/sbin/otk"]
    assert sums["usr/sbin/otk"] == hashlib.md5(b"#!/bin/sh\n").hexdigest()
    assert control.extractfile("./conffiles").read() == b"/etc/otk/otk.conf\n"


def test_the_installed_size_counts_files_in_whole_kib_and_one_for_all_else(tree: Tree, build: Build) -> None:
    # 8 folders and a link; 250 KiB and three small files
    assert installed_kib(tree) == 8 + 1 + 250 + 3
    control = unpacked(build(tree), "control.tar.xz").extractfile("./control").read().decode()
    assert "Installed-Size: 262\n" in control


def test_maintainer_scripts_can_be_run(tree: Tree, build: Build) -> None:
    control = unpacked(build(tree, scripts={"postinst": "#!/bin/sh\n"}), "control.tar.xz")
    assert control.getmember("./postinst").mode == 0o755


@dpkg
def test_dpkg_reads_it_as_it_was_meant(tree: Tree, build: Build, tmp_path: Path) -> None:
    deb = build(tree, conffiles=["/etc/otk/otk.conf"], scripts={"postinst": "#!/bin/sh\nexit 0\n"})

    def run(*arguments: str) -> str:
        done = subprocess.run(["dpkg-deb", *arguments], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    assert run("-f", str(deb), "Package", "Version") == "Package: otk\nVersion: 1.0\n"
    assert "one-time keys" in run("-I", str(deb))
    listed = [line.split(maxsplit=5)[::5] for line in run("-c", str(deb)).splitlines()]
    assert ["-rwxr-xr-x", "./usr/sbin/otk"] in listed
    assert ["lrwxrwxrwx", "./usr/lib/otk/tap -> server.tap"] in listed
    run("-x", str(deb), str(tmp_path / "out"))
    for path, node in tree:
        here = tmp_path / "out" / path
        if node.is_file:
            assert here.read_bytes() == b"".join(node.read())
            assert here.stat().st_mode & 0o7777 == node.mode
        assert here.is_dir() or node.is_file or os.readlink(here) == node.target


names = st.text(st.characters(codec="utf-8", exclude_characters="/", exclude_categories=["Cc"]), min_size=1)
paths = st.lists(names.filter(lambda name: name not in {".", ".."} and len(name.encode()) < 200), min_size=1)


@given(st.dictionaries(paths.map("/".join), st.binary(max_size=2000), max_size=20))
@tried(50)
def test_any_tree_is_read_back_as_it_was(files: dict[str, bytes]) -> None:
    tree = Tree()
    kept = {}
    for path, content in files.items():
        try:
            tree.add_file(path, content)
        except ConfigurationError as error:
            assert "two things" in error.message or "not a folder" in error.message  # noqa: PT017
        else:
            kept[f"./{path}"] = content
    packed = io.BytesIO()
    write_tar(tree, packed, EPOCH)
    packed.seek(0)
    with tarfile.open(fileobj=packed) as archive:
        read = {member.name: archive.extractfile(member) for member in archive}
    assert {name: kept[name] for name in read if name in kept} == kept
    with tarfile.open(fileobj=io.BytesIO(packed.getvalue())) as archive:
        assert {m.name: archive.extractfile(m).read() for m in archive if m.isfile()} == kept


def test_a_member_of_odd_size_is_padded_and_a_name_is_short() -> None:
    file = io.BytesIO()
    archive = ArWriter(file, EPOCH)
    for name in ("one", "two"):
        with archive.member(name) as member:
            member.write(name.encode())
    assert ar_members(file.getvalue()) == {"one": b"one", "two": b"two"}
    assert len(file.getvalue()) == 8 + 2 * (60 + 4)
    for name in ("", "a b", "a/b", "x" * 16, "é"):
        with pytest.raises(ValueError, match="cannot name a member"), archive.member(name):
            pass


# --- the same bytes -----------------------------------------------------------------------------

PROGRAM = f"""
import os, sys
sys.path.insert(0, {str(TOP / "src")!r})
from taphouse.packaging.ar import ArWriter
from taphouse.packaging import Tree, gzipped, write_deb
tree = Tree()
for name in sorted({{"b", "a", "é", "a-b", "a.c"}}, key=hash):
    tree.add_file(f"usr/share/{{name}}/x", gzipped(name * 1000))
    tree.copy_file(f"usr/lib/{{name}}/main.py", {__file__!r})
write_deb(sys.argv[1], {FIELDS!r}, tree, epoch={EPOCH})
print(oct(os.stat(sys.argv[1]).st_mode & 0o777))
"""


def test_the_bytes_depend_on_nothing_but_what_goes_in(tmp_path: Path) -> None:
    found = set()
    surroundings = [
        ("0", "UTC", "C", 0o022),
        ("1", "Asia/Kathmandu", "C.UTF-8", 0o077),
        ("2", "America/St_Johns", "POSIX", 0o000),
    ]
    for number, (seed, zone, locale, mask) in enumerate(surroundings):
        folder = tmp_path / f"somewhere{number}"
        folder.mkdir()
        environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": locale}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, "otk.deb"],
            cwd=folder,
            env=environment,
            umask=mask,
            capture_output=True,
            text=True,
        )
        assert done.stderr == ""
        assert done.stdout == f"{oct(0o666 & ~mask)}\n"
        found.add((folder / "otk.deb").read_bytes())
    assert len(found) == 1


def test_what_is_gzipped_has_neither_name_nor_time() -> None:
    # RFC 1952: no flags, time 0, best compression, unknown or UNIX system.
    assert gzipped("x" * 100)[:9] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02"


@pytest.mark.parametrize("epoch", [0, 441763199, 4102444800])
def test_a_time_that_no_package_has_is_refused(tree: Tree, build: Build, epoch: int) -> None:
    with pytest.raises(UsageError, match="between 1985 and 2099"):
        build(tree, epoch=epoch)


# --- whole, or not there ------------------------------------------------------------------------


def test_a_package_replaces_the_one_before(tree: Tree, build: Build, tmp_path: Path) -> None:
    (tmp_path / "otk.deb").write_text("old")
    assert build(tree).read_bytes()[:8] == b"!<arch>\n"
    assert sorted(os.listdir(tmp_path)) == ["big", "otk.deb"]


@pytest.mark.parametrize("room", [0, 100, 1000])
def test_a_full_disk_leaves_what_was_there(
    tree: Tree, build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    import builtins

    (tmp_path / "otk.deb").write_text("old")
    really = builtins.open

    class Full(io.FileIO):
        def write(self, data: bytes) -> int:
            if self.tell() + len(data) > room:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data)

    def opened(name: str, mode: str = "r", *more: object, **others: object) -> object:
        return Full(name, mode) if mode == "x+b" else really(name, mode, *more, **others)

    monkeypatch.setattr(builtins, "open", opened)
    with pytest.raises(CannotCreateError, match=r"otk\.deb: No space left on device; choose a folder"):
        build(tree)
    monkeypatch.undo()
    assert (tmp_path / "otk.deb").read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["big", "otk.deb"]


def test_a_limit_of_the_kernel_is_told_like_a_full_disk(tmp_path: Path) -> None:
    program = (
        "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))\n"
        "import sys\nsys.dont_write_bytecode = True\n"
        + PROGRAM.replace("gzipped(name * 1000)", "os.urandom(9000)")
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "otk.deb"], cwd=tmp_path, capture_output=True, text=True
    )
    assert "CannotCreateError: otk.deb: File too large" in done.stderr
    assert os.listdir(tmp_path) == []


def test_a_file_that_grows_meanwhile_is_noticed(tree: Tree, build: Build, tmp_path: Path) -> None:
    for content in (b"longer" * 100000, b"short", b"y" * 256000):
        (tmp_path / "big").write_bytes(bytes(range(256)) * 1000)
        sums = _Changing(tmp_path / "big", content)
        with pytest.raises(ConfigurationError, match="changed while it was read"):
            build(tree, scripts=sums)
        assert sorted(os.listdir(tmp_path)) == ["big"]


class _Changing(dict):  # type: ignore[type-arg]
    """Maintainer scripts that change a file when they are looked at: after the sums, before the copy."""

    def __init__(self, path: Path, content: bytes) -> None:
        super().__init__(postinst="")
        self._change = lambda: path.write_bytes(content)

    def items(self) -> object:  # type: ignore[override]
        self._change()
        return super().items()


def test_a_file_that_vanishes_is_named(tree: Tree, build: Build, tmp_path: Path) -> None:
    (tmp_path / "big").unlink()
    with pytest.raises(ConfigurationError, match=r"big: cannot be read: No such file"):
        build(tree)


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("no/such/otk.deb", CannotCreateError, "No such file or directory"),
        ("big/otk.deb", CannotCreateError, "Not a directory"),
        ("folder", CannotCreateError, "is a folder"),
    ],
)
def test_where_nothing_can_be_made_is_told(
    tree: Tree, tmp_path: Path, path: str, error: type[Exception], message: str
) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(error, match=message):
        write_deb(tmp_path / path, FIELDS, tree, epoch=EPOCH)


def test_a_folder_that_is_not_ours_to_write_is_told(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: str, target: str) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(NotPermittedError, match=r"otk\.deb: Operation not permitted"):
        write_deb(tmp_path / "otk.deb", FIELDS, tree, epoch=EPOCH)
    assert os.listdir(tmp_path) == ["big"]


# --- trees that cannot be -----------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", "/", "a//b", "../x", "a/./b", "a\nb", "a/\x7f", "x" * 256])
def test_paths_that_no_package_can_have_are_refused(path: str) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be a path|more than 255 bytes"):
        Tree().add_file(path, b"")


def test_one_path_holds_one_thing(tree: Tree) -> None:
    with pytest.raises(ConfigurationError, match="/usr/sbin/otk: two things"):
        tree.add_file("usr/sbin/otk", b"")
    with pytest.raises(ConfigurationError, match="/usr/sbin/otk/x: lies in /usr/sbin/otk, which is not"):
        tree.add_file("usr/sbin/otk/x", b"")
    with pytest.raises(ConfigurationError, match="/usr/lib: two things"):
        tree.add_link("usr/lib", "lib64")
    tree.add_folder("usr/lib", 0o700)
    assert tree["/usr/lib"].mode == 0o700


def test_only_regular_files_are_copied(tree: Tree, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is not a regular file"):
        tree.copy_file("x", tmp_path)
    with pytest.raises(ConfigurationError, match="gone: cannot be read"):
        tree.copy_file("x", tmp_path / "gone")


def test_a_conffile_is_a_file_of_the_package(tree: Tree, build: Build) -> None:
    for name in ("/etc/other", "etc/otk/otk.conf", "/etc/otk"):
        with pytest.raises(ValueError, match="no file of the package"):
            build(tree, conffiles=[name])


# --- the list of it all -------------------------------------------------------------------------


def test_the_manifest_has_every_file_with_its_sum(tree: Tree) -> None:
    listed = json.loads(manifest_text(tree))["files"]
    assert list(listed) == sorted(listed)
    assert listed["/usr/lib/otk/tap"] == {"link": "server.tap"}
    assert listed["/usr/sbin/otk"] == {"size": 10, "sha256": hashlib.sha256(b"#!/bin/sh\n").hexdigest()}
    big = bytes(range(256)) * 1000
    assert listed["/usr/lib/otk/vendor/big.so"]["sha256"] == hashlib.sha256(big).hexdigest()
    assert len(listed) == 5
