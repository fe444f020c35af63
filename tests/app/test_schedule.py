"""Delayed and periodic calls are values with a time; a missed one is neither forgotten nor repeated."""

from __future__ import annotations

from typing import Any

import pytest

from taphouse.app import Application, DelayedCall, PeriodicCall, Service, anchor_calls, calls_due
from taphouse.errors import NotDurableError


class Clock(Service):
    def tick(self, *args: Any) -> None:
        """Something to call."""


def at_module_level() -> None:
    """Something to call without an object."""


@pytest.fixture
def app() -> Application:
    app = Application("otk")
    app.addService(Clock("clock"))
    return app


def test_the_time_of_a_call_begins_with_the_first_start(app: Application) -> None:
    """A seed built last week does not owe a call of a minute since last week."""
    clock = app.getServiceNamed("clock")
    call = app.addDelayed(60, clock.tick, 1, "two")  # type: ignore[attr-defined]
    assert call.due_s is None
    assert calls_due(app.schedule, 1e12) == []
    anchor_calls(app.schedule, 1000.0)
    anchor_calls(app.schedule, 5000.0)
    assert call.due_s == 1060.0
    assert calls_due(app.schedule, 1059.9) == []
    assert calls_due(app.schedule, 1060.0) == [call]
    assert call.take(1060.0) == (clock.tick, (1, "two"))  # type: ignore[attr-defined]


def test_a_delayed_call_is_taken_once(app: Application) -> None:
    """Taking it removes it: the removal is committed with what the call does first."""
    call = app.addDelayed(0, at_module_level)
    assert isinstance(call, DelayedCall)
    anchor_calls(app.schedule, 1.0)
    assert call.is_active
    assert call.take(1.0) == (at_module_level, ())
    assert not call.is_active
    assert app.schedule == {}
    assert call.cancel() is False


def test_a_call_can_be_cancelled_once(app: Application) -> None:
    """Again is harmless."""
    call = app.addPeriodic(5, at_module_level)
    other = app.addPeriodic(5, at_module_level)
    assert call.cancel() is True
    assert call.cancel() is False
    assert list(app.schedule.values()) == [other]
    other.end()
    assert app.schedule == {}


@pytest.mark.parametrize(
    ("taken_at_s", "next_s"), [(110.0, 120.0), (119.9, 120.0), (120.0, 130.0), (3715.0, 3720.0)]
)
def test_a_periodic_call_keeps_its_beat_and_skips_what_was_missed(
    app: Application, taken_at_s: float, next_s: float
) -> None:
    """After an hour's stop there is one call, then the old beat; never a burst."""
    call = app.addPeriodic(10, at_module_level)
    assert isinstance(call, PeriodicCall)
    anchor_calls(app.schedule, 100.0)
    assert call.take(taken_at_s) == (at_module_level, ())
    assert call.due_s == next_s
    assert call.is_active


def test_a_periodic_call_taken_before_it_was_anchored_counts_from_there(app: Application) -> None:
    """Whoever takes it early gets a whole period after it."""
    call = app.addPeriodic(10, at_module_level)
    call.take(50.0)
    assert call.due_s == 60.0


def test_calls_are_due_in_order_of_time_then_of_making(app: Application) -> None:
    """Overdue ones too, so that effects keep their order."""
    late = app.addDelayed(9, at_module_level)
    first = app.addDelayed(3, at_module_level)
    second = app.addDelayed(3, at_module_level)
    app.addDelayed(1000, at_module_level)
    anchor_calls(app.schedule, 0.0)
    assert calls_due(app.schedule, 500.0) == [first, second, late]


@pytest.mark.parametrize(
    ("seconds", "error"),
    [(-1, ValueError), (float("inf"), ValueError), (float("nan"), ValueError), ("5", TypeError),
     (True, TypeError), (None, TypeError)],
)  # fmt: skip
def test_a_time_that_never_comes_is_refused(app: Application, seconds: Any, error: type[Exception]) -> None:
    """At the statement; 0 is a delay but no period."""
    with pytest.raises(error, match="seconds"):
        app.addDelayed(seconds, at_module_level)
    with pytest.raises(error, match="seconds"):
        app.addPeriodic(seconds, at_module_level)
    with pytest.raises(ValueError, match="use seconds above 0"):
        app.addPeriodic(0, at_module_level)
    assert app.schedule == {}


def test_what_could_not_be_called_after_a_restart_is_refused(app: Application) -> None:
    """A lambda, a method of an object that is not durable, a class, a built-in, a value."""

    class Forgetful:
        def tick(self) -> None: ...

    with pytest.raises(NotDurableError, match="a lambda cannot be saved"):
        app.addDelayed(1, lambda: None)
    with pytest.raises(TypeError, match="Forgetful is not durable.*mark the class @durable"):
        app.addDelayed(1, Forgetful().tick)
    for wrong in (3, Clock):
        with pytest.raises(TypeError, match="need a method of a durable object"):
            app.addDelayed(1, wrong)  # type: ignore[arg-type]
    with pytest.raises(NotDurableError, match="cannot be saved"):
        app.addDelayed(1, print)
    with pytest.raises(NotDurableError, match="args"):
        app.addDelayed(1, at_module_level, open)
    assert app.schedule == {}
    assert app.calls_made == 0


def test_a_running_application_tells_its_runtime_about_a_new_call(app: Application) -> None:
    """After it was entered."""
    seen: list[int] = []

    class Runtime:
        def schedule_changed(self) -> None:
            seen.append(len(app.schedule))

    app._v_runtime = Runtime()  # type: ignore[assignment]
    app.addDelayed(1, at_module_level)
    app.addPeriodic(1, at_module_level)
    assert seen == [1, 2]


def test_a_call_says_what_it_is(app: Application) -> None:
    """For logs and prompts."""
    clock = app.getServiceNamed("clock")
    assert "Clock.tick" in repr(app.addPeriodic(5, clock.tick))  # type: ignore[attr-defined]
