"""Limits are checked where they are given, and full disks turn clients away before commits fail."""

from __future__ import annotations

import resource

import pytest

from taphouse.errors import ConfigurationError
from taphouse.runtime import Limits
from taphouse.runtime.limits import Gatekeeper
from taphouse.runtime.space import SpaceWatch
from taphouse.testing import JumpingClock


def test_a_negative_limit_is_named():
    with pytest.raises(ConfigurationError, match="limit max-connections is -1; use 0 or a positive number"):
        Limits(max_connections=-1)
    with pytest.raises(ConfigurationError, match="limit drain-s is nan"):
        Limits(drain_s=float("nan"))


def test_without_a_limit_there_are_as_many_connections_as_descriptors_less_a_reserve(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (1000, 1000))
    keeper = Gatekeeper(Limits(), JumpingClock())
    let_in = 0
    while keeper.enter("192.0.2.1"):
        let_in += 1
    assert 700 < let_in < 1000 - 64


def test_a_flood_of_refusals_is_a_trickle_of_log_lines(caplog):
    clock = JumpingClock()
    keeper = Gatekeeper(Limits(max_connections=1), clock)
    keeper.enter("a")
    for _ in range(1000):
        assert not keeper.enter("b")
    assert len(caplog.messages) == 1
    clock._passed_s += 11
    keeper.enter("b")
    assert caplog.messages[1] == "turned away 1000 connections: max-connections is 1"


def test_the_count_of_a_client_is_forgotten_when_it_has_left():
    keeper = Gatekeeper(Limits(max_connections_per_client=2), JumpingClock())
    for _ in range(100):
        assert keeper.enter("a")
        assert keeper.enter("a")
        assert not keeper.enter("a")
        assert keeper.enter(None)
        for host in ("a", "a", None):
            keeper.leave(host)
    assert keeper.total == 0
    assert keeper._hosts == {}


def test_a_disk_that_fills_up_warns_then_turns_away_then_lets_in_again(run_fast, caplog):
    caplog.set_level("INFO")

    async def main():
        clock, free, changes = JumpingClock(), [1000], []
        keeper = Gatekeeper(Limits(), clock)
        watch = SpaceWatch(
            "/state",
            Limits(free_space_warn_bytes=500, free_space_stop_bytes=100),
            keeper,
            clock,
            lambda: changes.append(watch.is_short),
            free_bytes=lambda _directory: free[0],
        )
        watch.look()
        assert keeper.enter(None)
        free[0] = 400
        await clock.jump(5)
        assert "/state: only" in caplog.messages[-1]
        assert keeper.enter(None)
        free[0] = 50
        await clock.jump(5)
        assert not keeper.enter(None)
        free[0] = 900
        await clock.jump(5)
        assert keeper.enter(None)
        assert changes == [True, False]
        watch.close()
        assert clock.waiting == 0

    run_fast(main())
    assert sum("MB free" in message for message in caplog.messages) == 1


def test_a_directory_out_of_reach_turns_nobody_away(run_fast):
    async def main():
        clock = JumpingClock()
        keeper = Gatekeeper(Limits(), clock)
        watch = SpaceWatch("/no/such/place", Limits(), keeper, clock, lambda: None)
        watch.look()
        assert keeper.enter(None)
        watch.close()

    run_fast(main())
