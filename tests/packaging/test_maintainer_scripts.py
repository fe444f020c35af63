"""What dpkg runs does what an administrator expects, and touches nothing of others."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from taphouse.errors import UsageError
from taphouse.packaging import Upkeep, maintainer_scripts, sysusers_text
from taphouse.value import replace

UPKEEP = Upkeep(package="otk", units=("otk.service", "otk.socket", "otk-backup.timer"))
TOOLS = (
    "deb-systemd-helper",
    "deb-systemd-invoke",
    "systemctl",
    "py3compile",
    "py3clean",
    "systemd-sysusers",
)


class Machine:
    """A root folder, and tools that only write down how they were called."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.running = folder / "running"
        self.log = folder / "log"
        self.tools = folder / "tools"
        self.tools.mkdir()
        self.enabled = "true"
        self.forget()
        for tool in TOOLS:
            (self.tools / tool).write_text(
                f'#!/bin/sh\necho "{tool} $*" >>"{self.log}"\n'
                'if [ "$1 $2" = "--quiet was-enabled" ]; then $ENABLED; fi\n'
            )
            (self.tools / tool).chmod(0o755)

    def forget(self) -> None:
        self.log.write_text("")

    def run(
        self, script: str, *arguments: str, upkeep: Upkeep = UPKEEP, live: bool = True, status: int = 0
    ) -> list[str]:
        """Run a script; return what it called, and what it said if its status is not 0.

        A script that is tried in a folder of its own sees it as DPKG_ROOT, which keeps it from systemd; so
        "live" means that its condition is replaced, not that systemd is there.
        """
        if live:
            self.running.mkdir(exist_ok=True)
        text = maintainer_scripts(upkeep)[script]
        text = text.replace('[ -z "${DPKG_ROOT:-}" ]', "true").replace(
            "${DPKG_ROOT:-}/run/", "${DPKG_ROOT:-}/x/"
        )
        text = text.replace("/run/systemd/system", str(self.running)).replace(
            "/run/otk-", f"{self.root}/x/otk-"
        )
        text = text.replace('"/usr/lib/systemd', f'"{self.root}/usr/lib/systemd')
        environment = {
            "PATH": f"{self.tools}:{os.environ['PATH']}",
            "DPKG_ROOT": str(self.root),
            "ENABLED": self.enabled,
        }
        done = subprocess.run(
            ["sh", "-c", text, script, *arguments], env=environment, capture_output=True, text=True
        )
        assert (done.returncode, done.stdout) == (status, "")
        assert status or not done.stderr
        calls = self.log.read_text().splitlines()
        self.forget()
        return [*calls, *done.stderr.splitlines()]

    def check_says(self, status: int) -> None:
        """Let the check of the version whose files are there end with a status."""
        path = self.root / "usr/lib/otk/check-upgrade"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'#!/bin/sh\necho "check-upgrade $*" >>"{self.log}"\nexit {status}\n')
        path.chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_first_installation_enables_and_starts_everything_sockets_first(machine: Machine) -> None:
    calls = machine.run("postinst", "configure", "")
    assert calls[0] == "py3compile -p otk /usr/lib/otk"
    assert [call for call in calls if call.startswith("deb-systemd-helper enable")] == [
        "deb-systemd-helper enable otk.service",
        "deb-systemd-helper enable otk.socket",
        "deb-systemd-helper enable otk-backup.timer",
    ]
    assert calls[-2:] == [
        "systemctl --system daemon-reload",
        "deb-systemd-invoke start otk.socket otk.service otk-backup.timer",
    ]


def test_an_upgrade_stops_nothing_and_leaves_the_sockets_alone(machine: Machine) -> None:
    assert not [call for call in machine.run("prerm", "upgrade", "2.0") if "systemd" in call]
    machine.check_says(0)
    assert machine.run("postrm", "upgrade", "2.0") == ["check-upgrade unpacked"]
    calls = machine.run("postinst", "configure", "1.0")
    assert [call for call in calls if "invoke" in call] == [
        "deb-systemd-invoke restart otk.service otk-backup.timer"
    ]


