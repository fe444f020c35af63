"""Debian packages become the lowest layer of an image, as dpkg would unpack them, without their scripts."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from packagereading import EPOCH, FIELDS

from taphouse.errors import ConfigurationError
from taphouse.packaging import Tree, add_debian_root, control_text, write_deb
from taphouse.packaging.ar import ArWriter
from taphouse.packaging.debianroot import read_packages

Deb = Callable[..., str]


@pytest.fixture
def deb(tmp_path: Path) -> Deb:
    """Write a package that has some files, by our own writer."""

    def write(name: str, files: dict[str, bytes | str], *, epoch: int = EPOCH, **links: str) -> str:
        tree = Tree()
        for path, content in files.items():
            tree.add_file(path, content, 0o4755 if path.endswith("su") else 0o644)
        for path, target in links.items():
            tree.add_link(path.replace("__", "/"), target)
        path = tmp_path / f"{name}_1_amd64.deb"
        write_deb(path, {**FIELDS, "Package": name, "Architecture": "amd64"}, tree, epoch=epoch)
        return str(path)

    return write


def root(*packages: str) -> Tree:
    tree = Tree()
    add_debian_root(tree, packages)
    return tree


def test_what_lies_in_lib_lies_in_usr_and_links_lead_there(deb: Deb) -> None:
    tree = root(
        deb(
            "libc6",
            {"lib/x/libc.so.6": b"c", "bin/su": b"s", "lib64/ld.so": b"l"},
            usr__lib__x__l="libc.so.6",
        )
    )
    assert tree["usr/lib/x/libc.so.6"].content == b"c"
    assert [tree[name].target for name in ("lib", "bin", "lib64")] == ["usr/lib", "usr/bin", "usr/lib64"]
    assert tree["usr/lib/x/l"].target == "libc.so.6"
    assert "sbin" not in tree


def test_nothing_in_it_gives_anybody_roots_rights(deb: Deb) -> None:
    assert root(deb("login", {"bin/su": b"s"}))["usr/bin/su"].mode == 0o755


def test_of_the_documents_only_copyrights_stay(deb: Deb) -> None:
    tree = root(
        deb("x", {
            "usr/share/doc/x/copyright": "mine", "usr/share/doc/x/README": "r", "usr/share/man/man1/x.1": "m",
            "usr/share/locale/de/x.mo": "l", "usr/lib/x/gconv/UTF-7.so": "g", "usr/lib/x/x.so": "x",
        })
    )  # fmt: skip
    files = {path for path, node in tree if node.is_file and path.startswith("usr")}
    assert files == {"usr/share/doc/x/copyright", "usr/lib/x/x.so"}


def test_certificates_are_found_by_whoever_looks_for_them(deb: Deb) -> None:
    names = [f"usr/share/ca-certificates/mozilla/{name}.crt" for name in "ba"]
    tree = root(deb("ca-certificates", dict(zip(names, ["B\n\n", "A"], strict=True))))
    assert tree["etc/ssl/certs/ca-certificates.crt"].content == b"A\nB\n"
    assert tree["usr/lib/ssl/cert.pem"].target == "/etc/ssl/certs/ca-certificates.crt"


def test_there_are_accounts_and_folders_to_run_in(deb: Deb) -> None:
    tree = root(deb("x", {"usr/x": "x"}))
    assert (tree["etc/passwd"].content or b"").startswith(b"root:x:0:0:")
    assert (tree["tmp"].mode, tree["run"].mode) == (0o1777, 0o755)
    assert "etc/nsswitch.conf" in tree


def test_scanners_see_which_packages_there_are(deb: Deb) -> None:
    path = deb("zlib1g", {"usr/x": "x"})
    (package,) = read_packages((root(path)["var/lib/dpkg/status.d/zlib1g"].content or b"").decode())
    assert (package.name, package.version, package.architecture) == ("zlib1g", "1.0", "amd64")
    assert control_text(path).startswith("Package: zlib1g\n")


def test_the_time_is_that_of_the_newest_file(deb: Deb) -> None:
    old, new = deb("a", {"usr/a": "a"}, epoch=EPOCH), deb("b", {"usr/b": "b"}, epoch=EPOCH + 7)
    assert add_debian_root(Tree(), [old, new]) == add_debian_root(Tree(), [new, old]) == EPOCH + 7


def test_two_packages_may_not_bring_the_same_file(deb: Deb) -> None:
    with pytest.raises(ConfigurationError, match="/usr/x: two things"):
        root(deb("a", {"usr/x": "1"}), deb("b", {"usr/x": "2"}))


def handmade(path: Path, member: str, content: bytes) -> str:
    with path.open("w+b") as file:
        archive = ArWriter(file, EPOCH)
        with archive.member("debian-binary") as part:
            part.write(b"2.0\n")
        for name, data in (("control.tar", _tar("control", b"Package: x\nVersion: 1\n")), (member, content)):
            with archive.member(name) as part:
                part.write(data)
    return str(path)


def _tar(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.type, info.size = kind, len(content)
        archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def test_what_cannot_be_unpacked_is_told(tmp_path: Path, deb: Deb) -> None:
    whole = Path(deb("x", {"usr/x": b"x" * 5000})).read_bytes()
    (tmp_path / "cut.deb").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.deb").write_text("hello")
    for path, words in (
        (
            handmade(tmp_path / "z.deb", "data.tar.zst", b"z"),
            r"data\.tar\.zst is compressed in a way .*--base",
        ),
        (handmade(tmp_path / "o.deb", "data.tar", _tar("../x", b"x")), "cannot be a path"),
        (handmade(tmp_path / "d.deb", "data.tar", _tar("dev/x", kind=tarfile.BLKTYPE)), "is a device"),
        (handmade(tmp_path / "n.deb", "other", b""), r"has no data\.tar"),
        (str(tmp_path / "cut.deb"), r"is damaged|has no"),
        (str(tmp_path / "text.deb"), "is no Debian package; fetch it again"),
        (str(tmp_path / "nothing.deb"), "No such file"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            root(path)
