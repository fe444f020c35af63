"""Where a commit waits follows the disk, without flapping; a disk that cannot be true is named once."""

from __future__ import annotations

import itertools

import pytest

from taphouse.runtime.syncs import DiskJudge, SyncPace

QUICK_S, BETWEEN_S, SLOW_S = 0.0001, 0.0005, 0.004


def feed(pace, seconds, most=10_000):
    """Note syncs of so many seconds until the answer changes; return how many that took, None if too many."""
    for count in range(1, most + 1):
        if pace.note(seconds):
            return count
    return None


def test_a_slow_disk_is_left_to_the_thread_within_a_few_commits_and_a_fast_one_comes_back():
    pace = SyncPace()
    assert feed(pace, QUICK_S, 100) is None
    assert feed(pace, SLOW_S) <= 12
    assert pace.is_slow
    assert feed(pace, QUICK_S) <= 200
    assert not pace.is_slow


def test_one_stall_of_a_fast_disk_changes_nothing():
    pace = SyncPace()
    feed(pace, QUICK_S, 100)
    assert not pace.note(0.5)
    assert feed(pace, QUICK_S, 100) is None
    assert not pace.is_slow


def test_between_the_two_marks_everything_stays_as_it_is():
    pace = SyncPace()
    assert feed(pace, BETWEEN_S, 1000) is None
    assert not pace.is_slow
    feed(pace, SLOW_S)
    assert feed(pace, BETWEEN_S, 1000) is None
    assert pace.is_slow


def test_waiting_for_the_interpreter_does_not_make_a_fast_disk_look_slow():
    pace = SyncPace()
    feed(pace, SLOW_S)
    # Most measurements on a thread hold the loop's own work.
    measured = itertools.cycle((SLOW_S, SLOW_S, QUICK_S))
    assert any(pace.note(seconds) for seconds in itertools.islice(measured, 200))


def test_beside_a_busy_loop_a_commit_on_the_loop_is_tried_ever_more_rarely_until_it_is_fast():
    pace = SyncPace()
    feed(pace, SLOW_S)
    trials = 0
    for _ in range(20_000):
        trials += pace.is_trial
        assert not pace.note(SLOW_S)
    assert 3 <= trials <= 12
    # Fast again; on the thread nobody can see it.
    assert any(pace.note(QUICK_S if pace.is_trial else SLOW_S) for _ in range(5000))
    assert not pace.is_slow


def test_a_disk_that_looks_fast_only_from_the_thread_is_tried_ever_more_rarely():
    pace = SyncPace()
    changes = 0
    for _ in range(20_000):
        changes += pace.note(QUICK_S if pace.is_slow else SLOW_S)
    assert changes < 20


@pytest.mark.parametrize(
    ("kind", "seconds", "says"),
    [
        ("ext4", 0.000_01, "10 us, faster than any disk"),
        ("ext4", 0.000_1, ""),
        ("ext4", 0.025, "a sync takes 25 ms"),
        ("tmpfs", 0.000_01, "lies in memory (tmpfs)"),
    ],
)
def test_the_first_syncs_tell_what_kind_of_disk_it_is_once(kind, seconds, says):
    judge = DiskJudge("/state/kept.tap", kind)
    found = [judge.note(seconds) for _ in range(50)]
    assert sum(bool(line) for line in found) == bool(says)
    line = "".join(found)
    assert says in line
    assert bool(says) == ("/state/kept.tap" in line)
    assert "\n" not in line


def test_one_odd_sync_does_not_name_a_disk():
    judge = DiskJudge("/state/kept.tap", "ext4")
    assert [judge.note(s) for s in (0.5, 0.000_1, 0.000_001, 0.000_1, 0.000_2)] == [""] * 5
