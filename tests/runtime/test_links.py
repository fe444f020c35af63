"""Connectors stay connected: again after every end, with longer and longer waits between failures."""

from __future__ import annotations

import asyncio
import socket

import pytest
from backlogs import wait_queued
from bench.ports import free_port

from taphouse.app import Application, ClientFactory, Protocol, Retry
from taphouse.runtime import Connection, Limits, Runtime, make_server_context
from taphouse.testing import JumpingClock, settle

pytestmark = pytest.mark.process


class Hello(Protocol):
    def connection_made(self, transport):
        transport.write(b"hello")

    def data_received(self, data):
        self.factory.received.append(data)


class Client(ClientFactory):
    protocol = Hello
    retry = Retry(initial_s=1.0, factor=2.0, max_s=8.0, jitter=0.0, reset_after_s=30.0)

    def __init__(self):
        self.received = []
        self.told = []

    def connecting(self, connector):
        self.told.append("connecting")

    def connect_failed(self, connector, error):
        self.told.append("failed")

    def connect_lost(self, connector, error):
        self.told.append("lost")


class Server:
    """A plain server that remembers who came."""

    def __init__(self):
        self.clients = asyncio.Queue()

    async def start(self, port=0, **options):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", port, **options)
        self.port = self.server.sockets[0].getsockname()[1]

    async def serve(self, reader, writer):
        assert await reader.readexactly(5) == b"hello"
        self.clients.put_nowait(writer)
        self.hold = reader


async def until(condition):
    while not condition():
        await asyncio.sleep(0.001)


def test_a_connector_connects_and_again_when_the_connection_ends(run_anywhere):
    async def main():
        server, clock, client = Server(), JumpingClock(), Client()
        await server.start()
        app = Application("client")
        app.connectTCP("127.0.0.1", server.port, client)
        runtime = Runtime(app, clock=clock)
        await runtime.start()
        writer = await server.clients.get()
        assert client.told == ["connecting"]
        protocol = next(iter(client.connections))
        assert protocol.factory is client
        assert isinstance(protocol.transport, Connection)
        assert protocol.transport.log_label() == "Client,1,127.0.0.1"
        writer.close()
        await until(lambda: clock.next_s is not None)
        assert client.told == ["connecting", "lost"]
        assert not client.connections
        await clock.jump(1.0)
        writer = await server.clients.get()
        await runtime.stop()
        writer.close()
        server.server.close()

    run_anywhere(main())


def test_attempts_that_fail_wait_longer_each_time_and_a_success_that_lasts_begins_anew(run):
    async def main():
        port, clock, client, waits = free_port(), JumpingClock(), Client(), []
        app = Application("client")
        app.connectTCP("127.0.0.1", port, client)
        runtime = Runtime(app, clock=clock)
        await runtime.start()
        for _ in range(5):
            await until(lambda: clock.next_s is not None)
            waits.append(clock.next_s)
            await clock.jump(clock.next_s)
        await until(lambda: clock.next_s is not None)
        assert waits == [1.0, 2.0, 4.0, 8.0, 8.0]
        server = Server()
        await server.start(port)
        await clock.jump(8.0)
        writer = await server.clients.get()
        await clock.jump(30.0)
        writer.close()
        await until(lambda: clock.next_s is not None)
        assert clock.next_s == 1.0
        await runtime.stop()
        server.server.close()

    run(main())


def test_one_attempt_is_all_where_that_is_wanted(run):
    class Once(Client):
        retry = None

    async def main():
        client, clock = Once(), JumpingClock()
        app = Application("client")
        app.connectTCP("127.0.0.1", free_port(), client)
        runtime = Runtime(app, clock=clock)
        await runtime.start()
        await until(lambda: client.told == ["connecting", "failed"])
        await settle()
        assert clock.waiting == 0
        await runtime.stop()

    run(main())


