"""tap2deb: from a tap to a package that has all that its server needs."""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from workshop import KEYS, PORT, Workshop, contents, control, unpack

from playground import Playground
from taphouse.persist import read_document

pytestmark = [pytest.mark.process, pytest.mark.slow]

DEB = "otk_1.0_amd64.deb"


@pytest.fixture(scope="module")
def deb(otk: Workshop) -> Path:
    (found,) = otk.folder.glob("otk_1.0_*.deb")
    return found


def test_it_says_what_it_made_and_what_comes_next(otk: Workshop, deb: Path) -> None:
    said = (otk.folder / "said.txt").read_text()
    assert said.startswith(f"{deb.name}: otk 1.0 for {deb.stem.rpartition('_')[2]}, ")
    for words in (
        "\n  needs    python3",
        "taphouse 0",
        "\n  app      otk.py\n",
        "\n  units    otk.service, otk.socket, ",
        f"\n  serves   tcp:{PORT}\n",
        "an account that systemd makes, profile highport, exposure ",
        f"\n  sudo apt-get install ./{deb.name} ",
        "\n  systemctl status otk ",
        "\n  journalctl -u otk ",
        "\n  sudo apt-get remove otk ",
    ):
        assert words in said, said


def test_everything_lies_where_debian_wants_it(deb: Path) -> None:
    found = {path for path in contents(deb) if "/vendor/" not in path}
    assert found - {"/usr/share/lintian/overrides/otk"} >= {
        "/etc/otk/otk.conf",
        "/usr/lib/otk/__main__.py",
        "/usr/lib/otk/app/otk.py",
        "/usr/lib/otk/manifest.json",
        "/usr/lib/otk/sbom.json",
        "/usr/lib/otk/server.tap",
        "/usr/lib/systemd/system/otk.service",
        "/usr/lib/systemd/system/otk.socket",
        "/usr/sbin/otk",
        "/usr/share/doc/otk/changelog.gz",
        "/usr/share/doc/otk/copyright",
        "/usr/share/man/man8/otk.8.gz",
    }
    fields = control(deb)
    assert (fields["Package"], fields["Version"]) == ("otk", "1.0")
    assert fields["Maintainer"] == "Ann Author <ann@example.org>"
    assert fields["Depends"].startswith("python3")


def test_the_manifest_has_the_sum_of_every_file_and_of_the_seed(otk: Workshop, deb: Path) -> None:
    files = contents(deb)
    told = json.loads(files["/usr/lib/otk/manifest.json"])
    assert told["seed"] == hashlib.sha256(files["/usr/lib/otk/server.tap"]).hexdigest()
    assert told["allow_modules"] == ["otk"]
    assert {"otk", "uvloop", "taphouse.runtime.runtime", "taphouse.persist.store"} <= set(told["modules"])
    assert not any(
        name.startswith(("taphouse.packaging", "taphouse.cli.shipping")) for name in told["modules"]
    )
    for path, total in told["files"].items():
        assert hashlib.sha256(files[f"/usr/lib/otk/{path}"]).hexdigest() == total
    listed = {f"/usr/lib/otk/{path}" for path in told["files"]}
    own = {path for path in files if path.startswith("/usr/lib/otk/")}
    assert {path for path in own - listed if path.count("/") > 4} == set()


def test_the_seed_is_the_tap_but_for_the_folder_where_its_code_lay(
    otk: Workshop, deb: Path, tmp_path: Path
) -> None:
    shipped = tmp_path / "shipped.tap"
    shipped.write_bytes(contents(deb)["/usr/lib/otk/server.tap"])
    document, original = (read_document(path) for path in (shipped, otk.folder / "otk-start.tap"))
    assert original["plan"]["script"]["folder"] == str(otk.folder)
    original["plan"]["script"]["folder"] = ""
    assert document == original


def test_nothing_of_the_building_machine_goes_in(otk: Workshop, deb: Path) -> None:
    for path, content in contents(deb).items():
        assert not path.endswith((".pyc", "direct_url.json", "RECORD")), path
        if not content.startswith(b"\x7fELF"):
            assert os.fsencode(otk.folder) not in content, path
            assert os.fsencode(otk.yard.folder) not in content, path
        elif content.startswith(b"\x7fELF"):
            assert (
                b"RUNPATH"
                not in subprocess.run(
                    ["readelf", "-d", "/dev/stdin"], input=content, capture_output=True
                ).stdout
            ), path


