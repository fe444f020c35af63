"""A jumping clock lets what is due happen in order, and nothing else."""

from __future__ import annotations

import asyncio

from taphouse.testing import JumpingClock, settle


def test_time_stands_still_until_told_to_jump():
    clock = JumpingClock(100.0)
    assert (clock.time(), clock.monotonic()) == (100.0, 0.0)
    asyncio.run(clock.jump(50))
    assert (clock.time(), clock.monotonic()) == (150.0, 50.0)


def test_timers_fire_in_order_at_their_own_time():
    async def main():
        clock, seen = JumpingClock(), []
        for delay_s in (3.0, 1.0, 2.0, 9.0):
            clock.call_later(delay_s, lambda: seen.append(clock.monotonic()))
        await clock.jump(5)
        assert seen == [1.0, 2.0, 3.0]
        assert clock.waiting == 1
        assert clock.next_s == 4.0

    asyncio.run(main())


def test_a_timer_made_by_a_timer_fires_in_the_same_jump_if_it_is_due():
    async def main():
        clock, seen = JumpingClock(), []

        def again():
            seen.append(clock.monotonic())
            clock.call_later(1.0, again)

        clock.call_later(1.0, again)
        await clock.jump(3.5)
        assert seen == [1.0, 2.0, 3.0]

    asyncio.run(main())


def test_a_cancelled_timer_never_fires():
    async def main():
        clock, seen = JumpingClock(), []
        clock.call_later(1.0, seen.append, 1).cancel()
        assert clock.waiting == 0
        await clock.jump(5)
        assert seen == []

    asyncio.run(main())


def test_sleepers_wake_and_a_cancelled_one_leaves_nothing_behind():
    async def main():
        clock = JumpingClock()
        sleeping = asyncio.ensure_future(clock.sleep(10))
        other = asyncio.ensure_future(clock.sleep(10))
        await settle()
        other.cancel()
        await clock.jump(9.9)
        assert not sleeping.done()
        await clock.jump(0.1)
        assert sleeping.done()
        assert clock.waiting == 0

    asyncio.run(main())


def test_setting_the_wall_clock_moves_no_timer():
    async def main():
        clock, seen = JumpingClock(0.0), []
        clock.call_later(10, seen.append, 1)
        clock.set_wall_clock(3600)
        await clock.jump(5)
        assert (clock.time(), seen) == (3605.0, [])

    asyncio.run(main())
