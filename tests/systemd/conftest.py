"""A machine for each test, one at a time, and packages that real commands have made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from packages import Packages, packages_for

from nspawn import Machine, machine

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let one worker do all that is here, so that one machine at a time is up."""
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker(pytest.mark.process)
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.xdist_group("systemd"))


@pytest.fixture(scope="session", params=["bookworm", pytest.param("trixie", marks=pytest.mark.soak)])
def suite(request: pytest.FixtureRequest) -> str:
    """A release of Debian; the newer one only when there is time."""
    return str(request.param)


@pytest.fixture(scope="session")
def packages(suite: str) -> Packages:
    """The packages of the tests, made for this release's Python."""
    return packages_for(suite)


@pytest.fixture
def host(suite: str) -> Iterator[Machine]:
    """A Debian system that has just booted, and nobody has used."""
    with machine(suite) as made:
        yield made


@pytest.fixture(scope="module")
def shared_host(suite: str, packages: Packages) -> Iterator[Machine]:
    """A system with ``tally`` on it, for all tests of a file."""
    with machine(suite) as made:
        made.install(packages.tally("1.0"))
        yield made


@pytest.fixture
def serving(shared_host: Machine) -> Machine:
    """A system on which ``tally`` serves, and has given away some numbers."""
    # However often the tests before this one have started it.
    shared_host.run("systemctl", "reset-failed", "tally.service", "tally.socket", "tally-backup.service")
    shared_host.run("systemctl", "start", "tally.socket", "tally.service")
    return shared_host