def test_a_version_that_cannot_go_on_is_taken_back_before_anything_is_stopped(machine: Machine) -> None:
    """The old script asks the new version's check, and so does the new script: if both fail, dpkg unwinds."""
    machine.check_says(1)
    assert machine.run("postrm", "upgrade", "2.0", status=1) == ["check-upgrade unpacked"]
    assert machine.run("postrm", "failed-upgrade", "1.0", status=1) == ["check-upgrade unpacked"]
    # The old version's files are there again, and its server was never stopped.
    calls = machine.run("postinst", "abort-upgrade", "2.0")
    assert "systemctl --system daemon-reload" in calls
    assert not [call for call in calls if "invoke" in call or "check-upgrade" in call]


def test_what_dpkg_does_not_take_back_is_not_started_either(machine: Machine) -> None:
    machine.check_says(1)
    calls = machine.run("postinst", "configure", "1.0", status=1)
    assert calls[-2:] == ["check-upgrade configured", "otk: a server that runs is left alone"]
    assert not [call for call in calls if "invoke" in call]


def test_a_removal_that_was_given_up_starts_the_server_again(machine: Machine) -> None:
    calls = machine.run("postinst", "abort-remove")
    assert calls[-1] == "deb-systemd-invoke start otk.socket otk.service otk-backup.timer"


def test_sockets_that_listen_elsewhere_are_stopped_first(machine: Machine) -> None:
    units = machine.root / "usr/lib/systemd/system"
    units.mkdir(parents=True)
    for name, port in (("otk.socket", 1), ("otk-same.socket", 2), ("otk-gone.socket", 3)):
        (units / name).write_text(f"ListenStream={port}\n")
    (machine.tools / "dpkg-query").write_text(f"#!/bin/sh\nls -d {units}/* {machine.root}\n")
    (machine.tools / "dpkg-query").chmod(0o755)
    (machine.root / "x").mkdir()
    upkeep = replace(UPKEEP, version="2.0")
    assert machine.run("preinst", "upgrade", "1.0", upkeep=upkeep) == []
    (units / "otk.socket").write_text("ListenStream=4\n")
    (units / "otk-gone.socket").unlink()
    calls = [call for call in machine.run("postinst", "configure", "1.0", upkeep=upkeep) if "invoke" in call]
    assert calls == [
        "deb-systemd-invoke stop otk-gone.socket otk.socket",
        "deb-systemd-invoke restart otk.service otk-backup.timer",
    ]
    assert not list((machine.root / "x").iterdir())


def test_state_of_a_newer_version_is_refused_by_its_name(machine: Machine) -> None:
    upkeep = replace(UPKEEP, version="1.0~rc1")
    state = machine.root / "var/lib/otk/server.tap"
    state.parent.mkdir(parents=True)
    for reason in ("upgrade", "install"):
        assert machine.run("preinst", reason, "1.0", upkeep=upkeep, live=False) == []  # there is none
    state.write_text("")
    for reason in ("upgrade", "install"):
        said = machine.run("preinst", reason, "1.0", upkeep=upkeep, live=False, status=1)
        assert said[0] == "otk: version 1.0~rc1 is older than 1.0, which has written its state"
        assert len(said) == 2
    for before in ("1.0~rc1", "0.9", ""):
        assert machine.run("preinst", "upgrade", before, upkeep=upkeep, live=False) == []
    assert machine.run("preinst", "abort-upgrade", "1.0", upkeep=upkeep, live=False) == []
    (machine.root / "x").mkdir()
    (machine.root / "x/otk-downgrade").touch()
    assert machine.run("preinst", "upgrade", "1.0", upkeep=upkeep, live=False) == []


def test_what_an_administrator_disabled_stays_disabled(machine: Machine) -> None:
    machine.enabled = "false"
    calls = machine.run("postinst", "configure", "1.0")
    assert not [call for call in calls if "helper enable" in call]
    assert "deb-systemd-helper update-state otk.service" in calls


def test_where_systemd_does_not_run_nothing_is_started(machine: Machine) -> None:
    calls = machine.run("postinst", "configure", "", live=False)
    calls += machine.run("prerm", "remove", live=False) + machine.run("postrm", "remove", live=False)
    assert not [call for call in calls if call.startswith(("systemctl", "deb-systemd-invoke"))]


