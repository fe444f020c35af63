"""What every room's tests may use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from playground import Playground


@pytest.fixture
def playground() -> Iterator[Playground]:
    """A fresh folder with the commands on its PATH; what was started in it is ended afterwards."""
    place = Playground()
    yield place
    place.close()
