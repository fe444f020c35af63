"""What tests of crashes share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from crashstates import judges


@pytest.fixture(autouse=True, scope="session")
def no_judge_outlives_the_tests() -> Iterator[None]:
    """End the processes that judge: a process of xdist's leaves without waiting for what it has started."""
    yield
    if judges.cache_info().currsize:
        judges().shutdown()
