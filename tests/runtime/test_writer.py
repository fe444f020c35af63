"""A slow disk holds replies, never the loop; a store is in one pair of hands; a stuck disk is the end."""

from __future__ import annotations

import asyncio
import select
import socket
import sys
import threading

import pytest

from playground import PATIENCE_S
from taphouse.app import Application, Factory, Protocol
from taphouse.durable import Ledger, durable, find_registered
from taphouse.errors import StorageError
from taphouse.persist import Freezer, create_state, open_state, thaw
from taphouse.runtime import Limits, Runtime
from taphouse.runtime import writer as writers
from taphouse.runtime.writer import Writer
from taphouse.testing import JumpingClock


class HandStore:
    """Counts, and notices two that use it at once; what is in ``locked`` waits for ``open_``."""

    path = "/state/kept.tap"
    kind = "ext4"
    probes = ()
    reserve_refused = ""

    def __init__(self):
        self.sync_s = 0.0001
        self.needs_tending = False
        self.done = []
        self.threads = set()
        self.error = None
        self.locked = set()
        self.open_ = threading.Event()
        self._in_use = threading.Lock()

    def _do(self, what):
        assert self._in_use.acquire(blocking=False), "two at once"
        try:
            self.threads.add(threading.get_ident())
            if what in self.locked:
                assert self.open_.wait(PATIENCE_S)
            if self.error is not None:
                raise self.error
            self.done.append(what)
        finally:
            self._in_use.release()

    def commit(self, turn):
        self._do(turn)
        return "ok"

    def fold(self, rows=64):
        self._do("fold")
        return False

    def tend(self):
        self.needs_tending = False
        self._do("tend")

    def backup(self, path):
        self._do("backup")

    def close(self):
        self._do("close")

    def abandon(self):
        self.done.append("abandon")


async def result(value):
    return await value if asyncio.isfuture(value) else value


def test_a_quick_disk_is_waited_for_on_the_loop_and_a_slow_one_on_the_thread_by_itself(run_fast):
    async def main():
        store = HandStore()
        writer = Writer(store, asyncio.get_running_loop())
        here = {threading.get_ident()}
        for _ in range(20):
            assert writer.commit("turn") == "ok"
        assert store.threads == here
        store.sync_s = 0.004
        while writer.how == "inline":
            assert writer.commit("turn") == "ok"
        assert store.threads == here
        store.threads.clear()
        assert await writer.commit("turn") == "ok"
        assert len(store.threads) == 1 and store.threads != here
        store.sync_s = 0.0001
        while writer.how == "thread":
            await writer.commit("turn")
        assert writer.commit("turn") == "ok"
        writer.abandon()

    run_fast(main())


def test_moving_the_wal_keeps_nobody_from_the_loop_and_what_comes_meanwhile_waits_in_order(run_fast):
    async def main():
        store = HandStore()
        store.locked = {"tend"}
        writer = Writer(store, asyncio.get_running_loop())
        store.needs_tending = True
        assert writer.commit(1) == "ok"
        waiting = [writer.commit(2), writer.fold(), writer.backup("there"), writer.commit(3), writer.close()]
        await asyncio.sleep(0)
        assert store.done == [1]
        assert writer.how == "inline"
        store.open_.set()
        await asyncio.gather(*waiting)
        assert store.done == [1, "tend", 2, "fold", "backup", 3, "close"]

    run_fast(main())


@pytest.mark.parametrize("path", ["inline", "thread"])
def test_a_path_can_be_forced(path, run_fast):
    async def main():
        store = HandStore()
        writer = Writer(store, asyncio.get_running_loop(), path=path)
        for sync_s in (0.0001, 0.01):
            store.sync_s = sync_s
            for _ in range(100):
                store.needs_tending = True
                await result(writer.commit("turn"))
        await result(writer.fold())
        await result(writer.close())
        assert (threading.get_ident() in store.threads) == (path == "inline")
        assert len(store.threads) == 1
        assert writer.how == path

    run_fast(main())


@pytest.mark.parametrize("busy_with", ["turn", "fold", "tend"])
def test_a_disk_that_is_stuck_under_the_loop_is_the_end_whatever_the_loop_does_with_it(
    run_fast, monkeypatch, busy_with
):
    async def main():
        store = HandStore()
        ends = []

        def end(line):
            ends.append(line)
            store.open_.set()

        monkeypatch.setattr(writers, "end_process", end)
        writer = Writer(store, asyncio.get_running_loop(), deadline_s=0.04, path="inline")
        store.locked = {busy_with}
        store.needs_tending = True
        assert writer.commit("turn") == "ok"
        assert writer.fold() is False
        assert "the disk has not answered for 0.12 s" in ends[0]
        assert store.done == ["turn", "tend", "fold"]
        writer.close()

    run_fast(main())


