"""A shipyard, and workshops beside it."""

from __future__ import annotations

from pathlib import Path

import pytest
from workshop import KEYS, PORT, Workshop

from shipyard import Shipyard, open_shipyard


@pytest.fixture(scope="session")
def yard() -> Shipyard:
    """taphouse installed whole, without extras."""
    return open_shipyard()


@pytest.fixture
def workshop(tmp_path: Path, yard: Shipyard) -> Workshop:
    """An empty folder with the yard's commands."""
    return Workshop(tmp_path, yard)


@pytest.fixture(scope="session")
def otk(tmp_path_factory: pytest.TempPathFactory, yard: Shipyard) -> Workshop:
    """A workshop in which otk-start.tap and its package were made; nobody changes it."""
    made = Workshop(tmp_path_factory.mktemp("otk"), yard)
    made.save(KEYS.replace("8123", str(PORT)))
    made.write("said.txt", made.run("tap2deb", "otk-start.tap").stdout)
    return made
