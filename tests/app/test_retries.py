"""When to try again is arithmetic: growing, bounded, jittered, and never overflowing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taphouse.app import ClientFactory, Factory, Retry, retry_of


def never() -> float:
    return 0.0


def almost_one() -> float:
    return 1.0


def test_waits_grow_up_to_the_longest() -> None:
    """Without jitter: 1, 2, 4, 8, 10, 10."""
    retry = Retry(initial_s=1, factor=2, max_s=10, jitter=0)
    assert [retry.delay_s(n, never) for n in range(1, 7)] == [1, 2, 4, 8, 10, 10]


def test_jitter_takes_off_its_share_and_no_more() -> None:
    """Half of a wait random: between half and all of it."""
    retry = Retry(initial_s=4, factor=1, max_s=4, jitter=0.5)
    assert retry.delay_s(1, never) == 2
    assert retry.delay_s(1, almost_one) == 4


@settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    initial=st.floats(1e-3, 10),
    factor=st.floats(1, 10),
    most=st.floats(10, 1e6),
    jitter=st.floats(0, 1),
    failures=st.integers(0, 10**9),
    random=st.floats(0, 1),
)
def test_no_wait_is_longer_than_allowed_or_negative(
    initial: float, factor: float, most: float, jitter: float, failures: int, random: float
) -> None:
    """After a thousand million failures, too."""
    delay = Retry(initial, factor, most, jitter).delay_s(failures, lambda: random)
    assert 0 <= delay <= most * 1.000001


def test_it_gives_up_when_told_to() -> None:
    """None is never."""
    assert not Retry().gives_up(10**9)
    assert [Retry(max_attempts=2).gives_up(n) for n in (1, 2, 3)] == [False, True, True]


@pytest.mark.parametrize(
    "wrong",
    [
        {"initial_s": 0},
        {"initial_s": 100, "max_s": 10},
        {"max_s": float("inf")},
        {"factor": 0.5},
        {"factor": float("nan")},
        {"jitter": 1.5},
        {"max_attempts": 0},
        {"reset_after_s": -1},
    ],
)
def test_numbers_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    """When the value is made, with the number named."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Retry(**wrong)


def test_a_policy_is_a_value_a_factory_can_remember() -> None:
    """Compared by content, and durable."""
    assert Retry(max_s=5) == Retry(max_s=5)
    factory = ClientFactory()
    factory.retry = Retry(max_attempts=3)
    assert retry_of(factory) == Retry(max_attempts=3)
    factory.retry = None
    assert retry_of(factory) is None
    assert retry_of(Factory()) == Retry()


def test_the_hooks_of_a_client_factory_do_nothing_by_default() -> None:
    """A subclass overrides those it needs."""
    factory = ClientFactory()
    before = dict(vars(factory))
    factory.connecting(None)
    factory.connect_failed(None, OSError())
    factory.connect_lost(None, None)
    assert dict(vars(factory)) == before
