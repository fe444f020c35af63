"""A package, installed: it serves at once, and what it has said stays true whatever happens to it."""

from __future__ import annotations

import json

from clients import ask, number
from packages import Packages

from nspawn import Machine


def test_check_23(host: Machine, packages: Packages) -> None:
    """tap2deb on the tap -> a package with tap and unit; starting opens the port, removing stops it."""
    host.install(packages.otk())
    files = host.run("dpkg", "-L", "otk").stdout.splitlines()
    assert "/usr/lib/otk/server.tap" in files
    assert any(path.endswith("/systemd/system/otk.service") for path in files)
    host.run("systemctl", "stop", "otk.socket", "otk.service")
    refused = "nc -z 127.0.0.1 8123"
    host.run(refused, status=1)
    host.run("systemctl", "start", "otk.service")
    assert host.run("nc 127.0.0.1 8123 </dev/null").stdout == "0\n"
    host.run("dpkg", "-r", "otk")
    host.run(refused, status=1)
    assert host.show("otk.service", "LoadState") == "not-found"


def test_the_first_client_is_served_as_soon_as_dpkg_is_done(host: Machine, packages: Packages) -> None:
    host.install(packages.tally("1.0"))
    assert ask(host) == "1 1"
    assert host.show("tally", "ActiveState") == "active"
    host.wait_until(lambda: "epoch" in host.show("tally", "StatusText"), "the status")
    for unit in ("tally.socket", "tally.service", "tally-backup.timer"):
        assert host.show(unit, "UnitFileState") == "enabled"
    assert "role     state" in host.run("tally", "show").stdout
    assert "tally: running" in host.run("tally", "status").stdout
    host.run("tally", "check")
    assert host.run("stat", "-c", "%a", "/var/lib/tally/server.tap").stdout == "600\n"
    # Who serves is nobody that files could belong to: one of the accounts that systemd makes and forgets.
    assert int(host.run("ps", "-o", "uid=", "-p", str(host.main_pid("tally"))).stdout) >= 61184


def test_what_a_server_gave_away_is_remembered_over_every_kind_of_end(
    serving: Machine, packages: Packages
) -> None:
    first = number(serving)
    before = serving.main_pid("tally")
    serving.run("kill", "-9", str(before))
    assert number(serving) == first + 1
    assert serving.main_pid("tally") not in {0, before}
    serving.run("systemctl", "restart", "tally")
    assert number(serving) == first + 2
    serving.reboot()
    assert number(serving) == first + 3
    serving.run("dpkg", "-r", "tally")
    assert not serving.main_pid("tally")
    serving.install(packages.tally("1.0"))
    assert number(serving) == first + 4


def test_a_server_whose_loop_hangs_is_killed_and_started_anew(serving: Machine) -> None:
    drop_in = "/run/systemd/system/tally.service.d/watchdog.conf"
    # Much less than that, and a machine that stands still for a moment looks like a loop that hangs.
    serving.write(drop_in, "[Service]\nWatchdogSec=10\n")
    serving.run("systemctl daemon-reload && systemctl restart tally")
    first = number(serving)
    before = serving.main_pid("tally")
    with serving.start("sh", "-c", "echo hang | nc 127.0.0.1 8123") as hanging:
        serving.wait_until(lambda: serving.main_pid("tally") not in {0, before}, "the watchdog")
        hanging.communicate()
    assert number(serving) == first + 1
    assert "watchdog" in serving.journal("tally").lower()
    serving.run(f"rm {drop_in} && systemctl daemon-reload")


def test_the_journal_has_records_of_the_server_with_their_fields(serving: Machine) -> None:
    fields = "--output-fields=MESSAGE,TAPHOUSE_CONTEXT,PRIORITY,SYSLOG_IDENTIFIER"
    said = serving.journal("", "-o", "json", fields, "TAPHOUSE_APPLICATION=tally")
    records = [json.loads(line) for line in said.splitlines()]
    (loaded, *_) = [record for record in records if record["MESSAGE"] == "Loaded."]
    assert loaded["PRIORITY"] == "6"
    assert loaded["SYSLOG_IDENTIFIER"] == "tally"
    assert loaded["TAPHOUSE_CONTEXT"] == "-"


def test_backups_are_made_by_the_timers_service_and_seven_are_kept(serving: Machine) -> None:
    first = number(serving)
    folder = "/var/lib/tally/backups"
    serving.run("systemctl", "start", "tally-backup.service")
    (made,) = serving.run("ls", folder).stdout.split()
    # As if more than a week had gone by.
    days = [f"tally-2026010{day}T000000Z.tap" for day in range(1, 10)]
    for day in days:
        serving.run("cp", "-p", f"{folder}/{made}", f"{folder}/{day}")
    serving.run("rm", f"{folder}/{made}")
    assert number(serving) == first + 1
    serving.run("systemctl", "start", "tally-backup.service")
    *old, new = serving.run("ls", folder).stdout.split()
    assert old == days[3:]
    assert serving.show("tally-backup.timer", "NextElapseUSecRealtime")
    # The newest is one to go on from.
    assert number(serving) == first + 2
    serving.run("systemctl", "stop", "tally.socket", "tally.service")
    serving.run("tally", "restore", f"{folder}/{new}")
    serving.run("systemctl", "start", "tally.socket", "tally.service")
    assert number(serving) == first + 2


def test_systemd_finds_nothing_wrong_with_the_units(serving: Machine) -> None:
    units = serving.run("dpkg -L tally | grep /systemd/system/").stdout.split()
    verified = serving.run("systemd-analyze", "verify", "--man=no", *units)
    assert verified.stdout + verified.stderr == ""
    scored = serving.run("systemd-analyze", "security", "--no-pager", "--threshold=12", "tally.service")
    assert "OK" in scored.stdout.splitlines()[-1]