def test_giving_up_is_logged(run, caplog):
    class Impatient(Client):
        retry = Retry(initial_s=1.0, max_attempts=2, jitter=0.0)

    async def main():
        client, clock = Impatient(), JumpingClock()
        app = Application("client")
        app.connectTCP("127.0.0.1", free_port(), client)
        runtime = Runtime(app, clock=clock)
        await runtime.start()
        await until(lambda: clock.next_s is not None)
        await clock.jump(1.0)
        await until(lambda: "gave up after 2 attempts" in caplog.text)
        assert client.told == ["connecting", "failed"] * 2
        await runtime.stop()

    run(main())


def test_a_peer_that_does_not_answer_is_given_up_after_the_timeout(run):
    async def main():
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            port = full.getsockname()[1]
            filling = [socket.socket() for _ in range(3)]
            for sock in filling:
                sock.setblocking(False)
                sock.connect_ex(("127.0.0.1", port))
            wait_queued(full, 1)  # so it is full, and the kernel answers nobody else
            client, clock = Client(), JumpingClock()
            app = Application("client")
            app.connectTCP("127.0.0.1", port, client, timeout=0.05)
            runtime = Runtime(app, clock=clock)
            await runtime.start()
            await until(lambda: client.told == ["connecting", "failed"])
            await runtime.stop()
            for sock in filling:
                sock.close()

    run(main())


def test_tls_verifies_the_peer(run, certfile, keyfile):
    async def main():
        server, client = Server(), Client()
        await server.start(ssl=make_server_context(certfile, keyfile))
        app = Application("client")
        app.connectTLS("127.0.0.1", server.port, client, cafile=certfile, server_name="localhost")
        stranger = Client()
        app.connectTLS("127.0.0.1", server.port, stranger)
        runtime = Runtime(app, clock=JumpingClock(), limits=Limits(drain_s=0))
        await runtime.start()
        writer = await server.clients.get()
        await until(lambda: stranger.told == ["connecting", "failed"])
        writer.write(b"answer")
        await until(lambda: client.received)
        await runtime.stop()
        writer.close()
        server.server.close()

    run(main())


def test_connectors_come_and_go_while_the_application_runs(run, tmp_path):
    async def main():
        clients, path = asyncio.Queue(), str(tmp_path / "s")

        async def serve(reader, writer):
            clients.put_nowait((await reader.readexactly(5), reader, writer))

        server = await asyncio.start_unix_server(serve, path)
        app = Application("client")
        runtime = Runtime(app, clock=JumpingClock())
        await runtime.start()
        connector = app.connectUNIX(path, Client())
        hello, reader, writer = await clients.get()
        assert hello == b"hello"
        app.disconnect(connector)
        assert await reader.read() == b""
        await settle()
        assert connector.factory.told == ["connecting"]
        writer.close()
        await runtime.stop()
        server.close()

    run(main())


def test_a_file_that_is_missing_counts_as_a_failed_attempt_and_is_named(run, caplog):
    caplog.set_level("INFO")

    async def main():
        client = Client()
        app = Application("client")
        app.connectTLS("127.0.0.1", free_port(), client, cafile="/nowhere/ca.pem")
        runtime = Runtime(app, clock=JumpingClock())
        await runtime.start()
        await until(lambda: "failed" in client.told)
        await runtime.stop()

    run(main())
    assert "cannot connect: cafile /nowhere/ca.pem: No such file" in caplog.text


def test_a_hook_that_fails_does_not_end_the_connector(run, caplog):
    class Clumsy(Client):
        def connect_failed(self, connector, error):
            raise LookupError("oops")

    async def main():
        client, clock = Clumsy(), JumpingClock()
        app = Application("client")
        app.connectTCP("127.0.0.1", free_port(), client)
        runtime = Runtime(app, clock=clock)
        await runtime.start()
        await until(lambda: clock.next_s is not None)
        await runtime.stop()

    run(main())
    assert "connect_failed() failed" in caplog.text
