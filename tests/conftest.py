"""What every room's tests may use."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from playground import Playground

# Properties are tried with the same examples in each run, however busy the machine is; other ones are
# what `./run soak` is for.
settings.register_profile(
    "taphouse",
    deadline=None,
    derandomize="TAPHOUSE_KILL_ROUNDS" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("taphouse")


@pytest.fixture
def playground() -> Iterator[Playground]:
    """A fresh folder with the commands on its PATH; what was started in it is ended afterwards."""
    place = Playground()
    yield place
    place.close()


@pytest.fixture(autouse=True)
def the_path_as_it_was() -> Iterator[None]:
    """What a test, or a tap that it starts in process, adds to ``sys.path`` is gone afterwards."""
    before = list(sys.path)
    yield
    sys.path[:] = before
