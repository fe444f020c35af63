"""The interval of a comparison encloses the true median as often as it says."""

import random
import statistics

import pytest
from bench.intervals import estimate, interval_rank, paired_differences, paired_ratios


@pytest.mark.parametrize(("count", "rank"), [(1, 0), (5, 0), (6, 1), (9, 2), (11, 2), (21, 6), (100, 40)])
def test_the_ranks_are_those_of_the_sign_test_tables(count, rank):
    assert interval_rank(count) == rank


def test_too_few_pairs_have_a_median_and_no_interval():
    found = estimate([3.0, 1.0, 2.0, 5.0, 4.0])
    assert (found.median, found.low, found.high, found.pairs) == (3.0, None, None, 5)


def test_the_interval_takes_the_ranks_from_both_ends():
    found = estimate([float(n) for n in (7, 3, 9, 1, 5, 11, 2, 10, 4, 8, 6)])
    assert (found.low, found.median, found.high) == (2.0, 6.0, 10.0)


@pytest.mark.parametrize("count", [7, 21])
def test_the_interval_encloses_the_true_median_of_a_skewed_noise_19_times_in_20(count):
    dice = random.Random(1)
    draws = 2000
    hits = 0
    for _ in range(draws):
        found = estimate([dice.lognormvariate(0, 1) for _ in range(count)])
        hits += found.low <= 1.0 <= found.high
    # Exact coverage is above 0.95; three standard deviations of the count below that is still chance.
    assert hits / draws > 0.95 - 3 * (0.95 * 0.05 / draws) ** 0.5
    assert hits < draws, "an interval that always encloses is not an interval"


def test_ratios_and_differences_are_taken_pair_by_pair_before_the_median():
    drifting = [100.0, 200.0, 50.0]
    ours = [90.0, 180.0, 45.0]
    assert statistics.median(paired_ratios(ours, drifting)) == pytest.approx(0.9)
    assert paired_differences(ours, drifting) == [-10.0, -20.0, -5.0]


@pytest.mark.parametrize(("subject", "peer"), [([1.0], [1.0, 2.0]), ([], []), ([1.0], [0.0])])
def test_figures_that_are_no_pairs_or_have_no_ratio_are_refused(subject, peer):
    with pytest.raises(ValueError, match=r"pairs|ratio"):
        paired_ratios(subject, peer)


def test_no_values_have_no_estimate():
    with pytest.raises(ValueError, match="at least one"):
        estimate([])
