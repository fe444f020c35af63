"""What is claimed about two contestants, and whether the figures bear it out.

A comparison names a metric, a subject and a peer; a goal puts a bound on the ratio (or the difference) of
their figures. A row is a comparison with its figures. Missed is said as missed. Knows no clocks, files or
servers.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Literal

from bench.contestant import BenchError
from bench.intervals import Estimate, estimate, paired_differences, paired_ratios
from bench.pairs import Samples

Verdict = Literal["met", "reached", "missed", "reported"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure of a sample: its key there, its unit, and which direction is better."""

    key: str
    unit: str
    better: Literal["higher", "lower"]


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound on a ratio or difference.

    By default the median must keep it. With ``by_interval`` it is enough that the 95 % interval reaches it:
    for bounds so close to 1 that the median of honest pairs falls on either side by chance. ``stretch`` is a
    bound beyond, which is nice to keep and no miss.
    """

    bound: float
    by_interval: bool = False
    stretch: float | None = None

    def verdict(self, figures: Estimate, better: Literal["higher", "lower"]) -> Verdict:
        """Judge ``figures``; ``reached`` says that only the interval touches the bound, and that it may."""
        sign = 1 if better == "higher" else -1
        if sign * figures.median >= sign * self.bound:
            return "met"
        edge = figures.high if better == "higher" else figures.low
        if self.by_interval and edge is not None and sign * edge >= sign * self.bound:
            return "reached"
        return "missed"

    def keeps_stretch(self, figures: Estimate, better: Literal["higher", "lower"]) -> bool:
        """Whether the median keeps the bound beyond."""
        sign = 1 if better == "higher" else -1
        return self.stretch is not None and sign * figures.median >= sign * self.stretch


@dataclass(frozen=True, slots=True)
class Comparison:
    """A subject beside a peer on one metric; without a goal the figures are only reported."""

    title: str
    metric: Metric
    subject: str
    peer: str
    goal: Goal | None = None
    kind: Literal["ratio", "difference"] = "ratio"


@dataclass(frozen=True, slots=True)
class Row:
    """A comparison with what was measured: both medians, the paired estimate, the verdict."""

    title: str
    subject: str
    peer: str
    unit: str
    kind: Literal["ratio", "difference"]
    better: Literal["higher", "lower"]
    subject_median: float
    peer_median: float
    median: float
    low: float | None
    high: float | None
    pairs: int
    goal: float | None
    verdict: Verdict
    stretch: float | None = None
    is_stretch_kept: bool = False


def judge(comparison: Comparison, samples: Samples) -> Row:
    """Return the row of ``comparison`` from interleaved ``samples``.

    Raises BenchError if a contestant was not measured or a sample lacks the metric.
    """
    metric = comparison.metric
    subject = _figures(samples, comparison.subject, metric.key)
    peer = _figures(samples, comparison.peer, metric.key)
    pair_up = paired_ratios if comparison.kind == "ratio" else paired_differences
    figures = estimate(pair_up(subject, peer))
    goal = comparison.goal
    return Row(
        title=comparison.title,
        subject=comparison.subject,
        peer=comparison.peer,
        unit=metric.unit,
        kind=comparison.kind,
        better=metric.better,
        subject_median=statistics.median(subject),
        peer_median=statistics.median(peer),
        median=figures.median,
        low=figures.low,
        high=figures.high,
        pairs=figures.pairs,
        goal=None if goal is None else goal.bound,
        verdict="reported" if goal is None else goal.verdict(figures, metric.better),
        stretch=None if goal is None else goal.stretch,
        is_stretch_kept=goal is not None and goal.keeps_stretch(figures, metric.better),
    )


def _figures(samples: Samples, name: str, key: str) -> list[float]:
    if name not in samples:
        raise BenchError(f"{name} was not measured")
    try:
        return [sample[key] for sample in samples[name]]
    except KeyError:
        raise BenchError(f"the samples of {name} have no {key!r}") from None
