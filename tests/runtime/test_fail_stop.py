"""A storage that fails while an application runs has the last word, and nothing leaves after it."""

from __future__ import annotations

import asyncio
import socket

import pytest

from taphouse.app import Application, Factory, Protocol
from taphouse.durable import Ledger
from taphouse.errors import ConfigurationError, StorageError
from taphouse.persist import Freezer, create_state
from taphouse.runtime import Runtime
from taphouse.runtime.gate import OPEN
from taphouse.testing import JumpingClock


class Counted(Factory, name="tests.runtime.Counted"):
    protocol = Protocol

    def __init__(self):
        self.count = 0


@pytest.fixture
def store(tmp_path):
    return create_state(tmp_path / "failing-shutdown.tap", seed=None)


async def started(store, clock=None):
    app = Application("failing")
    app.listenTCP(0, Counted(), "127.0.0.1")
    ledger = Ledger()
    ledger.begin(app)
    runtime = Runtime(app, ledger, Freezer(ledger, store), store, clock=clock)
    await runtime.start()
    return runtime, app.listeners[0].factory


def break_at(store, wanted):
    """From now on let the storage fail at a step."""

    def on_io(step):
        if step == wanted:
            raise OSError(5, "Input/output error")

    store.on_io = on_io


async def turns(count=20):
    for _ in range(count):
        await asyncio.sleep(0)


def test_what_tasks_still_send_after_a_failed_commit_never_leaves(run, store):
    async def main():
        with socket.create_server(("127.0.0.1", 0)) as listener:
            runtime, factory = await started(store)
            factory.count = 1
            break_at(store, "commit")
            assert await runtime.wait_stopped() == 74
            # The gate of a loop that goes on stays shut for what knows of the lost change.
            _, writer = await asyncio.open_connection(*listener.getsockname())
            writer.write(b"count is 1")
            await turns()
            peer, _ = listener.accept()
            with peer:
                peer.setblocking(False)
                with pytest.raises(BlockingIOError):
                    peer.recv(100)
                with pytest.raises(StorageError):
                    await asyncio.get_running_loop().sock_sendall(peer, b"count is 1")
            writer.transport.abort()
            await turns()

    run(main())


def test_after_an_orderly_stop_the_loop_s_gate_is_open(run, store):
    async def main():
        runtime, factory = await started(store)
        factory.count = 1
        await runtime.stop()
        assert asyncio.get_running_loop().guests.gate is OPEN

    run(main())


@pytest.mark.parametrize("step", ["commit", "fold", "checkpoint", "close"])
def test_a_storage_that_fails_in_an_orderly_stop_has_the_last_word(run_fast, store, caplog, step):
    async def main():
        runtime, factory = await started(store)
        factory.count = 1
        break_at(store, step)
        runtime.fail(ConfigurationError("something else was wrong"))
        assert await runtime.wait_stopped() == 74
        assert isinstance(runtime.failure, StorageError)

    run_fast(main())
    told = [record for record in caplog.records if record.levelname == "CRITICAL"]
    assert len(told) == 1
    assert f"{step}: Input/output error; the tap is intact as of the last commit; " in told[0].getMessage()
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("suffix", ["", "-wal"])
def test_files_that_are_taken_away_from_an_idle_server_are_noticed(run_fast, store, suffix):
    async def main():
        clock = JumpingClock()
        runtime, _ = await started(store, clock)
        await clock.jump(60)
        assert runtime.is_ready
        path = store.path.with_name(store.path.name + suffix)
        path.rename(path.with_name("elsewhere"))
        await clock.jump(1)
        assert await runtime.wait_stopped() == 74
        assert f"{path.name} was moved, removed or replaced" in str(runtime.failure)

    run_fast(main())


@pytest.mark.parametrize("count", range(6))
def test_who_is_being_accepted_when_the_storage_fails_is_reset_too(run, store, count):
    """In the backlog, accepted by the loop, or known to us: nobody sees an orderly end."""

    async def main():
        runtime, _ = await started(store)
        [[address]] = runtime.addresses.values()
        with socket.create_connection(address) as client:
            await turns(count)
            runtime.keeping.fail(StorageError("the disk is broken"))
            assert await runtime.wait_stopped() == 74
            client.setblocking(False)
            with pytest.raises(ConnectionResetError):
                client.recv(100)

    run(main())
