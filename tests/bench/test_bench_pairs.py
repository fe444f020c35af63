"""Rounds favour nobody and have no gaps."""

from collections import Counter
from contextlib import contextmanager

import pytest
from bench.contestant import BenchError, Contestant, afresh
from bench.pairs import interleave, round_order


def contestant(name, log=None):
    def measure():
        if log is not None:
            log.append(name)
        return {"figure": 1.0}

    return Contestant(name, afresh(measure))


def test_two_contestants_alternate_who_goes_first():
    log = []
    interleave([contestant("a", log), contestant("b", log)], 4)
    assert "".join(log) == "abbabaab"


@pytest.mark.parametrize("size", [2, 3, 5])
def test_each_contestant_takes_each_place_equally_often(size):
    entries = [contestant(str(n)) for n in range(size)]
    places = Counter(
        (place, each.name)
        for number in range(2 * size)
        for place, each in enumerate(round_order(entries, number))
    )
    assert set(places.values()) == {2}


def test_samples_of_a_round_share_their_place_in_the_lists():
    clock = iter(range(100))

    def reading():
        return {"at": float(next(clock))}

    samples = interleave([Contestant("a", afresh(reading)), Contestant("b", afresh(reading))], 6)
    rounds = [{a["at"] // 2, b["at"] // 2} for a, b in zip(samples["a"], samples["b"], strict=True)]
    assert rounds == [{float(number)} for number in range(6)]


def test_contestants_stand_together_and_start_again_after_their_rounds():
    log = []

    def standing(name):
        @contextmanager
        def stand():
            log.append(f"{name} starts")
            yield lambda: {"figure": log.append(name) or 1.0}
            log.append(f"{name} ends")

        return Contestant(name, stand)

    interleave([standing("a"), standing("b")], 3, rounds_per_start=2)
    assert log == [
        *("a starts", "b starts", "a", "b", "b", "a", "b ends", "a ends"),
        *("a starts", "b starts", "b", "a", "b ends", "a ends"),
    ]


def test_what_stands_is_ended_when_a_sample_fails():
    log = []

    @contextmanager
    def stand():
        try:
            yield lambda: {"figure": 1.0}
        finally:
            log.append("ended")

    def fail():
        raise BenchError("no reply")

    with pytest.raises(BenchError):
        interleave([Contestant("a", stand), Contestant("b", afresh(fail))], 1)
    assert log == ["ended"]


def test_a_failed_sample_ends_the_run_and_names_its_contestant():
    def fail():
        raise BenchError("a reply is not what was asked for")

    with pytest.raises(BenchError, match=r"^b: a reply is not"):
        interleave([contestant("a"), Contestant("b", afresh(fail))], 3)


def test_two_contestants_of_one_name_are_refused():
    with pytest.raises(BenchError, match="share a name"):
        interleave([contestant("a"), contestant("a")], 1)


def test_a_slow_machine_gets_fewer_pairs_but_enough_for_an_interval():
    seconds = iter(range(100))

    def rounds(limit_s):
        samples = interleave([contestant("a")], 20, limit_s=limit_s, clock=lambda: float(next(seconds)))
        return len(samples["a"])

    assert rounds(0.5) == 6
    assert rounds(3) == 9
