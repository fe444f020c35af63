"""A new version takes over: nobody is refused, nothing is forgotten, and a bad one changes nothing."""

from __future__ import annotations

import os

import pytest
from clients import Load, ask, number, under_load
from packages import Packages

from nspawn import Machine

REQUESTS = int(os.environ.get("TAPHOUSE_UPGRADE_REQUESTS", "3000"))
NOT_CARRIED = ("class Turns(Factory):", "class Turns(Factory, version=2):")
"""A change that needs a step from the old state to the new, which nobody has written."""


def version_of(host: Machine, package: str) -> str:
    """Return how dpkg sees a package."""
    return host.run("dpkg-query", "-W", "-f", "${Status} ${Version}", package).stdout


def test_no_client_is_refused_or_answered_twice_while_a_package_is_upgraded(
    host: Machine, packages: Packages
) -> None:
    host.install(packages.tally("1.0"))
    seen: list[Load] = []
    with under_load(host, REQUESTS, seen):
        host.install(packages.tally("1.1", edition=2))
    load = seen[0]
    print(f"upgrade under load: {load.summary()}")
    assert load.failures == []
    assert len(load.answers) >= REQUESTS
    numbers = [given for _, given in load.answers]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))
    first_of_new = min(given for edition, given in load.answers if edition == 2)
    assert {edition for edition, given in load.answers if given < first_of_new} == {1}
    assert {edition for edition, given in load.answers if given >= first_of_new} == {2}


def test_a_version_that_cannot_carry_the_state_is_refused_and_the_old_one_goes_on(
    host: Machine, packages: Packages
) -> None:
    host.install(packages.tally("1.0"))
    assert ask(host) == "1 1"
    before = host.main_pid("tally")
    said = host.install(packages.tally("1.1", edition=2, change=NOT_CARRIED), status=1)
    assert "Turns" in said
    assert host.main_pid("tally") == before
    assert version_of(host, "tally") == "install ok installed 1.0"
    assert ask(host) == "1 2"
    host.run("systemctl", "restart", "tally")
    assert ask(host) == "1 3"
    # A version that can is taken as if nothing had been.
    host.install(packages.tally("1.2", edition=3))
    assert ask(host) == "3 4"


def test_an_older_version_is_refused_by_its_name(host: Machine, packages: Packages) -> None:
    host.install(packages.tally("1.1", edition=2))
    assert ask(host) == "2 1"
    before = host.main_pid("tally")
    said = host.install(packages.tally("1.0"), status=1)
    assert "1.0" in said
    assert "1.1" in said
    assert host.main_pid("tally") == before
    assert version_of(host, "tally") == "install ok installed 1.1"
    assert ask(host) == "2 2"


def test_what_an_administrator_has_disabled_or_masked_stays_so(host: Machine, packages: Packages) -> None:
    host.install(packages.tally("1.0"))
    assert number(host) == 1
    host.run("systemctl", "disable", "--now", "tally.socket", "tally.service", "tally-backup.timer")
    host.install(packages.tally("1.1", edition=2))
    for unit in ("tally.socket", "tally.service", "tally-backup.timer"):
        assert host.show(unit, "UnitFileState") == "disabled"
        assert host.show(unit, "ActiveState") == "inactive"
    host.run("systemctl", "mask", "tally.socket", "tally.service")
    host.install(packages.tally("1.2", edition=3))
    for unit in ("tally.socket", "tally.service"):
        assert host.show(unit, "UnitFileState") == "masked"
        assert host.show(unit, "ActiveState") == "inactive"
    host.run("systemctl", "unmask", "tally.socket", "tally.service")
    host.run("systemctl", "start", "tally.service")
    assert ask(host) == "3 2"


@pytest.mark.soak
def test_what_an_administrator_has_written_into_the_configuration_stays(
    host: Machine, packages: Packages
) -> None:
    host.install(packages.tally("1.0"))
    host.write("/etc/tally/tally.conf", "TAP_OPTIONS=--log-level warning\n")
    host.write("/etc/tally/notes.txt", "why\n")
    host.install(packages.tally("1.1", edition=2))
    assert host.run("cat", "/etc/tally/tally.conf").stdout == "TAP_OPTIONS=--log-level warning\n"
    assert ask(host) == "2 1"
    assert "starting on" not in host.journal("tally", f"_PID={host.main_pid('tally')}")
    host.run("dpkg", "-P", "tally")
    assert host.run("find", "/etc/tally").stdout.split() == ["/etc/tally", "/etc/tally/notes.txt"]
