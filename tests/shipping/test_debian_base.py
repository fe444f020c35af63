"""The base of Debian packages: what apt chooses, made once, found again, and never half."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from taphouse.cli.shipping.debianbase import DebianBase, debian_base
from taphouse.errors import CannotCreateError, ConfigurationError
from taphouse.packaging import Rootfs, Tree, write_deb

# Says what it is asked, and has the packages that lie in $DEBS.
APT = """\
#!/bin/sh
echo "$@" >>"$DEBS/asked"
[ ! -e "$DEBS/problem" ] || { cat "$DEBS/problem" >&2; exit 100; }
for word; do
    case $word in Dir::Cache::archives=*) archives=${word#*=} ;; esac
done
cd "$DEBS"
case " $* " in
*" --print-uris "*) for name in *.deb; do echo "'http://x/$name' $name 1 MD5Sum:0"; done ;;
*) cp *.deb "$archives"; [ ! -e more ] || touch "$archives/more_1_all.deb" ;;
esac
"""


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages, and an apt-get that has just those."""
    debs = tmp_path / "debs"
    debs.mkdir()
    commands = tmp_path / "bin"
    commands.mkdir()
    (commands / "apt-get").write_text(APT)
    (commands / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}:{os.environ['PATH']}")
    monkeypatch.setenv("DEBS", str(debs))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    add(debs, "python3.11-minimal", "1")
    return debs


def add(debs: Path, name: str, version: str) -> None:
    tree = Tree()
    tree.add_file("usr/bin/python3.11", f"of {name} {version}", 0o755)
    fields = {
        "Package": name,
        "Version": version,
        "Architecture": "amd64",
        "Maintainer": "Ann Author <ann@example.org>",
        "Description": "a package",
    }
    write_deb(debs / f"{name}_{version}_amd64.deb", fields, tree, epoch=1790000000)


def base(architecture: str = "all") -> DebianBase:
    return debian_base("/usr/bin/python3.11", ["python3.11", "libc6 (>= 2.17)", "libstdc++6"], architecture)


def asked(debs: Path) -> list[str]:
    return (debs / "asked").read_text().splitlines()


def cached(tmp_path: Path) -> list[str]:
    return sorted(os.listdir(tmp_path / "cache/taphouse/oci"))


def test_it_is_made_of_what_apt_chooses(apt: Path) -> None:
    made = base()
    rootfs = Rootfs("base")
    with made.open_blob(made.image.layers[0]) as layer:
        assert rootfs.add_layer(layer, "x") == made.image.layers[0].diff_id
    assert rootfs.get("bin/python3.11") is not None
    assert made.image.architecture == "amd64"
    first, second = asked(apt)
    assert "--print-uris" in first and "--download-only" in second
    wanted = second.split(" install ")[1].split()
    assert wanted == sorted(wanted)
    assert set(wanted) >= {"python3.11-minimal", "libpython3.11-stdlib", "libc6", "libstdc++6", "tzdata"}
    assert "APT::Architecture=" not in first


def test_it_is_made_once(apt: Path, tmp_path: Path) -> None:
    assert base() == base()
    assert [("--download-only" in line) for line in asked(apt)] == [False, True, False]
    assert [name.split(".", 1)[1] for name in cached(tmp_path)] == ["json", "tar.gz"]


def test_a_newer_package_makes_another(apt: Path, tmp_path: Path) -> None:
    first = base()
    (apt / "python3.11-minimal_1_amd64.deb").unlink()
    add(apt, "python3.11-minimal", "2")
    assert base().image.layers != first.image.layers
    assert len(cached(tmp_path)) == 4


@pytest.mark.parametrize("suffix", ["json", "tar.gz"])
@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\x1f\x8b"])
def test_what_was_damaged_in_the_cache_is_made_anew(
    apt: Path, tmp_path: Path, suffix: str, content: bytes
) -> None:
    made = base()
    (path,) = (tmp_path / "cache/taphouse/oci").glob(f"*.{suffix}")
    path.write_bytes(content)
    assert base() == made
    assert (
        json.loads(Path(made.path.replace(".tar.gz", ".json")).read_text())["size"]
        == os.stat(made.path).st_size
    )


def test_another_machine_is_asked_for_by_its_name(apt: Path) -> None:
    base("arm64")
    assert "-o APT::Architecture=arm64 -o APT::Architectures=arm64" in asked(apt)[0]


def test_what_apt_says_is_told_in_one_line(apt: Path, tmp_path: Path) -> None:
    (apt / "problem").write_text("W: hm\nE: Unable to locate package python3.11-minimal\nE: and more\n")
    with pytest.raises(ConfigurationError) as caught:
        base()
    assert str(caught.value) == (
        "apt-get: Unable to locate package python3.11-minimal; apt-get update may help,"
        " or give a base that has the interpreter (--base)"
    )
    assert cached(tmp_path) == []


def test_lists_that_change_between_two_questions_are_noticed(apt: Path, tmp_path: Path) -> None:
    (apt / "more").touch()
    with pytest.raises(
        ConfigurationError, match="lists of packages have changed meanwhile; type the command"
    ):
        base()
    assert cached(tmp_path) == []


def test_a_package_that_is_damaged_leaves_nothing(apt: Path, tmp_path: Path) -> None:
    (apt / "python3.11-minimal_1_amd64.deb").write_bytes(b"!<arch>\nrubbish")
    with pytest.raises(ConfigurationError, match=r"python3\.11-minimal_1_amd64\.deb: is damaged|has no"):
        base()
    assert cached(tmp_path) == []


def test_where_there_is_no_apt_a_base_is_asked_for(apt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(
        ConfigurationError, match=r"there is no apt-get here .*; build on Debian, or give a base"
    ):
        base()


def test_a_cache_that_cannot_be_made_is_told(
    apt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(CannotCreateError, match="file/taphouse/oci: Not a directory; set XDG_CACHE_HOME"):
        base()


def test_a_full_disk_leaves_nothing_in_the_cache(
    apt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full: Callable[..., object] = lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CannotCreateError, match="No space left on device; make room, or set XDG_CACHE_HOME"):
        base()
    assert cached(tmp_path) == []
