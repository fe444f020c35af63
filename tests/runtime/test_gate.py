"""No byte leaves before the state it may depend on is on disk, and what may leave does at once."""

from __future__ import annotations

import asyncio
import socket

import pytest
from gatebench import GateBench

from playground import PATIENCE_S
from taphouse.errors import StorageError
from taphouse.runtime import Connection, make_client_context, make_server_context

pytestmark = pytest.mark.process


class Peer:
    """The other end: a plain socket that never blocks, so that silence can be seen."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        sock.setblocking(False)

    def got(self) -> bytes | None:
        """Return what has arrived, b"" after the end, None if there is nothing."""
        try:
            return self.sock.recv(1 << 20)
        except BlockingIOError:
            return None

    async def wait(self) -> bytes:
        """Return what arrives next."""
        return await asyncio.get_running_loop().run_in_executor(None, self._blocking)

    def _blocking(self) -> bytes:
        self.sock.setblocking(True)
        self.sock.settimeout(PATIENCE_S)
        try:
            return self.sock.recv(1 << 20)
        finally:
            self.sock.setblocking(False)


class Recorder(asyncio.Protocol):
    def __init__(self) -> None:
        self.received = b""
        self.events: list[str] = []

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.received += data

    def eof_received(self):
        self.events.append("eof")

    def pause_writing(self):
        self.events.append("pause")

    def resume_writing(self):
        self.events.append("resume")

    def connection_lost(self, exc):
        self.events.append("lost")


async def turns(count: int = 5) -> None:
    """Let the loop poll and call for some turns: what is not kept has left by then."""
    for _ in range(count):
        await asyncio.sleep(0)


async def gated() -> tuple[GateBench, Connection, Recorder, Peer]:
    loop = asyncio.get_running_loop()
    bench = GateBench()
    loop.use_gate(bench.epochs)
    ours, theirs = socket.socketpair()
    transport, protocol = await loop.connect_accepted_socket(Recorder, ours)
    return bench, transport, protocol, Peer(theirs)


async def finish(transport: Connection, peer: Peer) -> None:
    transport.abort()
    peer.sock.close()
    await turns()


def test_output_without_a_change_leaves_at_once(run):
    async def main():
        bench, transport, _, peer = await gated()
        transport.write(b"hello")
        assert await peer.wait() == b"hello"
        assert not bench.landings
        await finish(transport, peer)

    run(main())


def test_a_reply_waits_for_the_commit_of_what_it_may_depend_on(run):
    async def main():
        bench, transport, _, peer = await gated()
        bench.counter.n = 1
        transport.write(b"one")
        assert transport.get_write_buffer_size() == 3
        await turns()
        assert peer.got() is None
        bench.land()
        assert await peer.wait() == b"one"
        assert transport.get_write_buffer_size() == 0
        await finish(transport, peer)

    run(main())


def test_a_commit_without_waiting_lets_go_in_the_same_turn(run):
    async def main():
        bench, transport, _, peer = await gated()
        bench.is_inline = True
        bench.counter.n = 1
        transport.write(b"one")
        assert bench.committed == []
        assert await peer.wait() == b"one"
        assert bench.committed == [1]
        assert not bench.epochs.closed
        await finish(transport, peer)

    run(main())


def test_what_is_written_while_a_commit_is_in_flight_waits_for_the_next_change_only_if_there_is_one(run):
    async def main():
        bench, transport, _, peer = await gated()
        bench.counter.n = 1
        transport.write(b"a")
        await turns()
        transport.write(b"b")  # may have seen what is in flight
        await turns()
        assert peer.got() is None
        bench.land()
        data = await peer.wait()
        while data != b"ab":
            data += await peer.wait()
        assert not bench.landings, "nothing had changed, so nothing was committed for it"
        await finish(transport, peer)

    run(main())


def test_what_changed_while_a_commit_was_in_flight_keeps_its_replies_until_it_has_landed_itself(run):
    async def main():
        bench, transport, _, peer = await gated()
        bench.counter.n = 1
        transport.write(b"a")
        await turns()
        bench.counter.n = 2
        transport.write(b"b")
        bench.land()
        assert await peer.wait() == b"a"
        await turns()
        assert peer.got() is None, "b left before the second commit"
        bench.land()
        assert await peer.wait() == b"b"
        assert bench.committed == [1, 2]
        await finish(transport, peer)

    run(main())


def test_a_reply_of_another_connection_that_saw_uncommitted_state_waits_as_well(run):
    async def main():
        bench, transport, _, peer = await gated()
        ours, theirs = socket.socketpair()
        other, _ = await asyncio.get_running_loop().connect_accepted_socket(Recorder, ours)
        other_peer = Peer(theirs)
        bench.counter.n = 1
        other.write(b"%d" % bench.counter.n)
        await turns()
        assert other_peer.got() is None
        bench.land()
        assert await other_peer.wait() == b"1"
        await finish(other, other_peer)
        await finish(transport, peer)

    run(main())


def test_the_end_of_a_stream_is_output(run):
    async def main():
        bench, transport, protocol, peer = await gated()
        bench.counter.n = 1
        transport.write(b"bye")
        transport.close()
        assert transport.is_closing()
        transport.write(b"too late")
        peer.sock.send(b"nobody reads this")
        await turns()
        assert peer.got() is None
        bench.land()
        assert await peer.wait() == b"bye"
        assert await peer.wait() == b""
        await turns()
        assert protocol.received == b""
        assert protocol.events == ["lost"]
        peer.sock.close()

    run(main())


def test_a_half_close_waits_and_keeps_its_place(run):
    async def main():
        bench, transport, _, peer = await gated()
        bench.counter.n = 1
        transport.writelines([b"last ", b"words"])
        transport.write_eof()
        await turns()
        assert peer.got() is None
        bench.land()
        assert await peer.wait() == b"last words"
        assert await peer.wait() == b""
        await finish(transport, peer)

    run(main())


def test_a_peer_that_ends_its_side_still_gets_the_reply_that_waited(run):
    async def main():
        bench, transport, protocol, peer = await gated()
        bench.counter.n = 1
        transport.write(b"reply")
        peer.sock.shutdown(socket.SHUT_WR)
        while not protocol.events:
            await turns()
        assert protocol.events == ["eof"]
        await turns()
        assert peer.got() is None
        bench.land()
        assert await peer.wait() == b"reply"
        assert await peer.wait() == b""
        peer.sock.close()
        await turns()

    run(main())


def test_an_abort_never_waits_and_what_was_kept_is_gone(run):
    async def main():
        bench, transport, protocol, peer = await gated()
        bench.counter.n = 1
        transport.write(b"never")
        transport.abort()
        assert await peer.wait() == b""
        await turns()
        bench.land()
        await turns()
        assert protocol.events == ["lost"]
        peer.sock.close()

    run(main())


def test_a_failed_commit_drops_what_waited_and_the_gate_stays_shut(run):
    async def main():
        bench, transport, _, peer = await gated()
        bench.counter.n = 1
        transport.write(b"lost change")
        await turns()
        transport.write(b"a later one")
        bench.landings.pop().set_exception(StorageError("disk is gone"))
        await turns()
        assert [str(failure) for failure in bench.failures] == ["disk is gone"]
        transport.write(b"and later still")
        await turns()
        assert peer.got() is None
        await finish(transport, peer)

    run(main())


def test_kept_replies_count_for_flow_control_and_stop_the_reading(run):
    async def main():
        bench, transport, protocol, peer = await gated()
        transport.set_write_buffer_limits(high=1000)
        bench.counter.n = 1
        transport.write(b"x" * 600)
        assert protocol.events == []
        transport.write(b"x" * 600)
        assert protocol.events == ["pause"]
        peer.sock.send(b"more, please")
        await turns(20)
        assert protocol.received == b""
        bench.land()
        data = b""
        while len(data) < 1200:
            data += await peer.wait()
        while protocol.received != b"more, please":
            await turns()
        assert protocol.events == ["pause", "resume"]
        await finish(transport, peer)

    run(main())


def test_a_user_who_paused_reading_stays_paused_when_kept_replies_have_left(run):
    async def main():
        bench, transport, protocol, peer = await gated()
        transport.set_write_buffer_limits(high=10)
        transport.pause_reading()
        bench.counter.n = 1
        transport.write(b"x" * 20)
        await turns()
        bench.land()
        assert await peer.wait() == b"x" * 20
        peer.sock.send(b"question")
        await turns(20)
        assert protocol.received == b""
        transport.resume_reading()
        while not protocol.received:
            await turns()
        await finish(transport, peer)

    run(main())


def test_datagrams_wait_too(run):
    async def main():
        loop = asyncio.get_running_loop()
        bench = GateBench()
        loop.use_gate(bench.epochs)
        theirs = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        theirs.bind(("127.0.0.1", 0))
        peer = Peer(theirs)
        endpoint, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, remote_addr=theirs.getsockname()
        )
        endpoint.sendto(b"free")
        assert await peer.wait() == b"free"
        bench.counter.n = 1
        endpoint.sendto(b"first")
        endpoint.sendto(b"second")
        endpoint.close()
        assert endpoint.is_closing()
        await turns()
        assert peer.got() is None
        bench.land()
        assert [await peer.wait(), await peer.wait()] == [b"first", b"second"]
        theirs.close()
        await turns()

    run(main())


def test_sending_on_a_bare_socket_waits_too(run):
    async def main():
        loop = asyncio.get_running_loop()
        bench, transport, _, peer = await gated()
        left, right = socket.socketpair()
        left.setblocking(False)
        other = Peer(right)
        bench.counter.n = 1
        sending = asyncio.ensure_future(loop.sock_sendall(left, b"raw"))
        await turns(10)
        assert other.got() is None
        while not sending.done():
            if bench.landings:
                bench.land()
            await turns()
        assert await other.wait() == b"raw"
        left.close()
        right.close()
        await finish(transport, peer)

    run(main())


def test_under_tls_the_plain_text_waits(run, certfile, keyfile):
    async def main():
        loop = asyncio.get_running_loop()
        bench = GateBench()
        loop.use_gate(bench.epochs)
        made = []

        def factory():
            made.append(Recorder())
            return made[-1]

        server = await loop.create_server(factory, "127.0.0.1", 0, ssl=make_server_context(certfile, keyfile))
        port = server.sockets[0].getsockname()[1]
        context = make_client_context(certfile)
        answers: asyncio.Queue[bytes] = asyncio.Queue()

        def ask() -> None:
            with (
                socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as plain,
                context.wrap_socket(plain, server_hostname="localhost") as secure,
            ):
                secure.sendall(b"?")
                loop.call_soon_threadsafe(answers.put_nowait, secure.recv(100))

        asking = loop.run_in_executor(None, ask)
        while not made or not made[0].received:
            await turns()
        bench.counter.n = 1
        made[0].transport.write(b"secret")
        await turns(20)
        assert answers.empty()
        bench.land()
        assert await answers.get() == b"secret"
        await asking
        server.close()
        while "lost" not in made[0].events:
            await turns()

    run(main())


def test_starttls_in_the_middle_of_a_stream_comes_after_the_words_that_announce_it(run, certfile, keyfile):
    async def main():
        loop = asyncio.get_running_loop()
        bench = GateBench()
        loop.use_gate(bench.epochs)
        server_context, client_context = make_server_context(certfile, keyfile), make_client_context(certfile)
        upgraded = asyncio.Event()

        class Mail(Recorder):
            def data_received(self, data):
                super().data_received(data)
                if data == b"STARTTLS":
                    bench.counter.n += 1
                    self.transport.write(b"220 go ahead")
                    self.task = asyncio.ensure_future(self.upgrade())
                else:
                    self.transport.write(b"250 " + data)

            async def upgrade(self):
                await loop.start_tls(self.transport, self, server_context, server_side=True)
                upgraded.set()

        def ask(port: int) -> list[bytes]:
            with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as plain:
                plain.sendall(b"STARTTLS")
                said = [plain.recv(100)]
                with client_context.wrap_socket(plain, server_hostname="localhost") as secure:
                    secure.sendall(b"EHLO")
                    said.append(secure.recv(100))
            return said

        server = await loop.create_server(Mail, "127.0.0.1", 0)
        asking = loop.run_in_executor(None, ask, server.sockets[0].getsockname()[1])
        while not asking.done():
            if bench.landings:
                bench.land()
            await asyncio.sleep(0)
        assert await asking == [b"220 go ahead", b"250 EHLO"]
        assert upgraded.is_set()
        server.close()
        while loop.guests.live:
            await turns()

    run(main())


def test_streams_of_asyncio_drain_through_the_gate(run):
    async def main():
        loop = asyncio.get_running_loop()
        bench = GateBench()
        bench.is_inline = True
        loop.use_gate(bench.epochs)

        async def count(reader, writer):
            while await reader.readline():
                bench.counter.n += 1
                writer.write(b"%d\n" % bench.counter.n)
                await writer.drain()
            writer.close()

        server = await asyncio.start_server(count, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        for number in range(1, 4):
            writer.write(b"next\n")
            assert await reader.readline() == b"%d\n" % number
            assert bench.committed[-1] == number
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        server.close()
        while loop.guests.live:
            await turns()

    run(main())


def test_a_client_that_a_handler_opens_is_behind_the_gate_as_well(run):
    async def main():
        loop = asyncio.get_running_loop()
        bench = GateBench()
        loop.use_gate(bench.epochs)
        listening = socket.create_server(("127.0.0.1", 0))
        _, writer = await asyncio.open_connection(*listening.getsockname())
        peer = Peer(listening.accept()[0])
        bench.counter.n = 1
        writer.write(b"ordered: 1")
        await turns(20)
        assert peer.got() is None
        bench.land()
        assert await peer.wait() == b"ordered: 1"
        writer.transport.abort()
        peer.sock.close()
        listening.close()
        await turns()

    run(main())
