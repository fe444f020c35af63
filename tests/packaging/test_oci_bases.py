"""Images of others are believed in nothing, and what a server needs is found in them or missed by name."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imagemaking import INDEX, PYTHON, LayoutMaker, digest_of, file, folder, layer, link, special
from packagereading import tried

from taphouse.errors import ConfigurationError, TaphouseError, UsageError
from taphouse.packaging import (
    Layout,
    Rootfs,
    Tree,
    add_accounts,
    check_libraries,
    choose_image,
    find_interpreter,
    installed_packages,
    laid_over,
)


@pytest.fixture
def maker(tmp_path: Path) -> LayoutMaker:
    return LayoutMaker(tmp_path / "base")


def seen(*layers: bytes) -> Rootfs:
    rootfs = Rootfs("base")
    for data in layers:
        rootfs.add_layer(io.BytesIO(data), digest_of(data))
    return rootfs


def paths(rootfs: Rootfs) -> list[str]:
    return [path for path, _ in rootfs]


# --- layouts ------------------------------------------------------------------------------------


def test_a_layout_is_read_from_a_folder_and_from_an_archive(maker: LayoutMaker, tmp_path: Path) -> None:
    maker.name(maker.image(PYTHON), "3.11")
    archive = maker.archive(tmp_path / "base.tar")
    for path in (maker.place, archive):
        layout = Layout(str(path))
        image = choose_image(layout)
        assert (image.name, image.architecture) == (path.name, "amd64")
        assert gzip.decompress(b"".join(layout.blocks(image.layers[0]))) == PYTHON
        with layout.open_blob(image.layers[0]) as opened:
            assert seen(PYTHON).add_layer(opened, "x") == digest_of(PYTHON)


def test_one_of_several_is_chosen_by_its_tag(maker: LayoutMaker) -> None:
    maker.name(maker.image(PYTHON), "one").name(maker.image(layer()), "two")
    layout = Layout(str(maker.place))
    assert choose_image(layout, "two").layers[0].diff_id == digest_of(layer())
    with pytest.raises(UsageError, match=r"has several images: one, two; choose one \(--base-tag\)"):
        choose_image(layout)
    with pytest.raises(UsageError, match="has no image three; there is one, two"):
        choose_image(layout, "three")


def test_one_of_several_is_chosen_by_the_machine_it_is_for(maker: LayoutMaker) -> None:
    both = [maker.image(PYTHON), maker.image(PYTHON, architecture="arm64")]
    attestation = maker.json("application/vnd.oci.image.manifest.v1+json", {"layers": []})
    attestation["platform"] = {"os": "unknown", "architecture": "unknown"}
    maker.name(maker.json(INDEX, {"manifests": [*both, attestation]}), "3.11")
    layout = Layout(str(maker.place))
    assert choose_image(layout, "3.11", "arm64").architecture == "arm64"
    with pytest.raises(ConfigurationError, match="is for amd64, arm64, what goes into it is for s390x"):
        choose_image(layout, "", "s390x")


def test_what_is_kept_like_an_image_and_is_none_is_passed_over(maker: LayoutMaker) -> None:
    empty = maker.json("application/vnd.oci.empty.v1+json", {})
    maker.name(maker.json("application/vnd.oci.image.manifest.v1+json", {"config": empty, "layers": []}))
    maker.name(maker.image(layer()))
    break_manifest(maker, lambda found: found.update(artifactType="application/vnd.example.signature"))
    with pytest.raises(UsageError, match="has no image at all"):
        choose_image(Layout(str(maker.place)))
    maker.name(maker.image(PYTHON))
    assert choose_image(Layout(str(maker.place))).architecture == "amd64"


def break_manifest(maker: LayoutMaker, change: Callable[[dict[str, Any]], object]) -> None:
    """Change what the manifest says, with a digest that fits."""
    entry = maker.entries[-1]
    path = maker.place / "blobs" / entry["digest"].replace(":", "/")
    manifest = json.loads(path.read_text())
    change(manifest)
    maker.entries[-1] = maker.json(entry["mediaType"], manifest)
    maker.finish()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda found: found.update(layers=[]), "does not say which layers it has"),
        (lambda found: found.update(layers=7), "does not say which layers it has"),
        (lambda found: found.pop("config"), "names no blob"),
        (lambda found: found["config"].update(digest="sha256:../../etc/passwd"), "is no digest"),
        (lambda found: found["config"].update(digest="sha512:" + "0" * 128), "is no digest"),
        (lambda found: found["config"].update(size=-1), "names no blob"),
        (lambda found: found["config"].update(size=1 << 40), "is larger than any manifest"),
        (lambda found: found["config"].update(digest="sha256:" + "0" * 64), "No such file"),
        (lambda found: found["layers"][0].update(mediaType="tar+zstd"), "--dest-compress-format gzip"),
    ],
)
def test_a_manifest_that_cannot_be_is_told(maker: LayoutMaker, change: Any, words: str) -> None:
    maker.name(maker.image(PYTHON))
    break_manifest(maker, change)
    with pytest.raises(ConfigurationError, match=words):
        choose_image(Layout(str(maker.place)))


def test_a_blob_that_was_changed_is_told(maker: LayoutMaker) -> None:
    entry = maker.image(PYTHON)
    maker.name(entry)
    (maker.place / "blobs" / entry["digest"].replace(":", "/")).write_bytes(b"{}")
    with pytest.raises(ConfigurationError, match="is damaged: its bytes have another digest; copy"):
        choose_image(Layout(str(maker.place)))


def test_what_is_no_layout_is_told(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    (tmp_path / "empty").mkdir()
    (tmp_path / "json").mkdir()
    (tmp_path / "json/index.json").write_text("[")
    for name, words in (
        ("nothing", "No such file or directory; give an OCI layout"),
        ("text", "or not a whole one; give an OCI layout"),
        ("empty", "index.json: No such file"),
        ("json", "index.json is no JSON object"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            choose_image(Layout(str(tmp_path / name)))


def test_an_archive_that_ends_too_soon_is_told_unless_all_is_there(
    maker: LayoutMaker, tmp_path: Path
) -> None:
    maker.name(maker.image(PYTHON))
    whole = maker.archive(tmp_path / "base.tar").read_bytes()
    told = 0
    for size in range(0, len(whole), 512):
        (tmp_path / "cut.tar").write_bytes(whole[:size])
        try:
            layout = Layout(str(tmp_path / "cut.tar"))
            image = choose_image(layout)
            with layout.open_blob(image.layers[0]) as opened:
                assert Rootfs("cut").add_layer(opened, "x") == digest_of(PYTHON)
        except TaphouseError:
            told += 1
    assert told > 5


# --- layers -------------------------------------------------------------------------------------


def test_what_stands_behind_the_end_of_an_archive_is_part_of_its_sum() -> None:
    data = PYTHON + b"rest" * 10_000
    assert Rootfs("base").add_layer(io.BytesIO(gzip.compress(data)), "x") == digest_of(data)


def test_later_layers_hide_and_take_away() -> None:
    below = layer(folder("a"), file("a/1"), file("a/2"), folder("b/c"), file("b/c/d"), file("e"), file("f"))
    above = layer(
        file("a/.wh.1", b""),
        file("b/.wh..wh..opq", b""),
        file("b/new"),
        file(".wh.e", b""),
        folder("f"),
        file("f/g"),
    )
    assert paths(seen(below, above)) == ["a", "a/2", "b", "b/new", "f", "f/g"]


def test_a_file_in_place_of_a_folder_hides_all_of_it() -> None:
    rootfs = seen(layer(folder("a"), file("a/1")), layer(link("a", "b")))
    assert paths(rootfs) == ["a"]


def test_links_are_followed_inside_of_the_image() -> None:
    rootfs = seen(
        layer(
            folder("usr/bin"), file("usr/bin/python3.11", mode=0o755), link("bin", "usr/bin"),
            link("usr/bin/python3", "/etc/alternatives/python"), folder("etc/alternatives"),
            link("etc/alternatives/python", "../../../../../usr/bin/python3.11"),
        )
    )  # fmt: skip
    assert rootfs.resolve("/bin/python3") == "usr/bin/python3.11"
    found = rootfs.get("bin/python3")
    assert found is not None and (found.kind, found.mode) == ("file", 0o755)
    assert rootfs.get("bin/nothing") is None
    assert rootfs.resolve("bin/new/file") == "usr/bin/new/file"


def test_a_second_name_of_a_file_is_that_file() -> None:
    first = layer(file("a", b"x", 0o755))
    rootfs = seen(first, layer(link("b", "a", hard=True)))
    assert rootfs.get("b") == rootfs.get("a")


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (file("../etc/passwd"), "leads out of the image"),
        (file("usr/../../x"), "leads out of the image"),
        (file("/etc/passwd"), "leads out of the image"),
        (link("x", "../../etc/shadow", hard=True), "leads out of the image"),
        (special("dev/sda", tarfile.BLKTYPE), "is a device or a pipe"),
        (special("dev/mem", tarfile.CHRTYPE), "is a device or a pipe"),
        (special("dev/null", tarfile.BLKTYPE), "is a device or a pipe"),
        (special("srv/null", tarfile.CHRTYPE), "is a device or a pipe"),
        (special("run/pipe", tarfile.FIFOTYPE), "is a device or a pipe"),
    ],
)
def test_what_no_base_needs_is_refused(bad: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        seen(layer(folder("usr"), bad))


def test_devices_that_every_system_has_are_passed_over() -> None:
    assert "dev/null" in paths(seen(layer(folder("dev"), special("dev/null", tarfile.CHRTYPE))))


def test_links_in_a_circle_are_told() -> None:
    rootfs = seen(layer(link("a", "b"), link("b", "a"), file("f")))
    with pytest.raises(ConfigurationError, match="its links lead in a circle"):
        rootfs.resolve("a/x")
    with pytest.raises(ConfigurationError, match="/f is a file, where a folder is needed"):
        rootfs.resolve("f/x")


@tried(150)
@given(st.integers(0, 10_000), st.binary(max_size=6), st.booleans())
def test_a_layer_that_was_tampered_with_ends_in_a_sentence_or_is_read(
    at: int, new: bytes, packed: bool
) -> None:
    data = gzip.compress(PYTHON, mtime=0) if packed else PYTHON
    at %= len(data)
    damaged = data[:at] + new + data[at + len(new) :] if new else data[:at]
    try:
        seen(damaged)
    except ConfigurationError as error:
        told = str(error)
    else:
        told = "base: layer "
    assert told.startswith("base: layer ")


# --- what is needed of it -----------------------------------------------------------------------


def test_the_interpreter_is_found_where_it_is() -> None:
    assert find_interpreter(seen(PYTHON), "base", "/usr/bin/python3.11", {}) == "/usr/bin/python3.11"
    assert find_interpreter(seen(PYTHON), "base", "/usr/bin/python3", {}) == "/usr/bin/python3"
    local = layer(file("usr/local/bin/python3.12", mode=0o755), link("usr/local/bin/python3", "python3.12"))
    assert find_interpreter(seen(local), "base", "/usr/bin/python3", {}) == "/usr/local/bin/python3"
    odd = layer(file("srv/py/python3.11", mode=0o755))
    config = {"config": {"Env": ["PATH=/usr/bin:/srv/py"]}}
    assert find_interpreter(seen(odd), "base", "/usr/bin/python3.11", config) == "/srv/py/python3.11"


@pytest.mark.parametrize(
    "members",
    [
        [],
        [file("usr/bin/python3.12", mode=0o755)],
        [file("usr/bin/python3.11", mode=0o644)],
        [folder("usr/bin/python3.11")],
        [link("usr/bin/python3.11", "nowhere")],
    ],
)
def test_a_base_without_the_interpreter_is_told(members: list[Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"base has no python3\.11, which .* leave --base out"):
        find_interpreter(seen(layer(*members)), "base", "/usr/bin/python3.11", {})


def test_an_interpreter_that_is_too_old_is_told() -> None:
    old = layer(file("usr/bin/python3.9", mode=0o755), link("usr/bin/python3", "python3.9"))
    with pytest.raises(ConfigurationError, match=r"/usr/bin/python3 is Python 3\.9, which is too old"):
        find_interpreter(seen(old), "base", "/usr/bin/python3", {})


STATUS = b"""\
Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.31-13

