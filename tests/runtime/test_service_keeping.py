"""Services are started in order, kept running, and stopped once in reverse."""

from __future__ import annotations

import asyncio
import logging

import pytest

from taphouse.app import Application, MultiService, Retry, Service
from taphouse.errors import ConfigurationError, InternalError, TaphouseError
from taphouse.runtime import Limits, Runtime
from taphouse.testing import JumpingClock, settle

events: list[str] = []


@pytest.fixture(autouse=True)
def _forget():
    events.clear()


class Noting(Service):
    def start(self):
        events.append(f"start {self.name}")

    def stop(self):
        events.append(f"stop {self.name}")


class Slow(Noting):
    async def start(self):
        await asyncio.sleep(0)
        super().start()

    async def stop(self):
        await asyncio.sleep(0)
        super().stop()


class Running(Noting):
    async def run(self):
        events.append(f"run {self.name}")
        try:
            await asyncio.Event().wait()
        finally:
            events.append(f"ended {self.name}")


class Dying(Service):
    restart = Retry(initial_s=1.0, factor=2.0, max_s=60.0, jitter=0.0, max_attempts=4, reset_after_s=100.0)
    lives_s = 0.0

    async def run(self):
        events.append("run")
        if self.lives_s:
            await self.application._v_clock.sleep(self.lives_s)
        raise LookupError("no luck")


def application(*services):
    app = Application("test")
    for service in services:
        app.addService(service)
    return app


def start(app, clock=None, **limits):
    return Runtime(app, clock=clock or JumpingClock(), limits=Limits(**limits))


def test_services_start_in_order_and_stop_in_reverse(run_fast):
    async def main():
        runtime = start(application(Noting("a"), Slow("b"), Running("c")))
        await runtime.start()
        await settle()
        await runtime.stop()

    run_fast(main())
    assert events == ["start a", "start b", "start c", "run c", "stop c", "ended c", "stop b", "stop a"]


def test_children_of_a_service_start_after_it_and_stop_before_it(run_fast):
    class Pool(MultiService):
        def start(self):
            events.append("start pool")

        def stop(self):
            events.append("stop pool")

    async def main():
        pool = Pool("pool")
        pool.addService(Noting("x"))
        pool.addService(Noting("y"))
        runtime = start(application(pool, Noting("z")))
        await runtime.start()
        await runtime.stop()

    run_fast(main())
    assert events == [
        "start pool", "start x", "start y", "start z", "stop z", "stop y", "stop x", "stop pool",
    ]  # fmt: skip


def test_a_second_stop_never_stops_a_service_twice(run_fast):
    class Patient(Noting):
        async def stop(self):
            super().stop()
            await asyncio.sleep(0.01)

    async def main():
        runtime = start(application(Patient("a")))
        await runtime.start()
        await asyncio.gather(runtime.stop(), runtime.stop(), runtime.stop())
        await runtime.stop()

    run_fast(main())
    assert events == ["start a", "stop a"]


def test_a_service_that_cannot_start_stops_those_before_it_and_is_named(run_fast):
    class Broken(Service):
        def start(self):
            raise LookupError("no database")

    async def main():
        app = application(Noting("a"), Broken("b"), Noting("c"))
        runtime = start(app)
        with pytest.raises(InternalError, match=r"service b: start\(\) failed: LookupError: no database"):
            await runtime.start()
        assert runtime.exit_code == 70
        assert await runtime.wait_stopped() == 70
        assert not app.is_running

    run_fast(main())
    assert events == ["start a", "stop a"]


def test_an_error_that_says_its_own_exit_code_keeps_it(run_fast):
    class Unconfigured(Service):
        def start(self):
            raise ConfigurationError("option x is missing")

    async def main():
        runtime = start(application(Unconfigured("b")))
        with pytest.raises(ConfigurationError):
            await runtime.start()
        assert runtime.exit_code == 78

    run_fast(main())


def test_a_run_that_dies_is_run_again_after_longer_and_longer_waits(run_fast):
    async def main():
        clock = JumpingClock()
        app = application(Dying("d"))
        runtime = start(app, clock)
        await runtime.start()
        await settle()
        assert (len(events), clock.next_s) == (1, 1.0)
        assert app.getServiceNamed("d").state == "restarting"
        await clock.jump(1.0)
        assert (len(events), clock.next_s) == (2, 2.0)
        await clock.jump(2.0)
        assert (len(events), clock.next_s) == (3, 4.0)
        await runtime.stop()
        await clock.jump(100)
        assert len(events) == 3

    run_fast(main())


