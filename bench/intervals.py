"""The arithmetic of a comparison: medians, and intervals that assume no distribution.

Timings on a shared machine have heavy tails and drift, so means and normal theory lie. What is compared are
*pairs* measured side by side, and the interval of their median comes from order statistics: the number of
pairs below the true median is binomial(n, 1/2), whatever the noise looks like (Conover, Practical
Nonparametric Statistics, 3rd ed., section 3.2). Knows numbers only: no clocks, no files.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """The median of some paired figures and its interval.

    ``low`` and ``high`` are None when there are too few pairs for an interval of the wanted confidence
    (fewer than six for 95 %): no interval is better than one that claims too much.
    """

    median: float
    low: float | None
    high: float | None
    pairs: int


def interval_rank(count: int, confidence: float = CONFIDENCE) -> int:
    """Return k such that the k-th smallest and k-th largest of ``count`` values enclose the median.

    The enclosure holds with at least ``confidence``; k is the largest such rank (the narrowest interval), and
    0 when even the smallest and the largest value do not enclose the median surely enough.
    """
    tail = 0.0
    rank = 0
    while rank < count // 2:
        tail += math.comb(count, rank) / 2**count
        if 2 * tail > 1 - confidence:
            break
        rank += 1
    return rank


def estimate(values: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """Return the median of ``values`` with its interval.

    Raises ValueError for no values.
    """
    if not values:
        raise ValueError("an estimate needs at least one value")
    ordered = sorted(values)
    rank = interval_rank(len(ordered), confidence)
    low, high = (ordered[rank - 1], ordered[-rank]) if rank else (None, None)
    return Estimate(statistics.median(ordered), low, high, len(ordered))


def paired_ratios(subject: Sequence[float], peer: Sequence[float]) -> list[float]:
    """Return subject / peer, pair by pair. Raises ValueError for no pairs or a peer figure of zero."""
    _check_pairs(subject, peer)
    if any(value == 0 for value in peer):
        raise ValueError("a peer figure of zero has no ratio")
    return [ours / theirs for ours, theirs in zip(subject, peer, strict=True)]


def paired_differences(subject: Sequence[float], peer: Sequence[float]) -> list[float]:
    """Return subject - peer, pair by pair. Raises ValueError if they are not pairs."""
    _check_pairs(subject, peer)
    return [ours - theirs for ours, theirs in zip(subject, peer, strict=True)]


def _check_pairs(subject: Sequence[float], peer: Sequence[float]) -> None:
    if len(subject) != len(peer) or not subject:
        raise ValueError(f"{len(subject)} and {len(peer)} figures are not pairs")