def test_the_same_tap_gives_the_same_bytes(otk: Workshop, deb: Path, tmp_path: Path) -> None:
    """From another folder, with another umask, time zone, hash seed and locale."""
    other = tmp_path / "another folder"
    other.mkdir()
    tap = other / "renamed.tap"
    tap.write_bytes((otk.folder / "otk-start.tap").read_bytes())
    # The file that is there already is the same, so that nothing has to be said of it.
    (other / deb.name).write_bytes(deb.read_bytes())
    command = [str(otk.yard.bin / "tap2deb"), "renamed.tap"]
    environment = {
        "PATH": "/usr/bin:/bin", "DEBFULLNAME": "Ann Author", "DEBEMAIL": "ann@example.org",
        "TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "7", "LC_ALL": "C",
    }  # fmt: skip
    done = subprocess.run(command, cwd=other, env=environment, umask=0o077, check=True, capture_output=True)
    assert done.stderr == b""
    assert (other / deb.name).read_bytes() == deb.read_bytes()


def asked(answers: list[str]) -> bool:
    """Ask the server for a key, if it accepts already."""
    try:
        with socket.create_connection(("127.0.0.1", PORT), timeout=30) as client:
            answers.append(client.makefile().readline())
    except ConnectionRefusedError:
        return False
    return True


def test_the_package_serves_from_its_own_files_alone(deb: Path, playground: Playground) -> None:
    """Neither the code that it was made of nor the environment it came from is looked at."""
    root = unpack(deb, playground.folder / "root")
    state = playground.make_folder("state")
    words = [sys.executable, "-ISB", str(root / "usr/lib/otk"), "run"]
    answers = []
    for _ in range(2):
        child = subprocess.Popen(
            words,
            env={**playground.environment, "STATE_DIRECTORY": str(state), "PYTHONPATH": "/nonexistent"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        playground.adopt(child)
        playground.wait_until(lambda: (state / "server.tap").exists(), "the first commit")
        playground.wait_until(lambda: asked(answers), "an answer")
        child.terminate()
        assert child.wait(30) == 0
    assert answers == ["0\n", "1\n"]
    assert (state / "server.tap").exists()


def test_what_is_imported_inside_of_a_function_goes_in_too(workshop: Workshop) -> None:
    late = KEYS.replace(
        "    def connection_made(self, transport):",
        "    def connection_made(self, transport):\n        from parts.words import text",
    )
    workshop.write("parts/__init__.py", "")
    workshop.write("parts/words.py", "def text():\n    from . import deep\n")
    workshop.write("parts/deep.py", "import helper\n")
    workshop.write("parts/.hidden", "not to be shipped")
    workshop.write("helper.py", "print('nobody wants to read this')\n")
    workshop.write("unused.py", "")
    tap = workshop.save(late)
    # As one would have typed it in 2002.
    done = workshop.run(
        *("tap2deb", "-t", tap, "-m", "Bob <bob@example.org>", "-p", "otk", "-e", "One-time keys"),
        *(
            "--long_description",
            "Gives keys.\n\nNever twice.",
            "--set_version",
            "1.2",
            "-d",
            "otk-keys",
            "-u",
        ),
    )
    assert done.stderr == ""
    (deb,) = workshop.folder.glob("otk-keys_1.2_*.deb")
    fields = control(deb)
    assert (fields["Package"], fields["Version"]) == ("otk-keys", "1.2")
    assert (fields["Maintainer"], fields["Description"]) == ("Bob <bob@example.org>", "One-time keys")
    files = contents(deb)
    assert "/usr/lib/systemd/system/otk-keys.service" in files
    assert {path for path in files if "/app/" in path and "/vendor/" not in path} == {
        f"/usr/lib/otk-keys/app/{name}"
        for name in ("helper.py", "otk.py", "parts/__init__.py", "parts/deep.py", "parts/words.py")
    }
    told = json.loads(files["/usr/lib/otk-keys/manifest.json"])
    assert {"helper", "parts.deep", "parts.words"} <= set(told["modules"])


def test_a_dry_run_says_the_same_and_writes_nothing(workshop: Workshop) -> None:
    tap = workshop.save()
    before = workshop.files()
    said = workshop.run("tap2deb", "--dry-run", "--user", "_otk", "--no-socket", tap).stdout
    assert re.search(r": otk 1\.0 for \w+, not written, ", said)
    assert "user _otk, profile highport" in said and "otk.socket" not in said
    assert workshop.files() == before


@pytest.mark.parametrize(
    ("profile", "most"), [("lowport", 1.5), ("highport", 1.2), ("sealed", 0.5)], ids=lambda value: str(value)
)
def test_systemd_finds_the_service_little_exposed(profile: str, most: float, workshop: Workshop) -> None:
    tap = workshop.save(KEYS.replace("8123", "80"))
    more = ["--no-socket"] if profile == "lowport" else []
    said = workshop.run("tap2deb", "--dry-run", "--profile", profile, *more, tap).stdout
    if "not measured" in said:
        pytest.skip("NOT RUN: there is no systemd-analyze; as root: apt-get install -y systemd")
    found = re.search(rf"profile {profile}, exposure ([0-9.]+) of 10", said)
    assert found and float(found[1]) <= most, said