Package: gone
Status: deinstall ok config-files
Version: 1

Package: zlib1g
Status: install ok installed
Version: 1:1.2
"""


def test_libraries_are_those_that_its_list_of_packages_has() -> None:
    rootfs = seen(layer(file("var/lib/dpkg/status", STATUS)))
    assert [package.name for package in installed_packages(rootfs)] == ["libc6", "zlib1g"]
    check_libraries(rootfs, "base", ["python3.11", "libc6 (>= 2.17)", "zlib1g"])
    with pytest.raises(ConfigurationError, match=r"base has libc6 2\.31-13, .* needs 2\.34; take a newer"):
        check_libraries(rootfs, "base", ["libc6 (>= 2.34)"])
    with pytest.raises(ConfigurationError, match=r"base has no libstdc\+\+6"):
        check_libraries(rootfs, "base", ["libstdc++6 (>= 12)"])


def test_without_a_list_the_c_library_itself_is_asked() -> None:
    glibc = layer(file("lib64/libc.so.6", b"\0GLIBC_2.2.5\0GLIBC_2.17\0GLIBC_2.34\0GLIBC_PRIVATE\0", 0o755))
    check_libraries(seen(glibc), "base", ["libc6 (>= 2.34)", "libgcc-s1"])
    with pytest.raises(ConfigurationError, match=r"has libc6 2\.34, .* needs 2\.38"):
        check_libraries(seen(glibc), "base", ["libc6 (>= 2.38)"])
    musl = layer(file("lib/ld-musl-x86_64.so.1", b"musl"))
    with pytest.raises(ConfigurationError, match="not musl"):
        check_libraries(seen(musl), "base", ["libc6 (>= 2.17)"])
    check_libraries(seen(musl), "base", ["python3 (>= 3.11~)"])


def test_the_account_joins_those_that_are_there() -> None:
    tree = Tree()
    rootfs = seen(layer(file("etc/passwd", b"root:x:0:0::/:/bin/sh\n\n"), file("etc/nsswitch.conf")))
    add_accounts(tree, rootfs, "_otk", 65532, "/var/lib/otk")
    assert tree["etc/passwd"].content == (
        b"root:x:0:0::/:/bin/sh\n_otk:x:65532:65532:server:/var/lib/otk:/usr/sbin/nologin\n"
    )
    assert b"_otk:x:65532:" in (tree["etc/group"].content or b"")
    assert "etc/nsswitch.conf" not in tree
    again = Tree()
    add_accounts(
        again, seen(layer(file("etc/passwd", b"nonroot:x:65532:65532::/:/\n"))), "_otk", 65532, "/var/lib/otk"
    )
    assert again["etc/passwd"].content == b"nonroot:x:65532:65532::/:/\n"
    assert "etc/nsswitch.conf" in again


def test_what_is_laid_over_goes_where_links_lead() -> None:
    rootfs = seen(layer(folder("usr"), folder("usr/bin"), link("usr/sbin", "bin"), file("etc/hosts")))
    tree = Tree()
    tree.add_file("usr/sbin/otk", "x", 0o755)
    tree.add_folder("var/lib/otk", 0o700)
    moved, there = laid_over(tree, rootfs)
    assert [path for path, _ in moved] == ["usr", "usr/bin", "usr/bin/otk", "var", "var/lib", "var/lib/otk"]
    assert there >= {"usr", "usr/bin", "etc"} - {"etc"} and "var" not in there
    clash = Tree()
    clash.add_file("etc/hosts/x", "x")
    with pytest.raises(ConfigurationError, match="/etc/hosts"):
        laid_over(clash, rootfs)
