"""Limits are checked where they are given, and full disks turn clients away before commits fail."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
from types import SimpleNamespace

import pytest

from taphouse.app import Application
from taphouse.errors import ConfigurationError, StorageError
from taphouse.runtime import Limits, Runtime
from taphouse.runtime.limits import Gatekeeper
from taphouse.runtime.space import SpaceWatch
from taphouse.testing import JumpingClock, settle


def test_a_negative_limit_is_named():
    with pytest.raises(ConfigurationError, match="limit max-connections is -1; use 0 or a positive number"):
        Limits(max_connections=-1)
    with pytest.raises(ConfigurationError, match="limit drain-s is nan"):
        Limits(drain_s=float("nan"))


def test_without_a_limit_there_are_as_many_connections_as_descriptors_less_a_reserve(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (1000, 1000))
    monkeypatch.setattr(os, "listdir", lambda _folder: [str(number) for number in range(30)])
    keeper = Gatekeeper(Limits(), JumpingClock())
    let_in = 0
    while keeper.enter("192.0.2.1"):
        let_in += 1
    assert let_in == 1000 - 30 - 64


@pytest.mark.process
def test_what_listeners_themselves_take_is_not_promised_to_connections(run):
    async def main():
        app = Application("wide")
        for _ in range(5):
            app.listenTCP(0, asyncio.Protocol)
        runtime = Runtime(app)
        await runtime.start()
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert runtime.gatekeeper._most <= soft - len(os.listdir("/proc/self/fd")) - 64
        app.listenTCP(0, asyncio.Protocol)
        await settle()
        assert runtime.gatekeeper._most <= soft - len(os.listdir("/proc/self/fd")) - 64
        await runtime.stop()

    run(main())


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


class Disk:
    """A disk as statvfs(3) tells it, and what a watch made of it."""

    def __init__(self):
        self.free, self.inodes, self.flags = 1000, 1_000_000, 0
        self.clock = JumpingClock()
        self.keeper = Gatekeeper(Limits(), self.clock)
        self.changes, self.spent, self.lost = [], [], []
        self.gone = ""

    def statvfs(self, _directory):
        return SimpleNamespace(
            f_bavail=self.free, f_frsize=1, f_files=9, f_favail=self.inodes, f_flag=self.flags
        )

    def check(self):
        if self.gone:
            raise OSError(errno.ESTALE, self.gone)

    def watch(self):
        limits = Limits(free_space_warn_bytes=500, free_space_stop_bytes=100, free_space_fail_bytes=10)

        def changed():
            self.changes.append(watch.is_short)

        watch = SpaceWatch(
            "/state/a.tap",
            limits,
            self.keeper,
            self.clock,
            changed,
            on_spent=self.spent.append,
            on_lost=self.lost.append,
            names=self,
            statvfs=self.statvfs,
        )
        return watch


def test_a_disk_that_fills_up_warns_then_turns_away_then_lets_in_again(run_fast, caplog):
    caplog.set_level("INFO")

    async def main():
        disk = Disk()
        watch = disk.watch()
        watch.look()
        assert disk.keeper.enter(None)
        disk.free = 400
        await disk.clock.jump(5)
        assert "/state: only" in caplog.messages[-1]
        assert disk.keeper.enter(None)
        disk.free = 50
        await disk.clock.jump(1)
        assert not disk.keeper.enter(None)
        disk.free = 900
        await disk.clock.jump(0.25)
        assert disk.keeper.enter(None)
        assert disk.changes == [True, False]
        assert not disk.spent
        watch.close()
        assert disk.clock.waiting == 0

    run_fast(main())
    assert sum("MB free" in message for message in caplog.messages) == 1


def test_below_the_last_mark_the_server_is_stopped_while_it_can(run_fast):
    async def main():
        disk = Disk()
        watch = disk.watch()
        watch.refuse_if_spent()
        watch.look()
        disk.free = 50
        await disk.clock.jump(5)
        disk.free = 9
        await disk.clock.jump(0.25)
        (error,) = disk.spent
        assert error.exit_code == 74
        assert "/state/a.tap: only 0 kB are free" in str(error)
        assert "--free-space-fail" in error.cure
        assert disk.clock.waiting == 0
        with pytest.raises(StorageError, match="kB are free"):
            watch.refuse_if_spent()

    run_fast(main())


def test_a_disk_without_inodes_lets_nobody_in_but_goes_on(run_fast, caplog):
    async def main():
        disk = Disk()
        disk.inodes = 50
        watch = disk.watch()
        watch.look()
        assert "inodes for 50 files" in caplog.messages[-1]
        assert disk.keeper.enter(None)
        disk.inodes = 0
        await disk.clock.jump(1)
        assert not disk.keeper.enter(None)
        assert not disk.spent
        assert not disk.lost
        watch.close()

    run_fast(main())


@pytest.mark.parametrize("how", ["read-only", "replaced"])
def test_a_place_where_nothing_can_be_committed_any_more_is_lost(run_fast, how):
    async def main():
        disk = Disk()
        disk.watch().look()
        if how == "read-only":
            disk.flags = os.ST_RDONLY
        else:
            disk.gone = "a.tap was replaced"
        await disk.clock.jump(5)
        (error,) = disk.lost
        assert error.exit_code == 74
        assert how in str(error)
        assert not disk.spent
        assert disk.clock.waiting == 0

    run_fast(main())


def test_where_there_is_no_state_there_is_nothing_to_watch(run_fast):
    async def main():
        clock = JumpingClock()
        watch = SpaceWatch("", Limits(), Gatekeeper(Limits(), clock), clock, *[pytest.fail] * 3)
        watch.refuse_if_spent()
        watch.look()
        assert clock.waiting == 0

    run_fast(main())


def test_a_directory_out_of_reach_turns_nobody_away(run_fast):
    async def main():
        clock = JumpingClock()
        keeper = Gatekeeper(Limits(), clock)
        watch = SpaceWatch("/no/such/place/a.tap", Limits(), keeper, clock, *[pytest.fail] * 3)
        watch.look()
        assert keeper.enter(None)
        watch.close()

    run_fast(main())
