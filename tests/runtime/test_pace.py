"""A pace says when a change is committed; whoever waits for a commit gets it at any pace."""

from __future__ import annotations

import asyncio

import pytest
from gatebench import GateBench

from taphouse.app import DURABILITIES
from taphouse.durable import Ledger, durable
from taphouse.errors import ConfigurationError
from taphouse.runtime.pace import AtExit, EverySecond, EveryTurn, Unkept, find_pace
from taphouse.testing import settle

ALL = pytest.mark.parametrize("pacing", [EveryTurn, EverySecond, AtExit])
LAZY = pytest.mark.parametrize("pacing", [EverySecond, AtExit])


@pytest.fixture(autouse=True)
def _no_ledger_left():
    yield
    Ledger.current = None


def bench_of(pacing, *, inline=True):
    bench = GateBench(pacing)
    bench.is_inline = inline
    Ledger.current = bench.ledger
    return bench


def test_every_durability_has_a_pace_of_its_name():
    assert [find_pace(mode).mode for mode in DURABILITIES] == list(DURABILITIES)


def test_a_tap_that_names_another_durability_is_refused_with_the_cure():
    with pytest.raises(ConfigurationError, match="'often' is not known; use --durability gate, interval"):
        find_pace("often")


def test_at_an_interval_a_commit_is_made_one_second_after_the_first_change(run_fast):
    async def main():
        bench = bench_of(EverySecond)
        bench.counter.n = 1
        await bench.clock.jump(0.9)
        bench.counter.n = 2
        await bench.clock.jump(0.09)
        assert bench.committed == []
        await bench.clock.jump(0.02)
        assert bench.committed == [2]
        await bench.clock.jump(10)
        assert bench.committed == [2]
        bench.counter.n = 3
        await bench.clock.jump(0.9)
        assert bench.committed == [2]
        await bench.clock.jump(0.1)
        assert bench.committed == [2, 3]

    run_fast(main())


@LAZY
def test_output_waits_for_no_commit(run_fast, pacing):
    async def main():
        bench = bench_of(pacing, inline=False)
        bench.counter.n = 1
        assert not bench.epochs.closed
        waiting = asyncio.ensure_future(durable.committed())
        await settle()
        assert len(bench.landings) == 1
        bench.counter.n = 2
        assert not bench.epochs.closed
        bench.land()
        await waiting
        assert not bench.epochs.closed

    run_fast(main())


def test_what_a_slow_disk_made_a_second_old_is_committed_as_soon_as_it_can_be(run_fast):
    async def main():
        bench = bench_of(EverySecond, inline=False)
        bench.counter.n = 1
        await bench.clock.jump(1)
        bench.counter.n = 2
        await bench.clock.jump(5)
        assert len(bench.landings) == 1
        bench.land()
        await settle()
        assert len(bench.landings) == 1
        bench.land()
        await settle()
        assert bench.committed == [1, 2]

    run_fast(main())


def test_what_changed_shortly_before_a_slow_commit_landed_waits_for_its_second(run_fast):
    async def main():
        bench = bench_of(EverySecond, inline=False)
        bench.counter.n = 1
        await bench.clock.jump(5)
        bench.counter.n = 2
        await bench.clock.jump(0.5)
        bench.land()
        await bench.clock.jump(0.4)
        assert bench.landings == []
        await bench.clock.jump(0.1)
        assert len(bench.landings) == 1

    run_fast(main())


def test_at_exit_nothing_is_committed_and_no_timer_waits(run_fast):
    async def main():
        bench = bench_of(AtExit)
        bench.ledger.opaque[1] = object()
        bench.counter.n = 1
        bench.epochs.plan_changed(dict)
        await bench.clock.jump(86_400)
        assert bench.committed == []
        assert bench.clock.waiting == 0
        await bench.epochs.finish()
        assert bench.committed == [1]
        assert bench.clock.waiting == 0

    run_fast(main())