def test_past_its_limit_the_application_stops_with_an_error(run_fast, caplog):
    async def main():
        clock = JumpingClock()
        failures = []
        runtime = Runtime(application(Noting("a"), Dying("d")), clock=clock, on_failure=failures.append)
        await runtime.start()
        await clock.jump(10)
        assert await runtime.wait_stopped() == 70
        assert [str(failure) for failure in failures] == [
            "service d: run() failed 4 times in a row: LookupError: no luck"
        ]

    run_fast(main())
    assert events == ["start a", "run", "run", "run", "run", "stop a"]
    assert "no luck" in caplog.text


def test_a_run_that_lasted_long_enough_begins_its_count_anew(run_fast):
    async def main():
        clock = JumpingClock()
        app = application(Dying("d"))
        app._v_clock = clock
        app.getServiceNamed("d").lives_s = 200.0
        runtime = start(app, clock)
        await runtime.start()
        for _ in range(10):
            await clock.jump(201.0)
        assert not runtime.is_stopping
        await runtime.stop()

    run_fast(main())
    assert len(events) == 11


def test_a_service_without_a_second_chance_stops_the_application_at_once(run_fast):
    class Once(Dying):
        restart = None

    async def main():
        runtime = start(application(Once("o")))
        await runtime.start()
        assert await runtime.wait_stopped() == 70

    run_fast(main())
    assert events == ["run"]


def test_a_stop_that_fails_or_hangs_does_not_keep_the_others_from_stopping(run_fast, caplog):
    class Failing(Noting):
        def stop(self):
            super().stop()
            raise LookupError("cannot stop")

    class Hanging(Noting):
        async def stop(self):
            super().stop()
            await asyncio.Event().wait()

    async def main():
        runtime = start(application(Noting("a"), Failing("b"), Hanging("c")), stop_s=0.02)
        await runtime.start()
        await runtime.stop()

    run_fast(main())
    assert events[-3:] == ["stop c", "stop b", "stop a"]
    assert "service c did not stop within 0.02 s" in caplog.text
    assert "service b: stop() failed" in caplog.text


def test_services_added_to_a_running_application_are_started_and_removed_ones_stopped(run_fast):
    async def main():
        app = application(Noting("a"))
        runtime = start(app)
        await runtime.start()
        late = app.addService(Running("late"))
        await settle()
        assert late.is_running
        app.removeService("a")
        await settle()
        await runtime.stop()

    run_fast(main())
    assert events == ["start a", "start late", "run late", "stop a", "stop late", "ended late"]


def test_a_service_may_add_another_while_it_starts(run_fast):
    class Adding(Noting):
        def start(self):
            super().start()
            self.application.addService(Noting("child"))

    async def main():
        runtime = start(application(Adding("a"), Noting("b")))
        await runtime.start()
        await settle()
        await runtime.stop()

    run_fast(main())
    assert sorted(events) == ["start a", "start b", "start child", "stop a", "stop b", "stop child"]


def test_nothing_can_be_added_while_the_application_stops(run_fast):
    class Late(Service):
        def stop(self):
            with pytest.raises(InternalError, match="x: application test is stopping"):
                self.application.addService(Noting("x"))
            events.append("refused")

    async def main():
        runtime = start(application(Late("a")))
        await runtime.start()
        await runtime.stop()

    run_fast(main())
    assert events == ["refused"]


def test_a_stop_while_a_service_still_starts_ends_the_start(run_fast):
    class Never(Service):
        async def start(self):
            events.append("starting")
            await asyncio.Event().wait()

    async def main():
        app = application(Noting("a"), Never("b"))
        runtime = start(app)
        beginning = asyncio.ensure_future(runtime.start())
        await settle()
        await runtime.stop("a signal")
        with pytest.raises(TaphouseError, match="application test was stopped before it was ready"):
            await beginning
        assert await runtime.wait_stopped() == 0
        assert not app.is_running

    run_fast(main())
    assert events == ["start a", "starting", "stop a"]


def test_the_log_says_who_died_and_when_it_is_tried_again(run_fast, caplog):
    caplog.set_level(logging.INFO)

    async def main():
        runtime = start(application(Dying("d")))
        await runtime.start()
        await settle()
        await runtime.stop()

    run_fast(main())
    assert "service d: run() failed, again in 1.0 s" in caplog.text
