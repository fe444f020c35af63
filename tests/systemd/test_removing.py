"""What is left of a package: its state after ``remove``, nothing after ``purge``."""

from __future__ import annotations

from clients import number
from packages import Packages

from nspawn import Machine

# dpkg's own, and what any service leaves until the next boot.
KEPT_BY_THE_SYSTEM = ("/var/log/", "/var/lib/dpkg/", "/var/tmp/systemd-private-", "/var/cache/")


def left_over(host: Machine, before: set[str]) -> list[str]:
    """Return what is there and was not, but for what is the system's own."""
    return sorted(path for path in host.files() - before if not path.startswith(KEPT_BY_THE_SYSTEM))


def test_a_purge_leaves_nothing_but_what_was_there_before(host: Machine, packages: Packages) -> None:
    before = host.files()
    host.install(packages.tally("1.0"))
    assert number(host) == 1
    host.run("systemctl", "start", "tally-backup.service")
    host.run("tally", "status")
    host.run("dpkg", "-r", "tally")
    assert "/var/lib/private/tally/server.tap" in left_over(host, before)
    assert not [path for path in left_over(host, before) if path.startswith("/usr")]
    host.run("dpkg", "-P", "tally")
    left = left_over(host, before)
    # Folders of systemd's that the first package of all makes stay, empty.
    assert not [path for path in left if "tally" in path]
    assert host.run("xargs -r -I@ find @ -maxdepth 0 ! -type d", stdin="\n".join(left)).stdout == ""
    assert not before - host.files()
    host.run("ls", "/run/tally", status=2)
    assert host.run("systemctl list-units --all --no-legend 'tally*'").stdout == ""