@ALL
def test_committed_commits_at_any_pace(run_fast, pacing):
    async def main():
        bench = bench_of(pacing)
        for n in (1, 2, 3):
            bench.counter.n = n
            await asyncio.gather(durable.committed(), durable.committed())
        assert bench.committed == [1, 2, 3]

    run_fast(main())


@LAZY
def test_committed_during_a_commit_waits_for_the_next_one_only(run_fast, pacing):
    async def main():
        bench = bench_of(pacing, inline=False)
        bench.counter.n = 1
        first = asyncio.ensure_future(durable.committed())
        await settle()
        bench.counter.n = 2
        second = asyncio.ensure_future(durable.committed())
        await settle()
        bench.land()
        await first
        await settle()
        assert not second.done()
        bench.land()
        await second
        assert bench.committed == [1, 2]

    run_fast(main())


@ALL
def test_a_call_from_a_thread_returns_after_the_commit(run_fast, pacing):
    async def main():
        bench = bench_of(pacing)

        def add():
            bench.counter.n += 5

        def thread():
            durable.call(add)
            return list(bench.committed)

        assert await asyncio.to_thread(thread) == [5]

    run_fast(main())


def test_a_forced_commit_begins_the_second_anew(run_fast):
    async def main():
        bench = bench_of(EverySecond)
        bench.counter.n = 1
        await bench.clock.jump(0.5)
        await durable.committed()
        await bench.clock.jump(0.1)
        bench.counter.n = 2
        await bench.clock.jump(0.9)
        assert bench.committed == [1]
        await bench.clock.jump(0.1)
        assert bench.committed == [1, 2]

    run_fast(main())


def test_at_an_interval_what_changes_unseen_is_compared_every_second(run_fast):
    async def main():
        bench = bench_of(EverySecond)
        looked = []
        freeze = bench.freeze
        bench.freeze = lambda plan=None: (looked.append(round(bench.clock.monotonic(), 3)), freeze(plan))[1]
        bench.ledger.opaque[1] = object()
        bench.counter.n = 1
        await bench.clock.jump(3.5)
        assert looked == [1.0, 2.0, 3.0]
        assert not bench.epochs.closed
        bench.ledger.opaque.clear()
        await bench.epochs.finish()
        assert bench.clock.waiting == 0

    run_fast(main())


@LAZY
def test_a_new_plan_waits_like_any_change(run_fast, pacing):
    async def main():
        bench = bench_of(pacing)
        plans = []
        bench.freeze = lambda plan=None: plans.append(plan)
        bench.epochs.plan_changed(lambda: {"name": "x"})
        await settle()
        assert plans == []
        await bench.epochs.finish()
        assert plans == [{"name": "x"}]

    run_fast(main())


@LAZY
def test_a_change_that_waits_does_not_keep_the_folding_from_being_done(run_fast, pacing):
    async def main():
        bench = bench_of(pacing)
        bench.counter.n = 1
        await durable.committed()
        bench.counter.n = 2
        await bench.clock.jump(0.3)
        assert bench.folds == 1
        assert bench.committed == [1]

    run_fast(main())


@ALL
def test_after_a_commit_that_failed_nothing_is_committed_at_any_pace(run_fast, pacing):
    async def main():
        bench = bench_of(pacing, inline=False)
        bench.counter.n = 1
        waiting = asyncio.ensure_future(durable.committed())
        await settle()
        bench.counter.n = 2
        bench.landings.pop().set_exception(OSError("gone"))
        with pytest.raises(Exception, match="gone"):
            await waiting
        bench.counter.n = 3
        assert bench.epochs.closed
        await bench.clock.jump(10)
        assert bench.landings == []
        assert bench.clock.waiting == 0
        assert len(bench.failures) == 1

    run_fast(main())


def test_without_a_store_every_turn_is_made_all_the_same_and_nobody_waits(run_fast):
    async def main():
        bench = bench_of(Unkept)
        bench.counter.n = 1
        assert not bench.epochs.closed
        await durable.committed()
        await settle()
        assert bench.committed == [1]
        assert bench.epochs.statistics().mode == "off"

    run_fast(main())
