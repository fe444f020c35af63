"""A package, installed: it serves at once, and what it has said stays true whatever happens to it."""

from __future__ import annotations

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
    assert "epoch" in host.show("tally", "StatusText")
    for unit in ("tally.socket", "tally.service", "tally-backup.timer"):
        assert host.show(unit, "UnitFileState") == "enabled"
    assert "role     state" in host.run("tally", "show").stdout
    assert "tally: running" in host.run("tally", "status").stdout
    assert host.run("stat", "-c", "%a %U", "/var/lib/tally/server.tap").stdout.split()[0] == "600"
    # Who serves is nobody that files could belong to.
    user = host.run("ps", "-o", "uid=", "-p", str(host.main_pid("tally"))).stdout
    assert int(user) >= 61184


def test_what_a_server_gave_away_is_remembered_over_every_kind_of_end(
    host: Machine, packages: Packages
) -> None:
    host.install(packages.tally("1.0"))
    assert number(host) == 1
    before = host.main_pid("tally")
    host.run("kill", "-9", str(before))
    assert number(host) == 2
    assert host.main_pid("tally") not in {0, before}
    host.run("systemctl", "restart", "tally")
    assert number(host) == 3
    host.reboot()
    assert number(host) == 4
    host.run("dpkg", "-r", "tally")
    assert not host.main_pid("tally")
    host.install(packages.tally("1.0"))
    assert number(host) == 5


def test_a_server_whose_loop_hangs_is_killed_and_started_anew(host: Machine, packages: Packages) -> None:
    host.install(packages.tally("1.0"))
    host.write("/etc/systemd/system/tally.service.d/watchdog.conf", "[Service]\nWatchdogSec=3\n")
    host.run("systemctl daemon-reload && systemctl restart tally")
    assert number(host) == 1
    before = host.main_pid("tally")
    hanging = host.start("sh", "-c", "echo hang | nc 127.0.0.1 8123")
    host.wait_until(lambda: host.show("tally", "NRestarts") != "0", "the watchdog")
    hanging.communicate()
    assert number(host) == 2
    assert host.main_pid("tally") not in {0, before}
    assert "watchdog" in host.journal("tally").lower()


def test_the_journal_has_records_of_the_server_with_their_fields(host: Machine, packages: Packages) -> None:
    host.install(packages.tally("1.0"))
    assert number(host) == 1
    records = host.run(
        *("journalctl", "--no-pager", "-o", "json", "--output-fields=MESSAGE,TAPHOUSE_CONTEXT,PRIORITY"),
        "TAPHOUSE_APPLICATION=tally",
    ).stdout
    assert '"MESSAGE":"Loaded."' in records
    assert '"PRIORITY":"6"' in records
    assert "tally" in host.run("journalctl", "--no-pager", "-t", "tally", "-n", "1").stdout


def test_backups_are_made_by_the_timers_service_and_seven_are_kept(host: Machine, packages: Packages) -> None:
    host.install(packages.tally("1.0"))
    assert number(host) == 1
    folder = "/var/lib/tally/backups"
    host.run("systemctl", "start", "tally-backup.service")
    (first,) = host.run("ls", folder).stdout.split()
    # As if more than a week had gone by.
    days = [f"tally-2026010{day}T000000Z.tap" for day in range(1, 10)]
    for day in days:
        host.run("cp", "-p", f"{folder}/{first}", f"{folder}/{day}")
    host.run("rm", f"{folder}/{first}")
    assert number(host) == 2
    host.run("systemctl", "start", "tally-backup.service")
    *old, new = host.run("ls", folder).stdout.split()
    assert old == days[3:]
    assert host.show("tally-backup.timer", "NextElapseUSecRealtime")
    # The newest is one to go on from.
    host.run("systemctl", "stop", "tally.socket", "tally.service")
    host.run("tally", "restore", f"{folder}/{new}")
    host.run("systemctl", "start", "tally.socket", "tally.service")
    assert number(host) == 3


def test_systemd_finds_nothing_wrong_with_the_units(host: Machine, packages: Packages) -> None:
    host.install(packages.tally("1.0"))
    units = host.run("dpkg -L tally | grep /systemd/system/").stdout.split()
    verified = host.run("systemd-analyze", "verify", "--man=no", *units)
    assert verified.stdout + verified.stderr == ""
    scored = host.run("systemd-analyze", "security", "--no-pager", "--threshold=12", "tally.service")
    assert "OK" in scored.stdout.splitlines()[-1]