def test_an_error_on_the_thread_reaches_who_waits_and_one_that_nobody_awaits_is_told(run_fast):
    async def main():
        store = HandStore()
        writer = Writer(store, asyncio.get_running_loop(), path="thread")
        store.error = StorageError("gone")
        with pytest.raises(StorageError, match="gone"):
            await writer.commit("turn")
        told = asyncio.get_running_loop().create_future()
        other = Writer(store, asyncio.get_running_loop())
        other.on_failure = told.set_result
        store.error, store.needs_tending, store.locked = None, True, {"tend"}
        assert other.commit("turn") == "ok"
        store.error = StorageError("gone too")
        store.open_.set()
        assert str(await told) == "gone too"
        for each in (writer, other):
            each.abandon()

    run_fast(main())


def test_giving_up_waits_for_nobody_and_what_lands_later_disturbs_nobody(run_fast):
    async def main():
        store = HandStore()
        store.locked = {"turn"}
        writer = Writer(store, asyncio.get_running_loop(), path="thread")
        writer.commit("turn")
        writer.abandon()
        assert store.done == ["abandon"]
        with pytest.raises(StorageError, match="closed"):
            writer.commit("another")
        thread = writer._thread
        store.open_.set()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
        await asyncio.sleep(0)

    run_fast(main())


# --- with a real application on a real tap


class Counting(Factory, name="tests.runtime.WriterCounting"):
    def __init__(self):
        self.count = 0
        self.protocol = Asking


class Asking(Protocol):
    def data_received(self, data):
        if data == b"+":
            self.factory.count += 1
        self.transport.write(b"%d\n" % self.factory.count)


class Server:
    """A counter on a tap whose commits can be held up, on the thread."""

    def __init__(self, path, *, clock=None, **limits):
        self.app = Application("kept")
        self.factory = Counting()
        self.app.listenTCP(0, self.factory, "127.0.0.1")
        self.store = create_state(path, seed=None)
        self.store.on_io = self._step
        self.held = threading.Event()
        self.open_ = threading.Event()
        self.open_.set()
        self.error = None
        ledger = Ledger()
        ledger.begin(self.app)
        self.ready = []
        self.runtime = Runtime(
            self.app,
            ledger,
            Freezer(ledger, self.store),
            self.store,
            limits=Limits(drain_s=0.1, **limits),
            clock=clock,
            on_ready=self.ready.append,
        )

    def _step(self, step):
        if step == "commit" and not self.open_.is_set():
            self.held.set()
            assert self.open_.wait(PATIENCE_S)
        if self.error is not None:
            raise self.error

    @property
    def thread(self):
        return self.runtime.keeping._writer._thread

    def connect(self):
        (bound,) = self.runtime.addresses.values()
        return Client(bound[0][:2])


class Client:
    """Speaks past the loop: what the loop itself sends, the gate would hold."""

    def __init__(self, address):
        self._socket = socket.create_connection(address, timeout=PATIENCE_S)
        self._socket.setblocking(False)

    def ask(self):
        self._socket.send(b"+")

    def has_answer(self):
        return bool(select.select([self._socket], [], [], 0)[0])

    async def answer(self):
        """Return what comes next; nothing if that is the end, however it is put."""
        while not self.has_answer():
            await asyncio.sleep(0)
        try:
            return self._socket.recv(100)
        except ConnectionError:
            return b""

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._socket.close()


@pytest.fixture
def on_thread(monkeypatch):
    monkeypatch.setattr(writers, "FORCED_PATH", "thread")


async def until(condition):
    while not condition():
        await asyncio.sleep(0)


def stored_count(path):
    loaded = thaw(open_state(path), lambda record: find_registered(record.name))
    (listener,) = loaded.root.listeners
    return listener.factory.count


