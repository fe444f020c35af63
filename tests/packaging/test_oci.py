"""An image is what engines expect, the same bytes wherever it is made, and whole or not there."""

from __future__ import annotations

import builtins
import errno
import gzip
import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from imagemaking import GZIPPED, PYTHON, LayoutMaker, digest_of, layer, layer_members, members_of
from packagereading import EPOCH

from taphouse.errors import CannotCreateError, ConfigurationError, UsageError
from taphouse.packaging import (
    Blob,
    ImageSettings,
    Layout,
    NewLayer,
    Tree,
    bill_of_materials,
    choose_image,
    default_reference,
    exposed_ports,
    oci_architecture,
    unreachable,
    write_image,
)
from taphouse.packaging.about import Part, SystemPackage
from taphouse.packaging.oci import check_reference
from taphouse.value import replace

SETTINGS = ImageSettings(
    reference="localhost/otk:1.0",
    architecture="amd64",
    epoch=EPOCH,
    start=("/usr/bin/python3.11", "-ISB", "/usr/lib/otk"),
    serve=("run",),
    health=("/usr/bin/python3.11", "-ISB", "/usr/lib/otk", "status", "--ready"),
    user=65532,
    folder="/var/lib/otk",
    environment={"PATH": "/usr/bin", "LANG": "C.UTF-8"},
    ports=("8123/tcp",),
    labels={"org.opencontainers.image.title": "otk"},
    base={},
)

Build = Callable[..., dict[str, Any]]


def new_layer(tree: Tree, **more: Any) -> NewLayer:
    return NewLayer(**{"tree": tree, "comment": "the server", "epoch": EPOCH, "owners": {}, **more})


@pytest.fixture
def build(tree: Tree, tmp_path: Path) -> Build:
    """Write an image of a tree, and return all that is in it by name."""

    def write(*layers: NewLayer, settings: ImageSettings = SETTINGS, **more: Any) -> dict[str, Any]:
        digest = write_image(tmp_path / "otk.tar", settings, layers or [new_layer(tree)], **more)
        found: dict[str, Any] = members_of(tmp_path / "otk.tar")
        manifest = json.loads(found[f"blobs/{digest.replace(':', '/')}"])
        config = json.loads(found[f"blobs/{manifest['config']['digest'].replace(':', '/')}"])
        return {"files": found, "digest": digest, "manifest": manifest, "config": config}

    return write


def blob(made: dict[str, Any], number: int) -> bytes:
    data: bytes = made["files"][f"blobs/{made['manifest']['layers'][number]['digest'].replace(':', '/')}"]
    return data


# --- what is in it ------------------------------------------------------------------------------


