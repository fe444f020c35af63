"""A package's own command: the verbs of tap, with the state of the package's server."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from workshop import Workshop, unpack

from playground import Playground
from taphouse.cli.starting.loading import ModuleLoader
from taphouse.errors import ModuleRefusedError

pytestmark = [pytest.mark.process, pytest.mark.slow]

NOBODY = 65534


@pytest.fixture(scope="module")
def home(otk: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    (deb,) = otk.folder.glob("*.deb")
    return unpack(deb, tmp_path_factory.mktemp("root")) / "usr/lib/otk"


class Installed:
    """The command of an unpacked package, with a folder for its state."""

    def __init__(self, home: Path, place: Playground) -> None:
        self.home = home
        self.place = place
        self.state = place.make_folder("state")

    def run(self, *words: str, status: int = 0):
        command = [sys.executable, "-ISB", str(self.home), *words]
        return self.place.run(*command, status=status, environment={"STATE_DIRECTORY": str(self.state)})

    def begin(self) -> None:
        """Begin a state, as a first start does."""
        self.run("restore", str(self.home / "server.tap"))


@pytest.fixture
def installed(home: Path, playground: Playground) -> Installed:
    return Installed(home, playground)


def test_alone_it_says_what_there_is(installed: Installed) -> None:
    done = installed.run(status=64)
    assert f"whose state is in {installed.state}/server.tap" in done.stderr and "examples:" in done.stderr
    assert installed.run("--help").stdout == done.stderr
    assert installed.run("show", "--help").stdout.startswith(
        f"otk show is tap show of {installed.state}/server.tap"
    )
    assert installed.run("--version").stdout.startswith("otk (application otk, taphouse ")
    assert "there is no verb 'shout'; see otk --help" in installed.run("shout", status=64).stderr


def test_without_a_state_the_seed_is_checked_and_nothing_runs(installed: Installed) -> None:
    assert "a start would find everything it needs" in installed.run("check").stdout
    assert "is running" in installed.run("status", status=69).stderr


def test_verbs_know_the_state(installed: Installed) -> None:
    installed.begin()
    assert "application otk" in installed.run("show").stdout
    assert installed.run("get", "Keys#1.nextkey").stdout == "0\n"
    assert "a start would find everything it needs" in installed.run("check").stdout
    said = installed.run("backup", "--keep", "2").stdout
    (backup,) = (installed.state / "backups").iterdir()
    assert said.startswith(f"{backup}: otk as of epoch ")
    assert f"{backup}" in installed.run("show", str(backup)).stdout
    installed.run("set", "Keys#1.nextkey", "41")
    assert installed.run("get", "Keys#1.nextkey").stdout == "41\n"
    installed.run("restore", str(backup))
    assert installed.run("get", "Keys#1.nextkey").stdout == "0\n"


def test_a_damaged_package_is_named(installed: Installed, tmp_path: Path) -> None:
    home = tmp_path / "otk"
    home.symlink_to(installed.home)
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("__main__.py", "app", "vendor", "server.tap"):
        (copy / name).symlink_to(installed.home / name)
    installed.home = copy
    assert "manifest.json: cannot be read" in installed.run("run", status=78).stderr
    assert "install otk again" in installed.run("check", status=78).stderr


def test_without_a_folder_for_state_it_says_how_it_is_started(installed: Installed) -> None:
    installed.state = installed.place.folder / "none"
    said = installed.run("run", status=78).stderr
    assert said == (
        f"otk: {installed.state} is not there;"
        " systemctl start otk, or set STATE_DIRECTORY to a folder of your own\n"
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT RUN: only root can leave files of root's")
def test_root_leaves_nothing_that_the_servers_account_could_not_write(installed: Installed) -> None:
    installed.begin()
    os.chown(installed.state, NOBODY, NOBODY)
    other = installed.place.folder / "outside"
    other.write_text("root's own")
    os.link(other, installed.state / "linked")
    (installed.state / "pointing").symlink_to(other)
    installed.run("backup")
    installed.run("set", "Keys#1.nextkey", "7")
    found = {path.name: path.lstat().st_uid for path in installed.state.rglob("*")}
    assert {name for name, owner in found.items() if owner == 0} == {"linked", "pointing"}
    assert found["server.tap"] == found["backups"] == NOBODY
    said = installed.run("run", status=77).stderr
    assert f"{installed.state} belongs to user {NOBODY}" in said and "systemctl start otk" in said


def test_the_manifest_tells_what_may_be_imported(home: Path) -> None:
    assert json.loads((home / "manifest.json").read_text())["package"] == "otk"


def test_code_lying_where_the_tap_was_made_is_not_looked_at(tmp_path: Path) -> None:
    """On another machine that folder may be anybody's."""
    (tmp_path / "sneaky.py").write_text("")
    places = {"run_directory": str(tmp_path / "state"), "script_folder": str(tmp_path)}
    before = list(sys.path)
    loader = ModuleLoader("otk.tap", **places, trusts_tap=False)
    loader.add_folders([str(tmp_path)])
    loader.extend_path()
    assert sys.path == before
    with pytest.raises(ModuleRefusedError, match="module sneaky is not there"):
        loader.judge("sneaky")
    trusting = ModuleLoader("otk.tap", **places)
    trusting.extend_path()
    trusting.judge("sneaky")
