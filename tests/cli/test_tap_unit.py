"""`tap unit` prints what systemd needs to run a tap here, and says what it could not read."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from playground import Playground

pytestmark = pytest.mark.process


def units_of(text: str) -> dict[str, str]:
    """Return the units by the name in the line above each."""
    parts = text.split("# /etc/systemd/system/")
    assert parts[0] == ""
    return dict(part.split("\n", 1) for part in parts[1:])


def test_all_units_are_printed_each_under_its_file(seed: Playground) -> None:
    done = seed.run("tap", "unit", "otk-start.tap")
    units = units_of(done.stdout)
    assert list(units) == ["otk.service", "otk.socket"]
    start = f"ExecStart={sys.executable} -m taphouse run --state server.tap {seed.folder}/otk-start.tap"
    assert start in units["otk.service"].splitlines()
    assert f"FileDescriptorName=tcp-127.0.0.1-{seed.port(8123)}" in units["otk.socket"]
    note = f"tap unit: the tap is {seed.folder}/otk-start.tap, and a hardened service sees nothing of /tmp;"
    assert note in done.stderr


def test_one_unit_is_printed_as_its_file(seed: Playground) -> None:
    done = seed.run("tap", "unit", "--name", "keys", "--user", "daemon", "otk-start.tap", "keys.service")
    assert done.stdout.startswith("[Unit]\n")
    assert "\nUser=daemon\n" in done.stdout
    seed.run("tap", "unit", "--no-socket", "otk-start.tap", "otk.socket", status=64)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze on this machine")
def test_systemd_finds_no_fault_with_the_service(seed: Playground) -> None:
    for unit in ("otk.service", "otk.socket"):
        text = seed.run("tap", "unit", "otk-start.tap", unit).stdout
        (seed.folder / unit).write_text(text)
    command = ["systemd-analyze", "verify", "--man=no", str(seed.folder / "otk.service")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_a_secret_that_the_plan_names_is_handed_over(playground: Playground) -> None:
    playground.run("mktap", "kv", "--port", "8300", "--password-credential", "word")
    done = playground.run("tap", "unit", "kv.tap", "kv.service")
    assert "\nLoadCredential=word:kv.word\n" in done.stdout
