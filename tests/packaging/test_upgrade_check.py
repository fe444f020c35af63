"""The check before an upgrade says no only if the new version was tried and cannot go on from the state."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from taphouse.packaging import upgrade_check_text

DEPENDS = ("python3.11", "libc6:any (>= 2.34)", "systemd | systemd-standalone-sysusers (>> 250)")


class Machine:
    """Tools that answer as they are told.

    Args:
        folder: of its own.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.installed = {"python3.11": "3.11.2-6", "libc6": "2.36-9", "systemd": "252.39"}
        self.starts, self.load, self.status = False, "loaded", 78
        for name in ("run", "systemd", "state", "tools"):
            (folder / name).mkdir()
        (folder / "state/server.tap").touch()
        self.says = "ok: one\nproblem: two\notk: why not; cure\n"

    def ask(self, stage: str, depends: tuple[str, ...] = DEPENDS) -> tuple[int, list[str]]:
        """Run the script; return its status and what it said."""
        text = upgrade_check_text("otk", depends)
        for place, ours in (
            ("/run/systemd/system", "systemd"),
            ("/run/otk", "run/otk"),
            ("/var/lib/otk/server.tap ]", "state/server.tap ]"),
        ):
            assert place in text
            text = text.replace(place, str(self.folder / ours))
        log = self.folder / "run/otk-check.log"
        log.write_text("of another time\n")
        says = f"printf %s '{self.says}' >{log}; " if self.says else ""
        start = says + ("exit 0" if self.starts else "exit 1")
        self._tool(
            "systemctl",
            f'case "$*" in *start*) {start};; *LoadState*) echo {self.load};; '
            f"*ExecMainStatus*) echo {self.status};; *) echo \"$*\" >>'{self.folder}/calls';; esac",
        )
        answers = "".join(
            f'"{name} Version") echo {version};; "{name} Status") echo installed;;\n'
            for name, version in self.installed.items()
        )
        self._tool(
            "dpkg-query",
            f'what=Status; case "$3" in *Version*) what=Version;; esac\n'
            f'case "$4 $what" in {answers} *) exit 1;; esac',
        )
        environment = {"PATH": f"{self.folder / 'tools'}:{os.environ['PATH']}"}
        done = subprocess.run(
            ["sh", "-c", text, "check", stage], env=environment, capture_output=True, text=True
        )
        assert done.stdout == ""
        return done.returncode, done.stderr.splitlines()

    def _tool(self, name: str, text: str) -> None:
        path = self.folder / "tools" / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize("stage", ["unpacked", "configured"])
def test_a_state_that_can_be_carried_over_is_no_obstacle(machine: Machine, stage: str) -> None:
    machine.starts = True
    assert machine.ask(stage) == (0, [])


@pytest.mark.parametrize("stage", ["unpacked", "configured"])
def test_a_state_that_cannot_is_refused_with_the_reason(machine: Machine, stage: str) -> None:
    status, said = machine.ask(stage)
    assert status == 1
    assert said[0] == "otk: why not; cure"
    assert len(said) == 2
    assert "cannot go on from the state in /var/lib/otk" in said[1]
    # A unit that has failed would be a machine that is degraded.
    assert "reset-failed otk-check.service" in (machine.folder / "calls").read_text()


@pytest.mark.parametrize("status", [0, 1, 127, 203, 217])
def test_without_an_answer_the_files_stay_unpacked_but_the_old_server_stays(
    machine: Machine, status: int
) -> None:
    machine.status = status
    machine.says = ""
    assert machine.ask("unpacked") == (0, [])
    refused, said = machine.ask("configured")
    assert refused == 1
    assert f"otk: otk-check.service failed with status {status}" in said


@pytest.mark.parametrize(
    ("name", "version"),
    [("python3.11", ""), ("libc6", "2.33"), ("libc6", ""), ("systemd", "")],
)
def test_before_what_it_depends_on_is_there_nothing_is_tried(
    machine: Machine, name: str, version: str
) -> None:
    del machine.installed[name]
    if version:
        machine.installed[name] = version
    assert machine.ask("unpacked") == (0, [])
    assert machine.ask("configured")[0] == 1


def test_an_alternative_is_as_good(machine: Machine) -> None:
    del machine.installed["systemd"]
    machine.installed["systemd-standalone-sysusers"] = "252"
    assert machine.ask("unpacked")[0] == 1


def test_a_unit_that_an_administrator_has_masked_is_no_obstacle(machine: Machine) -> None:
    machine.load = "masked"
    status, [said] = machine.ask("configured")
    assert status == 0
    assert "otk-check.service is masked" in said


def test_without_state_or_without_systemd_there_is_nothing_to_try(machine: Machine) -> None:
    (machine.folder / "state/server.tap").unlink()
    assert machine.ask("configured") == (0, [])
    (machine.folder / "state/server.tap").touch()
    (machine.folder / "systemd").rmdir()
    assert machine.ask("configured") == (0, [])


def test_what_is_no_relation_is_refused() -> None:
    for bad in ("", "a; rm -rf /", "libc6 (>= 1) x", "libc6 (~ 1)"):
        with pytest.raises(ValueError, match="relation"):
            upgrade_check_text("otk", [bad])


@pytest.mark.parametrize("depends", [(), DEPENDS])
@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="NOT RUN: shellcheck is not installed")
def test_shellcheck_has_nothing_to_say(tmp_path: Path, depends: tuple[str, ...]) -> None:
    (tmp_path / "check").write_text(upgrade_check_text("otk", depends))
    done = subprocess.run(["shellcheck", tmp_path / "check"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