def test_removing_keeps_the_state_and_purging_leaves_nothing(machine: Machine) -> None:
    own = [
        "var/lib/private/otk/x",
        "var/cache/otk/x",
        "var/log/private/otk/x",
        "var/lib/systemd/timers/stamp-otk-backup.timer",
        "usr/lib/otk/late.pyc",
    ]
    others = ["var/lib/private/other/x", "var/lib/x", "usr/lib/x", "var/lib/otk2/x"]
    for name in own + others:
        (machine.root / name).parent.mkdir(parents=True, exist_ok=True)
        (machine.root / name).write_text("")
    (machine.root / "var/lib/otk").symlink_to("private/otk")

    calls = machine.run("prerm", "remove")
    assert calls[0] == "deb-systemd-invoke stop otk.socket otk.service otk-backup.timer"
    assert machine.run("postrm", "remove") == ["systemctl --system daemon-reload"]
    assert not (machine.root / "usr/lib/otk").exists()
    assert all((machine.root / name).exists() for name in [*own[:4], *others])

    assert machine.run("postrm", "purge") == [
        "deb-systemd-helper purge otk.service otk.socket otk-backup.timer"
    ]
    left = sorted(
        str(file.relative_to(machine.root)) for file in machine.root.rglob("*") if not file.is_dir()
    )
    assert left == sorted(others)
    assert not os.path.lexists(machine.root / "var/lib/otk")


def test_purging_works_where_debians_helper_is_gone(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    (machine.tools / "deb-systemd-helper").unlink()
    for tool in ("sh", "rm"):
        (machine.tools / tool).symlink_to(str(shutil.which(tool)))
    monkeypatch.setenv("PATH", str(machine.tools))
    assert machine.run("postrm", "purge") == []


def test_code_for_one_python_is_compiled_by_it(machine: Machine) -> None:
    calls = machine.run("postinst", "configure", "", upkeep=replace(UPKEEP, python="3.11"))
    assert calls[0] == "py3compile -p otk /usr/lib/otk -V 3.11"


def test_an_account_is_there_before_anything_else(machine: Machine) -> None:
    upkeep = replace(UPKEEP, account="_otk")
    calls = machine.run("postinst", "configure", "", upkeep=upkeep)
    assert calls[0] == f"systemd-sysusers --root={machine.root} otk.conf"
    assert sysusers_text(upkeep) == 'u _otk - "otk server" /var/lib/otk /usr/sbin/nologin\n'


@pytest.mark.skipif(
    shutil.which("systemd-sysusers") is None, reason="NOT RUN: systemd-sysusers is not installed"
)
def test_systemd_understands_the_account(tmp_path: Path) -> None:
    (tmp_path / "usr/lib/sysusers.d").mkdir(parents=True)
    (tmp_path / "usr/lib/sysusers.d/otk.conf").write_text(sysusers_text(replace(UPKEEP, account="_otk")))
    (tmp_path / "etc").mkdir()
    done = subprocess.run(
        ["systemd-sysusers", f"--root={tmp_path}", "--dry-run", "otk.conf"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "_otk" in done.stderr + done.stdout


def test_an_unknown_reason_is_refused() -> None:
    done = subprocess.run(
        ["sh", "-c", maintainer_scripts(UPKEEP)["postinst"], "postinst", "sing"],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (1, "postinst called with unknown argument 'sing'\n")


@pytest.mark.parametrize("shell", ["dash", "bash"])
@pytest.mark.parametrize("script", ["preinst", "postinst", "prerm", "postrm"])
def test_every_shell_reads_the_scripts(shell: str, script: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"NOT RUN: there is no {shell}")
    for account in ("", "_otk"):
        text = maintainer_scripts(replace(UPKEEP, account=account, version="1.0"))[script]
        done = subprocess.run([shell, "-n"], input=text, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="NOT RUN: shellcheck is not installed")
def test_shellcheck_has_nothing_to_say(tmp_path: Path) -> None:
    upkeep = replace(UPKEEP, account="_otk", python="3.11", version="1:1.0~rc1-2")
    for name, text in maintainer_scripts(upkeep).items():
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        ["shellcheck", *(tmp_path / name for name in ("preinst", "postinst", "prerm", "postrm"))],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_a_name_that_would_remove_too_much_is_refused() -> None:
    for name in ("", ".", "..", "a/b", "x y", "$HOME"):
        with pytest.raises(UsageError, match="cannot name a package"):
            Upkeep(package=name, units=(f"{name}.service",))


@pytest.mark.parametrize(
    "units", [(), ("otk.socket",), ("otk.service", "ssh.service"), ("otk.service", "otk x.socket")]
)
def test_units_of_others_are_left_alone(units: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="unit"):
        Upkeep(package="otk", units=units)
