"""A package's own command says what the next start makes of the state: the unit before an upgrade asks it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from workshop import Workshop, unpack

from playground import Playground
from taphouse.persist import read_document, write_document

pytestmark = [pytest.mark.process, pytest.mark.slow]


@pytest.fixture(scope="module")
def home(otk: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    (deb,) = otk.folder.glob("*.deb")
    return unpack(deb, tmp_path_factory.mktemp("root")) / "usr/lib/otk"


class Installed:
    """The command of an unpacked package, with folders as systemd gives them."""

    def __init__(self, home: Path, place: Playground) -> None:
        self.home, self.place = home, place
        del place.environment["TAPHOUSE_RUNTIME_DIR"]  # the service's own counts
        self.state, self.runtime = place.make_folder("state"), place.make_folder("runtime")
        self.tap = self.state / "server.tap"

    def check(self, *words: str, status: int = 0, runtime: bool = False) -> subprocess.CompletedProcess[str]:
        """Run check-upgrade."""
        environment = {"STATE_DIRECTORY": str(self.state)}
        if runtime:
            environment["RUNTIME_DIRECTORY"] = str(self.runtime)
        command = [sys.executable, "-ISB", str(self.home), "check-upgrade", *words]
        return self.place.run(*command, status=status, environment=environment)

    def begin(self, key: int = 7) -> None:
        """Make a state of the seed in which something was learnt."""
        document = read_document(self.home / "server.tap")
        document["role"] = "state"
        (keys,) = [entry for entry in document["objects"].values() if "nextkey" in entry.get("state", {})]
        keys["state"]["nextkey"] = key
        write_document(document, self.tap, name="state")


@pytest.fixture
def installed(home: Path, playground: Playground) -> Installed:
    return Installed(home, playground)


def test_before_there_is_a_state_there_is_nothing_to_check(installed: Installed) -> None:
    assert installed.check().stdout == "there is no state yet: the next start begins it\n"
    installed.check("--copy", runtime=True)
    assert installed.check(runtime=True).stdout.startswith("there is no state yet")


def test_what_the_next_start_makes_of_the_state_is_said(installed: Installed) -> None:
    installed.begin()
    before = installed.tap.read_bytes()
    # Whatever a start may be told, in the file of options too.
    told = installed.check("--log-level", "warning", "--max-connections", "7").stdout.splitlines()
    assert told[0].startswith(f"ok: {installed.tap}: state of application otk, epoch ")
    assert "ok: keeps what changed while it ran: Keys#1.nextkey: 7" in told
    assert told[-1] == "the next start would carry the state over"
    assert installed.tap.read_bytes() == before
    assert [path.name for path in installed.state.iterdir()] == ["server.tap"]


def test_the_unit_tries_a_copy_that_is_called_by_the_name_of_the_state(installed: Installed) -> None:
    installed.begin()
    installed.check("--copy", runtime=True)
    copy = installed.runtime / "server.tap"
    assert copy.read_bytes() == installed.tap.read_bytes()
    installed.tap.unlink()
    told = installed.check(runtime=True).stdout
    assert f"ok: {installed.tap}: state of application otk" in told
    copy.write_bytes(b"no tap")
    said = installed.check(runtime=True, status=78).stderr
    assert said.startswith(f"otk: {installed.tap}: ")
    assert str(copy) not in said


def test_root_copies_nothing_but_the_servers_own_file(installed: Installed) -> None:
    installed.place.write("secret", "of root")
    os.symlink(installed.place.folder / "secret", installed.tap)
    assert "is no file of user" in installed.check("--copy", runtime=True, status=77).stderr
    assert not list(installed.runtime.iterdir())
    assert "leave it out" in installed.check("--copy", status=64).stderr