def test_every_blob_is_called_by_its_digest_and_has_the_size_that_is_said(build: Build) -> None:
    made = build()
    for name, content in made["files"].items():
        if name.startswith("blobs/"):
            assert digest_of(content) == name.removeprefix("blobs/").replace("/", ":")
    (entry,) = json.loads(made["files"]["index.json"])["manifests"]
    for descriptor in (entry, made["manifest"]["config"], *made["manifest"]["layers"]):
        assert len(made["files"][f"blobs/{descriptor['digest'].replace(':', '/')}"]) == descriptor["size"]
    assert json.loads(made["files"]["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}


def test_a_layer_is_known_by_what_it_is_uncompressed_too(build: Build) -> None:
    made = build()
    assert made["config"]["rootfs"] == {
        "type": "layers",
        "diff_ids": [digest_of(gzip.decompress(blob(made, 0)))],
    }
    assert made["manifest"]["layers"][0]["mediaType"] == GZIPPED
    header = blob(made, 0)[:10]
    assert (header[3], header[4:8]) == (0, bytes(4)), "neither name nor time"


def test_docker_finds_what_it_looks_for_in_the_same_file(build: Build) -> None:
    made = build()
    (entry,) = json.loads(made["files"]["manifest.json"])
    assert entry["RepoTags"] == ["localhost/otk:1.0"]
    assert json.loads(made["files"][entry["Config"]]) == made["config"]
    assert entry["Layers"] == [f"blobs/{made['manifest']['layers'][0]['digest'].replace(':', '/')}"]


def test_the_index_says_how_the_image_is_called_and_for_which_machine(build: Build) -> None:
    (entry,) = json.loads(build()["files"]["index.json"])["manifests"]
    assert entry["annotations"] == {
        "io.containerd.image.name": "localhost/otk:1.0",
        "org.opencontainers.image.ref.name": "1.0",
    }
    assert entry["platform"] == {"architecture": "amd64", "os": "linux"}


def test_it_runs_as_nobody_in_particular_and_stops_in_order(build: Build) -> None:
    config = build()["config"]["config"]
    assert config["User"] == "65532:65532"
    assert config["Entrypoint"] == list(SETTINGS.start)
    assert config["Cmd"] == ["run"], "so that other verbs can be given"
    assert config["StopSignal"] == "SIGTERM"
    assert config["WorkingDir"] == "/var/lib/otk"
    assert config["ExposedPorts"] == {"8123/tcp": {}}
    assert config["Env"] == ["PATH=/usr/bin", "LANG=C.UTF-8"]
    assert config["Healthcheck"]["Test"] == ["CMD", *SETTINGS.health]
    assert "Volumes" not in config, "an engine would mount one as root's over the server's own folder"


def test_labels_are_notes_of_the_manifest_too(build: Build) -> None:
    made = build()
    assert made["config"]["config"]["Labels"] == made["manifest"]["annotations"] == SETTINGS.labels


def test_what_is_the_servers_own_belongs_to_it(build: Build) -> None:
    tree = Tree()
    tree.add_folder("var/lib/otk", 0o700)
    members = {
        info.name: info
        for info in layer_members(blob(build(new_layer(tree, owners={"var/lib/otk": 65532})), 0))
    }
    state, above = members["./var/lib/otk"], members["./var/lib"]
    assert (state.uid, state.gid, state.mode, state.uname) == (65532, 65532, 0o700, "")
    assert (above.uid, above.gid, above.uname) == (0, 0, "root")


def test_folders_that_are_there_below_stay_as_they_are(build: Build, tree: Tree) -> None:
    members = [info.name for info in layer_members(blob(build(new_layer(tree, leave_out={"usr", "etc"})), 0))]
    assert "./usr" not in members and "./etc" not in members
    assert "./usr/sbin/otk" in members


# --- on a base ----------------------------------------------------------------------------------


@pytest.fixture
def base(tmp_path: Path) -> Layout:
    maker = LayoutMaker(tmp_path / "base")
    config = {
        "Env": ["PATH=/opt/bin:/usr/bin", "GPG_KEY=1"],
        "Labels": {"org.opencontainers.image.vendor": "base", "mine": "kept"},
        "Cmd": ["python3"],
        "Entrypoint": ["sh"],
        "User": "0",
    }
    history = [{"created_by": "ADD"}, {"created_by": "ENV", "empty_layer": True}, {"created_by": "RUN"}]
    maker.name(maker.image(PYTHON, layer(), config=config, history=history, variant="v2"))
    return Layout(str(tmp_path / "base"))


def test_the_layers_of_a_base_come_first_as_they_are(build: Build, base: Layout, tree: Tree) -> None:
    image = choose_image(base)
    made = build(settings=replace(SETTINGS, base=image.config), below=image.layers, blocks=base.blocks)
    assert [entry["digest"] for entry in made["manifest"]["layers"]][:2] == [
        blob.digest for blob in image.layers
    ]
    assert made["config"]["rootfs"]["diff_ids"][:2] == [digest_of(PYTHON), digest_of(layer())]
    assert gzip.decompress(blob(made, 0)) == PYTHON


def test_what_a_base_says_counts_unless_it_is_about_the_base(build: Build, base: Layout) -> None:
    image = choose_image(base)
    made = build(settings=replace(SETTINGS, base=image.config), below=image.layers, blocks=base.blocks)
    config = made["config"]["config"]
    assert config["Env"] == ["PATH=/opt/bin:/usr/bin:/usr/sbin", "GPG_KEY=1", "LANG=C.UTF-8"]
    assert config["Labels"] == {"mine": "kept", "org.opencontainers.image.title": "otk"}
    assert (config["User"], config["Entrypoint"]) == ("65532:65532", list(SETTINGS.start))
    assert config["Cmd"] == ["run"]
    assert made["config"]["variant"] == "v2"
    history = made["config"]["history"]
    assert [entry.get("created_by") for entry in history] == ["ADD", "ENV", "RUN", "tap oci"]
    assert all(entry["created"] for entry in history), "umoci stat falls over one without"


def test_a_history_that_does_not_fit_is_replaced(build: Build, base: Layout) -> None:
    image = choose_image(base)
    for history in ([], None, "x", [{"created_by": "one"}]):
        settings = replace(SETTINGS, base={**image.config, "history": history})
        made = build(settings=settings, below=image.layers, blocks=base.blocks)
        assert len(made["config"]["history"]) == 3


def test_a_layer_that_is_there_already_is_written_once(build: Build, tree: Tree, tmp_path: Path) -> None:
    small = Tree()
    small.add_file("a", "a")
    made = build(new_layer(tree), new_layer(small), new_layer(tree))
    digests = [entry["digest"] for entry in made["manifest"]["layers"]]
    assert len(digests) == 3 and digests[0] == digests[2]
    with tarfile.open(tmp_path / "otk.tar") as archive:
        names = archive.getnames()
    assert len(names) == len(set(names))
    assert len([name for name in names if name.startswith("blobs/sha256/")]) == 4


def test_a_base_that_changes_meanwhile_is_noticed(build: Build, base: Layout, tmp_path: Path) -> None:
    image = choose_image(base)
    below = [replace(image.layers[0], size=image.layers[0].size + 1)]
    with pytest.raises(ConfigurationError, match="changed while it was read; make the image again"):
        build(settings=SETTINGS, below=below, blocks=base.blocks)
    assert not (tmp_path / "otk.tar").exists()


# --- the same bytes, or none --------------------------------------------------------------------


def test_the_same_input_gives_the_same_bytes(build: Build, tmp_path: Path, tree: Tree) -> None:
    build()
    first = (tmp_path / "otk.tar").read_bytes()
    before = os.umask(0o077)
    try:
        build()
    finally:
        os.umask(before)
    assert (tmp_path / "otk.tar").read_bytes() == first
    build(settings=replace(SETTINGS, epoch=EPOCH + 1))
    assert (tmp_path / "otk.tar").read_bytes() != first


@pytest.mark.parametrize("room", [0, 2000, 20000])
def test_a_full_disk_leaves_what_was_there(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    (tmp_path / "otk.tar").write_text("old")
    really = builtins.open
    tree = Tree()
    tree.add_file("a", os.urandom(50_000))

    class Full(io.FileIO):
        def write(self, data: Any) -> int:
            if self.tell() + len(data) > room:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data)

    def opened(name: str, mode: str = "r", *more: object, **others: object) -> object:
        return Full(name, mode) if mode == "x+b" else really(name, mode, *more, **others)  # type: ignore[call-overload]

    monkeypatch.setattr(builtins, "open", opened)
    with pytest.raises(CannotCreateError, match=r"otk\.tar: No space left on device; choose a folder"):
        build(new_layer(tree))
    monkeypatch.undo()
    assert (tmp_path / "otk.tar").read_text() == "old"
    assert not list(tmp_path.glob("*.tmp"))


def test_what_is_no_file_is_never_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/null")
    for name in ("pipe", "link"):
        with pytest.raises(CannotCreateError, match=f"{name}: is no file that could be replaced"):
            write_image(tmp_path / name, SETTINGS, [])
    assert sorted(os.listdir(tmp_path)) == ["link", "pipe"]


# --- names, ports, parts ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "otk:1",
        "localhost/otk:1.0",
        "registry.example.org:5000/team/otk-x__y.z:v1_2-3",
        "a:5/b:c",
        "A.example/b:C",
    ],
)
def test_a_name_that_engines_take_is_taken(name: str) -> None:
    assert check_reference(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "otk", "otk:", ":1", "Otk:1", "otk:1:2", "a//b:1", "a..b:1", "otk:-1", "x/../y:1", "otk: 1", "é:1"],
)
def test_a_name_that_engines_do_not_take_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"cannot name an image; write it as NAME:TAG"):
        check_reference(name)


