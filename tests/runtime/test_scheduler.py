"""Scheduled calls are made when they are due: not before ready, one by one, and once."""

from __future__ import annotations

import asyncio

import pytest

from taphouse.app import Application, Service
from taphouse.runtime import Limits, Runtime
from taphouse.testing import JumpingClock


class Diary(Service):
    def __init__(self):
        super().__init__("diary")
        self.lines = []

    def note(self, text="x"):
        self.lines.append(text)

    async def note_slowly(self, text):
        self.lines.append(f"begin {text}")
        await self.application._v_clock.sleep(100)
        self.lines.append(f"end {text}")

    def fail(self):
        self.lines.append("failing")
        raise LookupError("no")


@pytest.fixture
def clock():
    return JumpingClock()


@pytest.fixture
def app(clock):
    app = Application("test")
    app.addService(Diary())
    app._v_clock = clock
    return app


def diary(app):
    return app.getServiceNamed("diary")


def test_a_delayed_call_is_made_once_when_its_time_has_come(run_fast, app, clock):
    async def main():
        handle = app.addDelayed(60, diary(app).note, "now")
        await clock.jump(1000)  # not running: its time begins with the start
        runtime = Runtime(app, clock=clock)
        await runtime.start()
        await clock.jump(59)
        assert diary(app).lines == []
        assert handle.is_active
        await clock.jump(1)
        assert diary(app).lines == ["now"]
        assert not handle.is_active
        assert not app.schedule
        await clock.jump(1000)
        await runtime.stop()
        assert diary(app).lines == ["now"]

    run_fast(main())


def test_a_call_added_while_running_is_made_before_an_earlier_one_that_is_due_later(run_fast, app, clock):
    async def main():
        app.addDelayed(60, diary(app).note, "later")
        runtime = Runtime(app, clock=clock)
        await runtime.start()
        app.addDelayed(1, diary(app).note, "soon")
        await clock.jump(1)
        assert diary(app).lines == ["soon"]
        await clock.jump(59)
        assert diary(app).lines == ["soon", "later"]
        await runtime.stop()

    run_fast(main())


def test_a_cancelled_call_is_not_made(run_fast, app, clock):
    async def main():
        handle = app.addDelayed(1, diary(app).note)
        runtime = Runtime(app, clock=clock)
        await runtime.start()
        handle.cancel()
        await clock.jump(5)
        await runtime.stop()
        assert diary(app).lines == []

    run_fast(main())


def test_a_periodic_call_keeps_its_beat(run_fast, app, clock):
    async def main():
        app.addPeriodic(10, diary(app).note)
        runtime = Runtime(app, clock=clock)
        await runtime.start()
        await clock.jump(35)
        assert len(diary(app).lines) == 3
        await runtime.stop()
        await clock.jump(100)
        assert len(diary(app).lines) == 3

    run_fast(main())


def test_overdue_calls_are_spread_out_in_due_order_after_ready(run_fast, app, clock):
    async def main():
        runtime = Runtime(app, clock=clock)
        await runtime.start()
        for seconds in (30, 10, 20):
            app.addDelayed(seconds, diary(app).note, seconds)
        await runtime.stop()
        await clock.jump(3600)
        again = Runtime(app, clock=clock, limits=Limits(schedule_gap_s=2.0))
        await again.start()
        assert diary(app).lines == []
        await clock.jump(0)
        assert diary(app).lines == [10]
        await clock.jump(2)
        assert diary(app).lines == [10, 20]
        await clock.jump(2)
        assert diary(app).lines == [10, 20, 30]
        await again.stop()

    run_fast(main())


def test_taking_off_the_entry_and_the_first_segment_fall_into_one_turn(run_fast, app, clock):
    async def main():
        seen = []

        class Watching(Service):
            async def begin(self):
                seen.append(len(self.application.schedule))
                asyncio.get_running_loop().call_soon(lambda: seen.append("turn ended"))
                self.began = True
                seen.append("segment ended")
                await asyncio.sleep(0)

        watching = app.addService(Watching("w"))
        app.addDelayed(1, watching.begin)
        runtime = Runtime(app, clock=clock)
        await runtime.start()
        await clock.jump(1)
        assert seen == [0, "segment ended", "turn ended"]
        await runtime.stop()

    run_fast(main())


def test_a_call_that_fails_is_logged_and_not_made_again(run_fast, app, clock, caplog):
    async def main():
        app.addPeriodic(10, diary(app).fail)
        runtime = Runtime(app, clock=clock)
        await runtime.start()
        await clock.jump(100)
        assert diary(app).lines == ["failing"]
        assert not app.schedule
        await runtime.stop()

    run_fast(main())
    assert "the call of Diary.fail failed and is not made again" in caplog.text


def test_a_periodic_call_that_takes_longer_than_its_period_is_not_made_twice_at_once(run_fast, app, clock):
    async def main():
        app.addPeriodic(40, diary(app).note_slowly, "x")
        runtime = Runtime(app, clock=clock)
        await runtime.start()
        await clock.jump(139)
        assert diary(app).lines == ["begin x"]
        await clock.jump(1)
        assert diary(app).lines == ["begin x", "end x", "begin x"]
        await clock.jump(60)
        stopping = asyncio.ensure_future(runtime.stop())
        await clock.jump(40)
        await stopping

    run_fast(main())


def test_a_wall_clock_that_is_set_ahead_is_noticed_within_half_a_minute(run_fast, app, clock):
    async def main():
        app.addDelayed(7200, diary(app).note)
        runtime = Runtime(app, clock=clock)
        await runtime.start()
        await clock.jump(1)
        clock.set_wall_clock(7200)
        await clock.jump(30)
        assert diary(app).lines == ["x"]
        await runtime.stop()

    run_fast(main())


def test_one_timer_waits_for_all_calls(run_fast, app, clock):
    async def main():
        runtime = Runtime(app, clock=clock)
        await runtime.start()
        before = clock.waiting
        for number in range(300):
            app.addDelayed(1000 + number, diary(app).note)
        assert clock.waiting == before + 1
        await runtime.stop()
        assert clock.waiting == before

    run_fast(main())
