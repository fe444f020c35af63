"""A group: contestants that run interleaved in one go, and the comparisons drawn between them.

Knows contestants and comparisons; not how results are kept or shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from bench.comparison import Comparison, Row, judge
from bench.contestant import Contestant, Sample, Unavailable
from bench.pairs import Samples, interleave
from bench.workshop import Workshop


class Entry(Protocol):
    """Makes one contestant of a group, or raises Unavailable."""

    def __call__(self, workshop: Workshop, /) -> Contestant:
        """Prepare everything that no sample should pay for, and return the contestant."""


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that are measured together.

    ``rounds`` is the number of pairs of a full run, fewer if they take longer than ``limit_s`` seconds, at
    least six though; contestants start again after ``rounds_per_start``. ``method`` tells a reader what one
    sample is. A group that writes what must survive sets ``needs_disk``.
    """

    name: str
    title: str
    method: str
    rounds: int
    entries: Sequence[Entry]
    comparisons: Sequence[Comparison]
    rounds_per_start: int = 1
    needs_disk: bool = False
    limit_s: float = 150.0


@dataclass(frozen=True, slots=True)
class Measured:
    """What came out of a group: rows, samples, and what could not take part and why."""

    group: Group
    rows: list[Row]
    samples: Samples
    details: dict[str, str]
    absent: list[str]


def measure_group(
    group: Group, workshop: Workshop, told: Callable[[int, str, Sample], None] | None = None
) -> Measured:
    """Run all contestants of ``group`` that can take part, interleaved, and judge its comparisons.

    A comparison whose contestant is absent has no row; ``absent`` says why.
    """
    contestants: list[Contestant] = []
    absent: list[str] = []
    for entry in group.entries:
        try:
            contestants.append(entry(workshop))
        except Unavailable as reason:
            if str(reason) not in absent:
                absent.append(str(reason))
    rounds = workshop.rounds or group.rounds
    samples: Samples = {}
    if contestants:
        samples = interleave(contestants, rounds, group.rounds_per_start, told, group.limit_s)
    rows = [
        judge(comparison, samples)
        for comparison in group.comparisons
        if comparison.subject in samples and comparison.peer in samples
    ]
    return Measured(group, rows, samples, {each.name: each.detail for each in contestants}, absent)
