"""`tap oci` makes images that real tools take and ordinary users run, the same bytes each time."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imageyard import ImageYard, as_ordinary_user, make_image, open_image_yard, require, why_no_containers

pytestmark = pytest.mark.process

LIFE = Path(__file__).with_name("containerlife.py")
PYTHON = ["/usr/bin/python3.11", "-ISB", "/usr/lib/otk"]


@pytest.fixture(scope="module")
def made() -> ImageYard:
    return open_image_yard()


@pytest.fixture
def work() -> Iterator[str]:
    """A folder of the ordinary user's, with a short path: there are UNIX sockets in it."""
    done = subprocess.run(
        [*as_ordinary_user(), "mktemp", "-d", "/tmp/taphouse-container-XXXXXX"],
        cwd="/", capture_output=True, text=True, check=True,
    )  # fmt: skip
    folder = done.stdout.strip()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def said(*command: str) -> Any:
    """What a tool says in JSON."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def live(kind: str, made: ImageYard, work: str) -> dict[str, Any]:
    """Run a container's life as an ordinary user, in a network of its own."""
    if why_no_containers():
        pytest.skip(f"NOT RUN: {why_no_containers()}")
    done = subprocess.run(
        [
            *as_ordinary_user(), "env", "-i", "PATH=/usr/bin:/usr/sbin:/bin:/sbin", f"HOME={work}",
            "bwrap", "--dev-bind", "/", "/", "--unshare-net", "--die-with-parent", "--",
            "/usr/bin/python3", "-c", LIFE.read_text(), kind, str(made.bundle), work,
        ],
        cwd="/", capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    if "NOT RUN: " in done.stderr:
        pytest.skip(done.stderr[done.stderr.index("NOT RUN: ") :].strip())
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


# --- a container's life -------------------------------------------------------------------------


def test_an_ordinary_user_runs_it_and_its_state_outlives_it(made: ImageYard, work: str) -> None:
    seen = live("bwrap", made, work)
    assert seen["keys"] == ["0", "1"]
    assert (seen["stopped"], seen["after a stop"]) == (0, "2")
    assert (seen["killed"], seen["after a kill"]) == (137, "3")
    assert seen["stopped again"] == 0
    assert seen["files"] == ["server.tap"], "the final commit was folded, and nothing is left beside it"
    assert seen["is pid 1"] and seen["children"] == []
    assert (seen["healthy"], seen["unhealthy"]) == (0, 69)
    assert "nextkey  2" in seen["command"]
    assert "Traceback" not in seen["log"]


def test_runc_runs_it_for_an_ordinary_user_on_a_root_that_nobody_can_write(
    made: ImageYard, work: str
) -> None:
    require("runc")
    seen = live("runc", made, work)
    assert (seen["keys"], seen["after a stop"], seen["after a kill"]) == (["0", "1"], "2", "3")
    assert (seen["stopped"], seen["killed"], seen["stopped again"]) == (0, 137, 0)
    assert seen["healthy"] == 0 and seen["is pid 1"] and seen["children"] == []


@pytest.mark.parametrize(
    ("mount", "words"),
    [
        ("--bind", "belongs to user 65534, and the server is user 65532; give it what is mounted there"),
        ("--ro-bind", "/var/lib/otk is mounted read-only; mount it for writing"),
    ],
)
def test_a_volume_that_the_server_cannot_write_is_told(made: ImageYard, mount: str, words: str) -> None:
    if why_no_containers():
        pytest.skip(f"NOT RUN: {why_no_containers()}")
    done = subprocess.run(
        [
            *as_ordinary_user(), "bwrap", "--ro-bind", f"{made.bundle}/rootfs", "/", "--proc", "/proc",
            "--dev", "/dev", mount, "/usr/share", "/var/lib/otk", "--unshare-all", "--uid", "65532",
            "--gid", "65532", "--clearenv", "--setenv", "STATE_DIRECTORY", "/var/lib/otk", *PYTHON, "run",
        ],
        cwd="/", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (77, "", 1), done.stderr
    assert words in done.stderr


# --- real tools ---------------------------------------------------------------------------------


def test_skopeo_sees_what_was_meant(made: ImageYard) -> None:
    image = said("skopeo", "inspect", f"oci-archive:{made.archive}")
    assert (image["Architecture"], image["Os"], len(image["Layers"])) == (_machine(), "linux", 4)
    labels = image["Labels"]
    assert labels["org.opencontainers.image.title"] == "otk"
    assert labels["org.opencontainers.image.version"] == "1.0"
    assert labels["taphouse.sbom"] == "/usr/lib/otk/sbom.json"


def test_the_same_file_is_an_archive_of_dockers(made: ImageYard, tmp_path: Path) -> None:
    config = said("skopeo", "inspect", "--config", "--raw", f"docker-archive:{made.archive}")["config"]
    assert (config["User"], config["StopSignal"]) == ("65532:65532", "SIGTERM")
    assert (config["Entrypoint"], config["Cmd"]) == (PYTHON, ["run"])
    assert config["ExposedPorts"] == {"8123/tcp": {}}
    assert config["Healthcheck"]["Test"] == ["CMD", *PYTHON, "status", "--ready"]
    copy = f"docker-archive:{tmp_path}/docker.tar:otk:1.0"
    subprocess.run(["skopeo", "copy", "--quiet", f"oci-archive:{made.archive}", copy], check=True)
    assert len(said("skopeo", "inspect", f"docker-archive:{tmp_path}/docker.tar")["Layers"]) == 4


def test_umoci_says_which_layers_it_has(made: ImageYard) -> None:
    found = said("umoci", "stat", "--json", "--image", f"{made.layout}:1.0")
    assert [entry["comment"] for entry in found["history"]][1:] == [
        "the account and the folders of the server",
        "distributions that the server uses",
        "the server",
    ]


def test_nothing_but_its_own_folders_belongs_to_the_server(made: ImageYard) -> None:
    with tarfile.open(made.archive) as archive:
        manifest = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
        found = {}
        for name in manifest[0]["Layers"]:
            with tarfile.open(fileobj=archive.extractfile(name)) as layer:
                found.update({member.name: member for member in layer})
    for path, mode in (("./var/lib/otk", 0o700), ("./run/otk", 0o750)):
        assert (found[path].uid, found[path].gid, found[path].mode) == (65532, 65532, mode)
    others = [member for name, member in found.items() if name not in {"./var/lib/otk", "./run/otk"}]
    assert {(member.uid, member.gid) for member in others} == {(0, 0)}
    assert not [member.name for member in others if member.isfile() and member.mode & 0o6022]


def test_the_parts_of_it_are_listed_inside(made: ImageYard) -> None:
    root = made.bundle / "rootfs"
    bill = json.loads((root / "usr/lib/otk/sbom.json").read_text())
    purls = {entry["purl"].partition("@")[0] for entry in bill["components"]}
    assert {"pkg:pypi/taphouse", "pkg:pypi/uvloop", "pkg:deb/debian/libc6"} <= purls
    assert "pkg:deb/debian/dpkg" not in purls
    assert (root / "usr/share/doc/otk/licenses/uvloop").is_dir()
    assert (root / "usr/share/doc/libc6/copyright").is_file()
    assert "_otk:x:65532:65532:" in (root / "etc/passwd").read_text()


# --- the same bytes -----------------------------------------------------------------------------


def test_the_same_tap_gives_the_same_image_wherever_it_is_made(made: ImageYard, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for path in (made.seed, made.folder / "otk.py"):
        shutil.copyfile(path, elsewhere / path.name)
    before = os.umask(0o077)
    try:
        make_image(
            made.yard, "-o", "x.tar", "otk-start.tap",
            cwd=elsewhere, TZ="Asia/Tokyo", PYTHONHASHSEED="7", LC_ALL="C",
        )  # fmt: skip
    finally:
        os.umask(before)
    one, other = (
        hashlib.sha256(path.read_bytes()).hexdigest() for path in (made.archive, elsewhere / "x.tar")
    )
    assert one == other


# --- on another's image -------------------------------------------------------------------------


def test_an_image_is_made_on_one_that_is_given(made: ImageYard, tmp_path: Path) -> None:
    words = ["--base", str(made.layout), "--base-tag", "1.0", "--name", "keys", "--set-version", "2.1~rc1"]
    told = make_image(made.yard, *words, "-o", str(tmp_path), str(made.seed), cwd=made.folder)
    archive = tmp_path / f"keys_2.1~rc1_{_machine()}.oci.tar"
    assert f"{archive}: localhost/keys:2.1-rc1 for {_machine()}" in told
    below = said("skopeo", "inspect", f"oci:{made.layout}:1.0")["Layers"]
    image = said("skopeo", "inspect", f"oci-archive:{archive}")
    assert image["Layers"][:4] == below
    assert image["Labels"]["org.opencontainers.image.base.digest"].startswith("sha256:")
    assert "STATE_DIRECTORY=/var/lib/keys" in image["Env"]


def test_what_cannot_be_is_told_in_one_line_and_nothing_is_written(made: ImageYard, tmp_path: Path) -> None:
    whole = made.archive.read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text").write_text("hello")
    (tmp_path / "base.tar").symlink_to(made.archive)
    before = sorted(os.listdir(tmp_path))
    seed = str(made.seed)
    for words, status, sentence in (
        (["--base", "text", seed], 78, "text: is no tar archive, or not a whole one; give an OCI layout"),
        (["--base", "nothing", seed], 78, "nothing: No such file or directory"),
        (["--base", "cut.tar", seed], 78, "cut.tar: is no tar archive, or not a whole one"),
        (["--tag", "Otk", seed], 64, "'Otk' cannot name an image; write it as NAME:TAG"),
        (["--set-version", "x y", seed], 64, "'x y'"),
        (["--name", "A", seed], 64, "'A' cannot name a package"),
        (["-o", "/nowhere/x.tar", "--base", str(made.layout), seed], 73, "/nowhere: is no folder; name one"),
        (["-o", "base.tar", "--base", "base.tar", seed], 64, "base.tar is what it would be made of"),
        (["text"], 78, "text"),
    ):
        done = made.yard.run("tap", "oci", *words, cwd=tmp_path, status=None)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (status, "", 1), done.stderr
        assert sentence in done.stderr
    assert sorted(os.listdir(tmp_path)) == before


def _machine() -> str:
    done = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True)
    return {"armhf": "arm", "i386": "386", "ppc64el": "ppc64le"}.get(done.stdout.strip(), done.stdout.strip())