@pytest.mark.usefixtures("on_thread")
def test_while_the_disk_is_busy_replies_wait_and_the_loop_goes_on(run, tmp_path):
    async def main():
        server = Server(tmp_path / "kept-shutdown.tap")
        await server.runtime.start()
        with server.connect() as one, server.connect() as other:
            server.open_.clear()
            one.ask()
            await until(server.held.is_set)
            other.ask()  # its change belongs to the next epoch, and its reply too
            await until(lambda: server.factory.count == 2)
            assert server.runtime.statistics().epochs.path == "thread"
            assert not one.has_answer() and not other.has_answer()
            server.open_.set()
            assert [await one.answer(), await other.answer()] == [b"1\n", b"2\n"]
        await server.runtime.stop()
        assert server.runtime.exit_code == 0

    run(main())
    assert [file.name for file in tmp_path.iterdir()] == ["kept-shutdown.tap"]


@pytest.mark.usefixtures("on_thread")
def test_a_stop_waits_for_the_commit_in_flight_and_for_what_changed_meanwhile(run_fast, tmp_path):
    path = tmp_path / "kept-shutdown.tap"

    async def main():
        server = Server(path)
        await server.runtime.start()
        server.open_.clear()
        server.factory.count = 7
        await until(server.held.is_set)
        server.factory.count = 8
        stopping = asyncio.ensure_future(server.runtime.stop())
        await asyncio.sleep(0)
        server.open_.set()
        await stopping
        assert server.runtime.exit_code == 0

    run_fast(main())
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert stored_count(path) == 8


@pytest.mark.usefixtures("on_thread")
def test_a_commit_that_fails_on_the_thread_fails_stop(run, tmp_path):
    async def main():
        server = Server(tmp_path / "kept-shutdown.tap")
        await server.runtime.start()
        with server.connect() as client:
            server.open_.clear()
            client.ask()
            await until(server.held.is_set)
            server.error = OSError(5, "Input/output error")
            server.open_.set()
            assert await client.answer() == b""
            assert await server.runtime.wait_stopped() == 74

    run(main())


@pytest.mark.usefixtures("on_thread")
def test_a_late_commit_lets_nobody_in_and_when_it_lands_everybody(run, tmp_path, caplog):
    caplog.set_level("INFO")

    async def main():
        clock = JumpingClock()
        server = Server(tmp_path / "kept-shutdown.tap", clock=clock, commit_deadline_s=10.0)
        await server.runtime.start()
        with server.connect() as client:
            server.open_.clear()
            client.ask()
            await until(server.held.is_set)
            await clock.jump(9)
            assert server.ready == [True]
            await clock.jump(6)
            assert server.ready == [True, False]
            with server.connect() as refused:
                assert await refused.answer() == b""
            server.open_.set()
            assert await client.answer() == b"1\n"
            await clock.jump(3)
            assert server.ready == [True, False, True]
            with server.connect() as welcome:
                welcome.ask()
                assert await welcome.answer() == b"2\n"
        await server.runtime.stop()

    run(main())
    late = [record.levelname for record in caplog.records if "takes longer than 10 s" in record.message]
    assert late == ["ERROR"]


@pytest.mark.usefixtures("on_thread")
def test_a_commit_three_times_as_late_is_the_end_and_its_output_never_leaves(run, tmp_path):
    async def main():
        clock = JumpingClock()
        server = Server(tmp_path / "kept-shutdown.tap", clock=clock, commit_deadline_s=10.0)
        await server.runtime.start()
        with server.connect() as client:
            server.open_.clear()
            client.ask()
            await until(server.held.is_set)
            waiting = asyncio.ensure_future(durable.committed())
            await asyncio.sleep(0)
            await clock.jump(40)
            assert await server.runtime.wait_stopped() == 74
            assert "has not answered for 30 s" in str(server.runtime.failure)
            with pytest.raises(StorageError):
                await waiting
            server.open_.set()
            await until(lambda: not server.thread.is_alive())  # it lands after all, and nobody hears of it
            assert await client.answer() == b""

    run(main())


def test_the_interpreter_is_shared_more_often_while_the_thread_commits_and_as_before_afterwards(run_fast):
    async def main():
        usual = 0.005  # not what another test's writer may have left
        sys.setswitchinterval(usual)
        store = HandStore()
        writer = Writer(store, asyncio.get_running_loop(), path="")
        writer.commit("turn")
        assert sys.getswitchinterval() == usual
        store.sync_s = 0.004
        while writer.how == "inline":
            writer.commit("turn")
        assert sys.getswitchinterval() < usual
        await result(writer.close())
        assert sys.getswitchinterval() == usual

    run_fast(main())