def test_a_name_of_its_own_is_one_that_nobody_looks_for_elsewhere() -> None:
    assert default_reference("otk", "1.0~rc1+b2") == "localhost/otk:1.0-rc1-b2"
    with pytest.raises(UsageError, match="--tag"):
        default_reference("a..b", "1.0")


def test_ports_are_those_of_the_plan() -> None:
    listeners = [
        {"label": "tcp:8123", "kind": "tcp", "port": 8123, "interface": ""},
        {"label": "tls:443", "kind": "tls", "port": 443},
        {"label": "udp:53", "kind": "udp", "port": 53},
        {"label": "tcp:0", "kind": "tcp", "port": 0},
        {"label": "unix:/run/x", "kind": "unix", "path": "/run/x"},
    ]
    assert exposed_ports({"listeners": listeners}) == ("53/udp", "443/tcp", "8123/tcp")
    assert exposed_ports({}) == ()


def test_what_nobody_outside_would_reach_is_said() -> None:
    listeners = [
        {"label": "tcp:127.0.0.1:8123", "kind": "tcp", "port": 8123, "interface": "127.0.0.1"},
        {"label": "tcp:0", "kind": "tcp", "port": 0},
        {"label": "unix:x", "kind": "unix", "path": "x"},
        {"label": "unix:/run/x", "kind": "unix", "path": "/run/x"},
        {"label": "tcp:8124", "kind": "tcp", "port": 8124, "interface": ""},
    ]
    lines = list(unreachable({"listeners": listeners}))
    assert [line.split(": ")[0] for line in lines] == ["tcp:127.0.0.1:8123", "tcp:0", "unix:x"]
    assert "inside of the container only" in lines[0]


def test_machines_have_other_names_than_debians() -> None:
    assert [oci_architecture(name) for name in ("all", "amd64", "armhf", "i386", "ppc64el")] == [
        "", "amd64", "arm", "386", "ppc64le",
    ]  # fmt: skip
    with pytest.raises(UsageError, match="hurd-i386"):
        oci_architecture("hurd-i386")


def test_the_list_of_parts_knows_debian_packages() -> None:
    text = bill_of_materials(
        "otk", "1.0", EPOCH, [Part("Uv_Loop", "0.23")], [SystemPackage("zlib1g", "1:1.2+x", "amd64")]
    )
    assert [entry["purl"] for entry in json.loads(text)["components"]] == [
        "pkg:pypi/uv-loop@0.23",
        "pkg:deb/debian/zlib1g@1%3A1.2%2Bx?arch=amd64",
    ]


def test_a_blob_that_is_not_what_it_says_ends_it(tmp_path: Path) -> None:
    below = [Blob(GZIPPED, digest_of(b"right"), 5, digest_of(b""))]
    with pytest.raises(ConfigurationError, match="changed while it was read"):
        write_image(tmp_path / "x.tar", SETTINGS, [], below, lambda _: [b"wrong"])
