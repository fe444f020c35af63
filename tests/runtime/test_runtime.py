"""An application lives in a loop: it starts in order, serves, changes while it runs, and stops in order."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import socket
from contextlib import contextmanager, suppress

import pytest
from backlogs import queued, wait_queued
from bench.ports import free_port

from playground import PATIENCE_S
from taphouse.app import Application, DatagramFactory, Factory, Protocol, Service
from taphouse.errors import AddressError, InternalError, TaphouseError
from taphouse.runtime import (
    Connection,
    Limits,
    Runtime,
    bind_listener,
    bind_plan,
    current_context,
    make_client_context,
    try_port,
)
from taphouse.testing import JumpingClock, settle

pytestmark = pytest.mark.process


class OneTimeKey(Protocol):
    def connection_made(self, transport):
        key = self.factory.nextkey
        self.factory.nextkey += 1
        transport.write(b"%d\n" % key)
        transport.close()


class Keys(Factory):
    protocol = OneTimeKey

    def __init__(self):
        self.nextkey = 0


class Echo(Protocol):
    def data_received(self, data):
        self.transport.write(data)


class Lines(Factory):
    async def serve(self, reader, writer):
        while line := await reader.readline():
            writer.write(line.upper())
            await writer.drain()


async def ask(port, data=b"", host="127.0.0.1", **options):
    """Connect, send, and return everything until the end."""
    reader, writer = await asyncio.open_connection(host, port, **options)
    if data:
        writer.write(data)
        with suppress(OSError):  # reset meanwhile; reading tells
            writer.write_eof()
    try:
        return await reader.read()
    finally:
        writer.close()


def port_of(runtime, label="tcp:127.0.0.1:0", index=0):
    return runtime.addresses[label][index][1]


def listening_socket(runtime):
    """Return the socket of the first listener."""
    return runtime.doors._ports[0][1].bound.sockets[0]


async def until(condition):
    while not condition():
        await asyncio.sleep(0.001)


def test_a_factory_serves_and_remembers(run_anywhere):
    async def main():
        app = Application("otk")
        app.listenTCP(0, Keys(), "127.0.0.1")
        runtime = Runtime(app)
        await runtime.start()
        assert runtime.is_ready
        assert [await ask(port_of(runtime)) for _ in range(3)] == [b"0\n", b"1\n", b"2\n"]
        assert runtime.statistics().accepted == 3
        await runtime.stop()
        assert await runtime.wait_stopped() == 0
        assert not runtime.is_ready
        assert runtime.addresses == {}
        assert not app.is_running

    run_anywhere(main())


def test_all_interfaces_are_ipv4_and_ipv6(run):
    async def main():
        app = Application("otk")
        app.listenTCP(0, Keys())
        runtime = Runtime(app)
        await runtime.start()
        families = {address[0]: address[1] for address in runtime.addresses["tcp:0"]}
        assert await ask(families["0.0.0.0"]) == b"0\n"
        if "::" in families:
            assert await ask(families["::"], host="::1") == b"1\n"
        await runtime.stop()

    run(main())


def test_coroutines_serve_connections_and_end_with_the_application(run_anywhere):
    ended = []

    class Chat(Lines):
        async def serve(self, reader, writer):
            try:
                await super().serve(reader, writer)
            finally:
                ended.append(True)

    async def main():
        app = Application("chat")
        app.listenTCP(0, Chat(), "127.0.0.1")
        runtime = Runtime(app, limits=Limits(drain_s=0.02))
        await runtime.start()
        assert await ask(port_of(runtime), b"hello\n") == b"HELLO\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(runtime))
        writer.write(b"still here\n")
        assert await reader.readline() == b"STILL HERE\n"
        await runtime.stop()
        assert await reader.read() == b""
        writer.close()

    run_anywhere(main())
    assert ended == [True, True]


def test_plain_asyncio_protocols_serve(run_anywhere):
    class Plain(asyncio.Protocol):
        def connection_made(self, transport):
            self.transport = transport

        def data_received(self, data):
            self.transport.write(data[::-1])

    async def main():
        app = Application("plain")
        app.listenTCP(0, Plain, "127.0.0.1")
        runtime = Runtime(app)
        await runtime.start()
        assert await ask(port_of(runtime), b"abc") == b"cba"
        await runtime.stop()

    run_anywhere(main())


def test_udp_serves_one_protocol_for_each_socket(run_anywhere):
    class Shout(DatagramFactory):
        def datagram_received(self, data, addr):
            return data.upper()

    async def main():
        app = Application("udp")
        app.listenUDP(0, Shout(), "127.0.0.1")
        runtime = Runtime(app)
        await runtime.start()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(PATIENCE_S)
            client.sendto(b"hi", ("127.0.0.1", port_of(runtime, "udp:127.0.0.1:0")))
            loop = asyncio.get_running_loop()
            assert await loop.run_in_executor(None, client.recv, 100) == b"HI"
        await runtime.stop()

    run_anywhere(main())


def test_a_unix_path_serves_and_is_gone_after_the_stop(run_anywhere, tmp_path):
    async def main():
        app = Application("unix")
        app.listenUNIX(str(tmp_path / "s"), Keys())
        runtime = Runtime(app)
        await runtime.start()
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
        assert await reader.read() == b"0\n"
        writer.close()
        await runtime.stop()
        assert not (tmp_path / "s").exists()

    run_anywhere(main())


def test_tls_serves(run_anywhere, certfile, keyfile):
    async def main():
        app = Application("tls")
        app.listenTLS(0, Keys(), certfile, keyfile, "127.0.0.1")
        runtime = Runtime(app)
        await runtime.start()
        context = make_client_context(certfile)
        answer = await ask(port_of(runtime, "tls:127.0.0.1:0"), ssl=context, server_hostname="localhost")
        assert answer == b"0\n"
        await runtime.stop()

    run_anywhere(main())


def test_what_was_bound_before_is_used(run):
    sockets = bind_plan([{"kind": "tcp", "interface": "127.0.0.1", "port": 0, "label": "x"}])
    port = sockets.addresses()["x"][0][1]
    early = socket.create_connection(("127.0.0.1", port))

    async def main():
        app = Application("early")
        app.listenTCP(0, Keys(), "127.0.0.1")
        runtime = Runtime(app, sockets=sockets)
        await runtime.start()
        assert port_of(runtime) == port
        loop = asyncio.get_running_loop()
        assert await loop.run_in_executor(None, early.recv, 100) == b"0\n"
        early.close()
        await runtime.stop()

    run(main())


def test_who_waits_in_the_backlog_when_the_stop_begins_is_still_served(run):
    class Patient(Keys):
        async def stopped(self):
            return None

    async def main():
        app = Application("backlog")
        app.listenTCP(0, Patient(), "127.0.0.1")
        runtime = Runtime(app)
        await runtime.start()
        clients = [socket.create_connection(("127.0.0.1", port_of(runtime))) for _ in range(20)]
        wait_queued(listening_socket(runtime), 20)
        await runtime.stop()
        answers = sorted(int(client.recv(100)) for client in clients)
        assert answers == list(range(20))
        for client in clients:
            client.close()

    run(main())


def test_factories_start_once_however_many_listeners_they_have_and_stop_after_the_last(run):
    told = []

    class Shared(Keys):
        async def started(self):
            told.append("started")

        def stopped(self):
            told.append("stopped")

    async def main():
        app = Application("shared")
        factory = Shared()
        first = app.listenTCP(0, factory, "127.0.0.1")
        app.listenTCP(0, factory, "127.0.0.1")
        runtime = Runtime(app)
        await runtime.start()
        assert told == ["started"]
        ports = [address[1] for address in runtime.addresses["tcp:127.0.0.1:0"]]
        assert [await ask(port) for port in ports] == [b"0\n", b"1\n"]
        app.unlisten(first)
        await settle()
        assert told == ["started"]
        await runtime.stop()
        assert told == ["started", "stopped"]

    run(main())


def test_services_and_factories_are_ready_before_the_first_client_is_let_in(run):
    told = []

    class First(Keys):
        def started(self):
            told.append("factory")

        def build_protocol(self, addr):
            told.append("client")
            return super().build_protocol(addr)

    class Before(Service):
        async def start(self):
            await asyncio.sleep(0.01)
            told.append("service")

    async def main():
        app = Application("order")
        app.listenTCP(0, First(), "127.0.0.1")
        app.addService(Before("b"))
        sockets = bind_plan([{"kind": "tcp", "interface": "127.0.0.1", "port": 0}])
        port = sockets.bound[0].addresses()[0][1]
        runtime = Runtime(app, sockets=sockets)
        client = asyncio.ensure_future(ask(port))
        await runtime.start()
        assert await client == b"0\n"
        await runtime.stop()

    run(main())
    assert told == ["service", "factory", "client"]


def test_listeners_come_and_go_while_the_application_runs(run):
    async def main():
        app = Application("late")
        runtime = Runtime(app)
        await runtime.start()
        port = free_port()
        listener = app.listenTCP(port, Keys(), "127.0.0.1")
        assert await ask(port) == b"0\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b"1\n"
        app.unlisten(listener)
        assert app.listeners == []
        await until(lambda: not runtime.addresses)
        await settle()
        with pytest.raises(ConnectionRefusedError):
            await ask(port)
        writer.close()
        await runtime.stop()

    run(main())


def test_a_busy_port_fails_the_statement_and_the_application_goes_on(run):
    async def main():
        app = Application("busy")
        app.listenTCP(0, Keys(), "127.0.0.1")
        runtime = Runtime(app)
        await runtime.start()
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(AddressError, match=f"port {port} on 127.0.0.1: address already in use"):
                app.listenTCP(port, Keys(), "127.0.0.1")
        assert len(app.listeners) == 1
        assert await ask(port_of(runtime)) == b"0\n"
        await runtime.stop()

    run(main())


def test_a_start_that_fails_leaves_nothing_open(run):
    class Broken(Keys):
        def started(self):
            raise LookupError("no templates")

    async def main():
        app = Application("broken")
        ports = [free_port() for _ in range(3)]
        app.listenTCP(ports[0], Keys(), "127.0.0.1")
        app.listenTCP(ports[1], Broken(), "127.0.0.1")
        sockets = bind_plan([{"kind": "tcp", "interface": "127.0.0.1", "port": port} for port in ports])
        runtime = Runtime(app, sockets=sockets)
        with pytest.raises(LookupError):
            await runtime.start()
        assert await runtime.wait_stopped() == 70
        for port in ports:
            with pytest.raises(ConnectionRefusedError):
                await ask(port)

    run(main())


@pytest.mark.parametrize("turns", range(6))
def test_a_stop_that_comes_when_clients_are_let_in_ends_a_start_that_succeeded(run, turns):
    async def main():
        app = Application("served")
        app.listenTCP(free_port(), Keys(), "127.0.0.1")
        app.listenTCP(free_port(), Keys(), "127.0.0.1")
        runtime = Runtime(app)
        starting = asyncio.ensure_future(runtime.start())
        while not runtime.doors.is_accepting:
            await asyncio.sleep(0)
        await settle(turns)
        await runtime.stop("a signal")
        await starting
        assert await runtime.wait_stopped() == 0

    run(main())


@pytest.mark.parametrize("turns", range(20))
def test_a_start_that_is_stopped_at_any_turn_leaves_no_listener_behind(run, turns):
    async def main():
        port = free_port()
        app = Application("hasty")
        app.listenTCP(port, Keys(), "127.0.0.1")
        app.listenUDP(port, asyncio.DatagramProtocol, "127.0.0.1")
        runtime = Runtime(app)
        starting = asyncio.ensure_future(runtime.start())
        await settle(turns)
        await runtime.stop()
        with suppress(TaphouseError):
            await starting
        with pytest.raises(ConnectionRefusedError):
            await ask(port)
        try_port("udp", "127.0.0.1", port)
        again = Runtime(app)
        await again.start()
        assert await ask(port) == b"0\n"
        await again.stop()

    run(main())


def test_an_application_runs_once_at_a_time(run_fast):
    async def main():
        app = Application("once")
        runtime = Runtime(app)
        await runtime.start()
        with pytest.raises(InternalError, match="application once is running already"):
            await Runtime(app).start()
        assert app.is_running
        await runtime.stop()
        again = Runtime(app)
        await again.start()
        await again.stop()

    run_fast(main())


def test_connections_are_a_live_view_of_a_factory_s_protocols(run):
    async def main():
        app = Application("view")
        factory = Factory()
        factory.protocol = Echo
        app.listenTCP(0, factory, "127.0.0.1")
        runtime = Runtime(app)
        await runtime.start()
        streams = [await asyncio.open_connection("127.0.0.1", port_of(runtime)) for _ in range(3)]
        await until(lambda: len(factory.connections) == 3)
        for protocol in factory.connections:
            assert isinstance(protocol, Echo)
            assert isinstance(protocol.transport, Connection)
            assert protocol.factory is factory
            assert protocol in factory.connections
            protocol.transport.write(b"to all")
        for reader, _ in streams:
            assert await reader.readexactly(6) == b"to all"
        streams[0][1].close()
        await until(lambda: len(factory.connections) == 2)
        assert Echo() not in factory.connections
        for _, writer in streams:
            writer.close()
        await until(lambda: not factory.connections)
        await runtime.stop()

    run(main())


def test_a_protocol_that_is_refused_hangs_up(run):
    class Picky(Keys):
        def build_protocol(self, addr):
            return None

    async def main():
        app = Application("picky")
        app.listenTCP(0, Picky(), "127.0.0.1")
        runtime = Runtime(app)
        await runtime.start()
        with pytest.raises(ConnectionResetError):
            await ask(port_of(runtime))
        assert runtime.statistics().connections == 0
        await runtime.stop()

    run(main())


def test_one_connection_too_many_is_turned_away_and_room_comes_back(run, caplog):
    async def main():
        app = Application("full")
        app.listenTCP(0, Echo, "127.0.0.1")
        runtime = Runtime(app, limits=Limits(max_connections=2))
        await runtime.start()
        port = port_of(runtime)
        streams = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        await until(lambda: runtime.statistics().connections == 2)
        with pytest.raises(ConnectionResetError):
            await ask(port, b"x")
        assert runtime.statistics().refused == 1
        streams[0][1].close()
        await until(lambda: runtime.statistics().connections == 1)
        assert await ask(port, b"x") == b"x"
        streams[1][1].close()
        await runtime.stop()

    run(main())
    assert "turned away 1 connection: max-connections is 2" in caplog.text


def test_one_client_cannot_take_all_the_room(run, caplog):
    async def main():
        app = Application("fair")
        app.listenTCP(0, Echo, "127.0.0.1")
        runtime = Runtime(app, limits=Limits(max_connections_per_client=1))
        await runtime.start()
        port = port_of(runtime)
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        await until(lambda: runtime.statistics().connections == 1)
        with pytest.raises(ConnectionResetError):
            await ask(port, b"x")
        assert await ask(port, b"x", local_addr=("127.0.0.2", 0)) == b"x"
        writer.close()
        await until(lambda: runtime.statistics().connections == 0)
        assert await ask(port, b"x") == b"x"
        await runtime.stop()

    run(main())
    assert "max-connections-per-client is 1, for 127.0.0.1" in caplog.text


def test_an_idle_connection_is_closed_and_a_busy_one_is_not(run):
    async def main():
        clock = JumpingClock()
        app = Application("idle")
        app.listenTCP(0, Echo, "127.0.0.1")
        runtime = Runtime(app, clock=clock, limits=Limits(idle_timeout_s=60))
        await runtime.start()
        idle = await asyncio.open_connection("127.0.0.1", port_of(runtime))
        busy = await asyncio.open_connection("127.0.0.1", port_of(runtime))
        for _ in range(10):
            busy[1].write(b"x")
            assert await busy[0].readexactly(1) == b"x"
            await clock.jump(10)
        assert await idle[0].read() == b""
        busy[1].write(b"x")
        assert await busy[0].readexactly(1) == b"x"
        idle[1].close()
        busy[1].close()
        await until(lambda: not runtime.statistics().connections)
        await runtime.stop()

    run(main())


def test_a_stop_waits_for_connections_to_end_by_themselves(run):
    async def main():
        clock = JumpingClock()
        app = Application("drain")
        port = free_port()
        app.listenTCP(port, Lines(), "127.0.0.1")
        runtime = Runtime(app, clock=clock)
        await runtime.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"one\n")
        assert await reader.readline() == b"ONE\n"
        stopping = asyncio.ensure_future(runtime.stop())
        await until(lambda: not runtime.addresses)
        await settle()
        writer.write(b"two\n")
        assert await reader.readline() == b"TWO\n"
        with pytest.raises(ConnectionRefusedError):
            await ask(port)
        assert not stopping.done()
        writer.close()
        await stopping

    run(main())


def test_a_factory_is_told_when_its_connections_are_about_to_be_waited_for(run, caplog):
    class Polite(Factory):
        protocol = Echo

        def draining(self):
            self._v_seen = (len(self.connections), sorted(self._v_runtime.addresses))
            for protocol in self.connections:
                protocol.transport.write(b"bye\n")
                protocol.transport.close()

    class Rude(Lines):
        def draining(self):
            raise ValueError("rude")

    async def main():
        app = Application("polite")
        polite = Polite()
        app.listenTCP(0, polite, "127.0.0.1", name="polite")
        app.listenTCP(0, Rude(), "127.0.0.1", name="rude")
        runtime = Runtime(app, clock=JumpingClock())
        polite._v_runtime = runtime
        await runtime.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(runtime))
        writer.write(b"one\n")
        assert await reader.readline() == b"one\n"
        await runtime.stop()
        assert await reader.read() == b"bye\n"
        assert polite._v_seen == (1, [])
        writer.close()

    run(main())
    assert any("draining() failed" in record.message for record in caplog.records)


def test_a_second_stop_shortens_the_wait(run):
    async def main():
        clock = JumpingClock()
        app = Application("hurry")
        app.listenTCP(0, Lines(), "127.0.0.1")
        runtime = Runtime(app, clock=clock, limits=Limits(drain_s=3600, hurried_drain_s=5))
        await runtime.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(runtime))
        writer.write(b"one\n")
        await reader.readline()
        stopping = asyncio.ensure_future(runtime.stop())
        await settle()
        await clock.jump(100)
        assert not stopping.done()
        again = asyncio.ensure_future(runtime.stop())
        await settle()
        await clock.jump(5)
        await asyncio.gather(stopping, again)
        assert await reader.read() == b""
        writer.close()

    run(main())


def test_the_log_tells_what_the_howto_tells(run, caplog):
    caplog.set_level(logging.INFO)

    async def main():
        app = Application("howto")
        app.listenTCP(0, Keys(), "127.0.0.1")
        runtime = Runtime(app)
        await runtime.start()
        port = port_of(runtime)
        await runtime.stop("of SIGTERM")
        return port

    port = run(main())
    assert caplog.messages == [
        f"{__name__}.Keys starting on {port}",
        "Starting factory <Keys#1>",
        "stopping because of SIGTERM",
        f"(Port {port} Closed)",
        "Stopping factory <Keys#1>",
    ]


def test_log_lines_know_on_whose_behalf_they_are_written(run):
    seen = {}

    class Telling(Protocol):
        def connection_made(self, transport):
            seen["made"] = current_context()

        def data_received(self, data):
            seen["received"] = current_context()
            self.transport.close()

        def connection_lost(self, exc):
            seen["lost"] = current_context()

    class Tellers(Factory):
        protocol = Telling

        def started(self):
            seen["started"] = current_context()

    class Serving(Factory):
        async def serve(self, reader, writer):
            await reader.read()
            seen["served"] = current_context()

    class Ticking(Service):
        async def run(self):
            seen["run"] = current_context()

    async def main():
        app = Application("ctx")
        app.listenTCP(0, Tellers(), "127.0.0.1")
        app.listenTCP(0, Serving(), "127.0.0.1")
        app.addService(Ticking())
        runtime = Runtime(app)
        await runtime.start()
        first, second = (address[1] for address in runtime.addresses["tcp:127.0.0.1:0"])
        await ask(first, b"x")
        await ask(second, b"x")
        seen["outside"] = current_context()
        await runtime.stop()

    run(main())
    assert seen == {
        "started": "*ctx*",
        "run": "*ctx*",
        "made": "Tellers,1,127.0.0.1",
        "received": "Tellers,1,127.0.0.1",
        "lost": "Tellers,1,127.0.0.1",
        "served": "Serving,1,127.0.0.1",
        "outside": "-",
    }


def test_ready_is_told_when_it_begins_and_when_it_ends(run_fast):
    async def main():
        told = []
        runtime = Runtime(Application("ready"), on_ready=told.append)
        await runtime.start()
        await runtime.stop()
        assert told == [True, False]

    run_fast(main())


@contextmanager
def polled_descriptors():
    """Say whether the running loop looks at a socket; what that takes is opened here, when there is room."""
    loop = asyncio.get_running_loop()
    polling = loop._get_backend_id() if hasattr(loop, "_get_backend_id") else loop._selector.fileno()
    with open(f"/proc/self/fdinfo/{polling}") as seen:

        def polled(sock):
            seen.seek(0)
            inode = f" ino:{os.fstat(sock.fileno()).st_ino:x} "
            return any(inode in line for line in seen.read().splitlines())

        yield polled


def test_running_out_of_descriptors_neither_spins_nor_floods_the_log_and_is_over_when_there_are_some(
    run, caplog
):
    async def main():
        app = Application("starving")
        app.listenTCP(0, Echo, "127.0.0.1")
        runtime = Runtime(app, limits=Limits(max_connections=10_000))
        await runtime.start()
        port = port_of(runtime)
        listening = listening_socket(runtime)
        clients = [socket.socket() for _ in range(8)]
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        lowest_free = os.open(os.devnull, os.O_RDONLY)
        os.close(lowest_free)
        with polled_descriptors() as polled:
            await until(lambda: polled(listening))
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free + 3, hard))
            try:
                for client in clients:
                    client.connect(("127.0.0.1", port))
                wait_queued(listening, 8)
                await until(lambda: runtime.statistics().connections)
                # Either the loop looks away for a while, or it has sent away those it could not take.
                await until(lambda: not queued(listening) or not polled(listening))
                assert 0 < runtime.statistics().connections < 8
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for client in clients:
            client.close()
        assert await ask(port, b"x") == b"x"
        await runtime.stop()

    run(main())
    assert len(caplog.records) < 10


def test_the_backlog_is_the_listener_s_own():
    bound = bind_listener({"kind": "tcp", "interface": "127.0.0.1", "port": 0, "backlog": 7})
    assert bound.backlog == 7
    bound.close()
