"""After a crash the application comes back as of its last commit."""

from __future__ import annotations

import asyncio
import socket

import pytest

from taphouse.app import Application, Factory, Protocol, Service
from taphouse.durable import Ledger, durable
from taphouse.errors import InternalError, NotDurableError, StorageError
from taphouse.persist import Freezer, create_state
from taphouse.runtime import Runtime, writer
from taphouse.testing import FailingStore, JumpingClock, connect, crash_and_thaw, settle


class OneTimeKey(Protocol):
    def connection_made(self, transport):
        key = self.factory.nextkey
        self.factory.nextkey += 1
        self.factory.given.append(key)
        transport.write(b"%d\n" % key)
        transport.close()


class Keys(Factory):
    protocol = OneTimeKey

    def __init__(self):
        self.nextkey = 0
        self.given = []


def keys_of(app):
    return app.listeners[0].factory


def build():
    app = Application("otk")
    app.listenTCP(0, Keys(), "127.0.0.1")
    return app


def prepare(app, path, wrap=lambda store: store):
    """Return a runtime whose time stands still: nothing is folded unless a test says so."""
    ledger = Ledger()
    ledger.begin(app)
    store = wrap(create_state(path, seed=None))
    return Runtime(app, ledger, Freezer(ledger, store), store, clock=JumpingClock())


def test_an_application_that_does_not_run_comes_back_with_everything():
    app = build()
    assert connect(keys_of(app)).receive() == b"0\n"
    again = crash_and_thaw(app)
    assert again is not app
    assert (again.name, keys_of(again).nextkey, keys_of(again).given) == ("otk", 1, [0])
    assert connect(keys_of(again)).receive() == b"1\n"
    assert keys_of(app).nextkey == 1


def test_what_cannot_be_saved_is_named():
    app = build()
    keys_of(app)._v_fine = object()
    with pytest.raises((NotDurableError, TypeError), match="generator"):
        keys_of(app).bad = (n for n in ())
    keys_of(crash_and_thaw(app))


def test_a_running_application_comes_back_as_of_its_last_commit(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "FORCED_PATH", "inline")  # however slow the disk, a turn ends with its commit

    async def main():
        app = build()
        runtime = prepare(app, tmp_path / "otk-shutdown.tap")
        await runtime.start()
        connect(keys_of(app))
        connect(keys_of(app))
        await durable.committed()
        connect(keys_of(app))  # in this turn: not committed yet
        again = crash_and_thaw(app)
        assert (keys_of(again).nextkey, keys_of(again).given) == (2, [0, 1])
        await settle()
        assert keys_of(crash_and_thaw(app)).nextkey == 3
        await runtime.stop()

    asyncio.run(main())
    again = crash_and_thaw(build(), state=tmp_path / "otk-shutdown.tap")
    assert keys_of(again).nextkey == 3


@pytest.mark.parametrize("fail_at", range(1, 8))
def test_whichever_write_fails_the_server_stops_and_its_tap_holds_the_last_commit(tmp_path, fail_at):
    path = tmp_path / "otk-shutdown.tap"

    async def main():
        app = build()
        failures = []
        runtime = prepare(app, path, lambda store: FailingStore(store, fail_at))
        runtime._on_failure = failures.append
        committed = 0
        try:
            await runtime.start()
            for _ in range(5):
                connect(keys_of(app))
                await durable.committed()
                committed += 1
            await runtime.stop()
        except StorageError:
            pass
        assert await runtime.wait_stopped() == 74
        assert [failure.exit_code for failure in failures] == [74]
        return committed

    committed = asyncio.run(main())
    assert committed == min(5, max(0, fail_at - 2))
    if fail_at == 1:
        assert not path.exists()
    else:
        again = crash_and_thaw(build(), state=path)
        assert keys_of(again).given == list(range(committed))


def test_after_a_failed_commit_nothing_of_the_application_runs_on(tmp_path):
    seen = []

    class Watching(Service):
        async def run(self):
            try:
                await asyncio.Event().wait()
            finally:
                seen.append("run ended")

        def stop(self):
            seen.append("stopped")

    async def main():
        app = build()
        app.addService(Watching("w"))
        app.addPeriodic(1000, keys_of(app).started)
        store = FailingStore(create_state(tmp_path / "otk-shutdown.tap", seed=None), 2)
        runtime = prepare(app, tmp_path / "unused", lambda _: store)
        await runtime.start()
        port = runtime.addresses["tcp:127.0.0.1:0"][0][1]
        client = socket.create_connection(("127.0.0.1", port))
        assert await runtime.wait_stopped() == 74
        assert store.is_abandoned
        await settle()
        with pytest.raises(InternalError, match="application otk has stopped"):
            keys_of(app).nextkey = 5
        with pytest.raises(ConnectionResetError):
            while client.recv(100):
                pass
        client.close()

    asyncio.run(main())
    assert seen == ["run ended"]
