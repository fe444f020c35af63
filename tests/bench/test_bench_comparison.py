"""A verdict follows the figures, in the direction that is better, and misses are said."""

import pytest
from bench.comparison import Comparison, Goal, Metric, judge
from bench.contestant import BenchError

RATE = Metric("rate", "requests/s", "higher")
TIME = Metric("time", "ms", "lower")


def row(ratios, metric, goal, kind="ratio"):
    samples = {
        "ours": [{metric.key: 10 * ratio} for ratio in ratios],
        "theirs": [{metric.key: 10.0} for _ in ratios],
    }
    return judge(Comparison("what", metric, "ours", "theirs", goal, kind), samples)


AROUND_095 = [0.90, 0.92, 0.93, 0.95, 0.96, 0.98, 0.99]


@pytest.mark.parametrize(
    ("metric", "goal", "verdict"),
    [
        (RATE, Goal(0.95), "met"),
        (RATE, Goal(0.97), "missed"),
        (RATE, Goal(0.97, by_interval=True), "reached"),
        (RATE, Goal(1.00, by_interval=True), "missed"),
        (TIME, Goal(0.95), "met"),
        (TIME, Goal(0.94), "missed"),
        (TIME, Goal(0.94, by_interval=True), "reached"),
        (TIME, Goal(0.89, by_interval=True), "missed"),
        (RATE, None, "reported"),
    ],
)
def test_the_verdict_follows_median_interval_and_direction(metric, goal, verdict):
    assert row(AROUND_095, metric, goal).verdict == verdict


@pytest.mark.parametrize(
    ("metric", "stretch", "kept"),
    [(RATE, 0.95, True), (RATE, 0.96, False), (TIME, 0.95, True), (TIME, 0.94, False)],
)
def test_a_stretch_goal_is_kept_or_not_beside_the_verdict(metric, stretch, kept):
    goal = 0.9 if metric is RATE else 1.0
    found = row(AROUND_095, metric, Goal(goal, stretch=stretch))
    assert (found.verdict, found.stretch, found.is_stretch_kept) == ("met", stretch, kept)


def test_without_an_interval_only_the_median_counts():
    assert row([0.9, 0.95, 0.99], RATE, Goal(0.97, by_interval=True)).verdict == "missed"


def test_a_difference_is_judged_in_its_own_unit():
    found = row([6.0] * 7, TIME, Goal(60), kind="difference")
    assert (found.median, found.verdict) == (50.0, "met")
    assert row([8.0] * 7, TIME, Goal(60), kind="difference").verdict == "missed"


def test_a_row_carries_both_medians_and_the_pairs():
    found = row(AROUND_095, RATE, Goal(0.97))
    assert (found.subject_median, found.peer_median, found.pairs, found.goal) == (9.5, 10.0, 7, 0.97)


def test_a_contestant_without_samples_or_metric_is_an_error():
    comparison = Comparison("what", RATE, "ours", "theirs")
    with pytest.raises(BenchError, match="theirs was not measured"):
        judge(comparison, {"ours": [{"rate": 1.0}]})
    with pytest.raises(BenchError, match="ours have no 'rate'"):
        judge(comparison, {"ours": [{"time": 1.0}], "theirs": [{"rate": 1.0}]})
