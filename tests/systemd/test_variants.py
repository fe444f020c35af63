"""Other ways in which a package can run its server: an account that stays, low ports, no network."""

from __future__ import annotations

import pytest
from clients import ask
from packages import Packages

from nspawn import Machine


@pytest.mark.soak
def test_state_moves_from_an_account_of_systemd_to_one_that_stays_and_back(
    host: Machine, packages: Packages
) -> None:
    before = host.files()
    host.install(packages.tally("1.0"))
    assert ask(host) == "1 1"
    host.install(packages.tally("1.1", "--user", "_tally", edition=2))
    assert ask(host) == "2 2"
    assert host.run("ps", "-o", "user=", "-p", str(host.main_pid("tally"))).stdout.strip() == "_tally"
    assert host.run("stat", "-c", "%U %G %F", "/var/lib/tally").stdout == "_tally _tally directory\n"
    host.run("systemctl", "start", "tally-backup.service")
    host.install(packages.tally("1.2", edition=3))
    assert ask(host) == "3 3"
    host.run("dpkg", "-P", "tally")
    assert not [path for path in host.files() - before if "tally" in path and "/var/lib/dpkg" not in path]


def test_a_sealed_server_serves_without_any_network(host: Machine, packages: Packages) -> None:
    host.install(packages.tally("1.0", "--profile", "sealed"))
    assert ask(host) == "1 1"
    assert host.show("tally", "PrivateNetwork") == "yes"
    host.run("kill", "-9", str(host.main_pid("tally")))
    assert ask(host) == "1 2"
    scored = host.run("systemd-analyze", "security", "--no-pager", "--threshold=5", "tally.service")
    assert "SAFE" in scored.stdout.splitlines()[-1]


def test_a_low_port_is_opened_by_the_server_itself_without_root(host: Machine, packages: Packages) -> None:
    host.install(packages.tally("1.0", "--no-socket", port=80))
    assert ask(host, 80) == "1 1"
    assert int(host.run("ps", "-o", "uid=", "-p", str(host.main_pid("tally"))).stdout) != 0
    assert host.show("tally.socket", "LoadState") == "not-found"
    assert host.show("tally", "AmbientCapabilities") == "cap_net_bind_service"
    scored = host.run("systemd-analyze", "security", "--no-pager", "--threshold=15", "tally.service")
    assert "OK" in scored.stdout.splitlines()[-1]
