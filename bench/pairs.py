"""Interleaving: every round measures each contestant once, in an order that favours nobody.

A machine warms up, throttles and gets noisy neighbours; figures taken minutes apart are not comparable.
Figures of one round are. Two contestants run A B, B A, B A, A B; more are rotated as well as reversed, so
that each takes each place equally often. Knows contestants; not what their figures mean.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from bench.contestant import BenchError, Contestant, Measure, Sample

ENOUGH = 6
"""The fewest pairs whose median has an interval of 95 %."""

Samples = dict[str, list[Sample]]
"""All samples by contestant; the lists are parallel: entry n of each belongs to round n."""


def round_order(entries: Sequence[Contestant], number: int) -> list[Contestant]:
    """Return the order in which ``entries`` run in round ``number`` (from 0)."""
    turn = (number // 2) % len(entries)
    order = [*entries[turn:], *entries[:turn]]
    return order[::-1] if number % 2 else order


def interleave(
    contestants: Sequence[Contestant],
    rounds: int,
    rounds_per_start: int = 1,
    told: Callable[[int, str, Sample], None] | None = None,
    limit_s: float = math.inf,
    clock: Callable[[], float] = time.monotonic,
) -> Samples:
    """Measure every contestant ``rounds`` times, interleaved, and return the samples.

    All contestants stand at once and are started again after ``rounds_per_start`` rounds, so that the luck of
    one process (memory layout, hash seed) does not decide. ``told`` hears of each sample as it is taken
    (round, contestant, sample). No round begins after ``limit_s`` once there are enough for an interval: a
    slow machine gives fewer pairs, not a longer run. Raises BenchError when two contestants share a name or a
    sample fails: a round with a gap is not a round, so nothing is skipped.
    """
    names = [contestant.name for contestant in contestants]
    if len(set(names)) != len(names):
        raise BenchError(f"contestants share a name: {', '.join(names)}")
    samples: Samples = {name: [] for name in names}
    deadline = clock() + limit_s
    for first in range(0, rounds, rounds_per_start):
        with ExitStack() as stands:
            measures = {each.name: _stand(stands, each) for each in contestants}
            for number in range(first, min(first + rounds_per_start, rounds)):
                if number >= ENOUGH and clock() > deadline:
                    return samples
                for contestant in round_order(contestants, number):
                    with _naming(contestant):
                        sample = measures[contestant.name]()
                    samples[contestant.name].append(sample)
                    if told is not None:
                        told(number, contestant.name, sample)
    return samples


def _stand(stands: ExitStack, contestant: Contestant) -> Measure:
    with _naming(contestant):
        return stands.enter_context(contestant.standing())


@contextmanager
def _naming(contestant: Contestant) -> Iterator[None]:
    try:
        yield
    except BenchError as error:
        raise BenchError(f"{contestant.name}: {error}") from error
