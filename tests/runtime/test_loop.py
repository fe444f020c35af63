"""Everything a loop of ours makes passes through our connections, and stays what asyncio promises."""

from __future__ import annotations

import asyncio
import gc
import io
import os
import socket
import ssl
import weakref

import pytest

from taphouse.errors import ConfigurationError
from taphouse.runtime import (
    Connection,
    Owner,
    loop_name,
    make_client_context,
    make_loop,
    make_server_context,
)
from taphouse.runtime.datagrams import Endpoint

pytestmark = pytest.mark.process


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


class Collect(asyncio.Protocol):
    """Gathers what arrives until ``wanted`` bytes or the end are there."""

    def __init__(self, wanted=1 << 60):
        self.data = b""
        self.wanted = wanted
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.data += data
        if len(self.data) >= self.wanted and not self.done.done():
            self.done.set_result(None)

    def connection_lost(self, exc):
        self.exc = exc
        if not self.done.done():
            self.done.set_result(None)


async def listen(factory, **options):
    server = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0, **options)
    return server, server.sockets[0].getsockname()[1]


async def connect(port, wanted=1 << 60, **options):
    protocol = Collect(wanted)
    loop = asyncio.get_running_loop()
    transport, returned = await loop.create_connection(lambda: protocol, "127.0.0.1", port, **options)
    assert returned is protocol
    return transport, protocol


async def until(condition):
    while not condition():
        await asyncio.sleep(0.001)


def test_both_ends_get_our_connection_and_their_own_protocol(run):
    async def main():
        made = []

        def factory():
            made.append(Echo())
            return made[-1]

        server, port = await listen(factory)
        transport, client = await connect(port, wanted=5)
        assert isinstance(transport, Connection)
        assert client.transport is transport
        transport.write(b"hel")
        transport.writelines([b"l", b"o"])
        await client.done
        assert client.data == b"hello"
        assert isinstance(made[0].transport, Connection)
        assert made[0].transport.get_protocol() is made[0]
        transport.close()
        server.close()

    run(main())


def test_a_read_goes_to_the_protocol_without_a_call_of_ours(run):
    async def main():
        frames = []

        class Nosy(Echo):
            def data_received(self, data):
                import sys

                frame = sys._getframe(1)
                while frame is not None:
                    frames.append(frame.f_code.co_filename)
                    frame = frame.f_back
                self.transport.close()

        server, port = await listen(Nosy)
        transport, client = await connect(port)
        transport.write(b"x")
        await client.done
        assert not [name for name in frames if f"taphouse{os.sep}runtime" in name]
        server.close()

    run(main())


def test_the_end_of_a_connection_is_told_once_and_leaves_no_ring_behind(run):
    async def main():
        told, refs = [], []

        class Once(Echo):
            def connection_made(self, transport):
                super().connection_made(transport)
                refs.append(weakref.ref(self))

            def connection_lost(self, exc):
                told.append(exc)

        server, port = await listen(Once)
        transport, client = await connect(port)
        gc.collect()
        gc.disable()
        try:
            transport.close()
            await client.done
            await until(lambda: told)
            await asyncio.sleep(0)
            await until(lambda: refs[0]() is None)
        finally:
            gc.enable()
        assert told == [None]
        assert not asyncio.get_running_loop().guests.live
        server.close()

    run(main())


def test_a_protocol_that_was_swapped_is_the_one_that_is_told_of_the_end(run):
    async def main():
        told = []

        class Second(Echo):
            def data_received(self, data):
                self.transport.write(b"second " + data)

            def connection_lost(self, exc):
                told.append("second")

        class First(Echo):
            def data_received(self, data):
                second = Second()
                second.connection_made(self.transport)
                self.transport.set_protocol(second)
                self.transport.write(b"first " + data)

            def connection_lost(self, exc):
                told.append("first")

        server, port = await listen(First)
        transport, client = await connect(port, wanted=7)
        transport.write(b"a")
        await client.done
        client.done, client.wanted = asyncio.get_running_loop().create_future(), 15
        transport.write(b"b")
        await client.done
        assert client.data == b"first asecond b"
        transport.close()
        await until(lambda: told)
        assert told == ["second"]
        server.close()

    run(main())


def test_a_protocol_that_lends_its_buffer_gets_every_byte(run):
    async def main():
        class Lender(asyncio.BufferedProtocol):
            def connection_made(self, transport):
                self.transport = transport
                self.buffer = bytearray(7)

            def get_buffer(self, sizehint):
                return self.buffer

            def buffer_updated(self, count):
                self.transport.write(bytes(self.buffer[:count]))

        server, port = await listen(Lender)
        data = os.urandom(1000)
        transport, client = await connect(port, wanted=1000)
        transport.write(data)
        await client.done
        assert client.data == data
        transport.close()
        server.close()

    run(main())


def test_a_protocol_that_cannot_begin_drops_its_connection_at_once(run, caplog):
    async def main():
        class Broken(Echo):
            def connection_made(self, transport):
                raise LookupError("no such thing")

        server, port = await listen(Broken)
        _, client = await connect(port)
        await client.done
        server.close()

    run(main())
    assert "connection_made failed" in caplog.text


def test_a_reset_is_seen_as_a_reset(run):
    async def main():
        class Rude(Echo):
            def data_received(self, data):
                self.transport.reset()

        server, port = await listen(Rude)
        transport, client = await connect(port)
        transport.write(b"x")
        await client.done
        assert isinstance(client.exc, ConnectionResetError)
        server.close()

    run(main())


def test_streams_work_on_top(run):
    async def main():
        async def handler(reader, writer):
            assert isinstance(writer.transport, Connection)
            writer.write(await reader.readline())
            await writer.drain()
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(handler, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
        writer.write(b"line\n")
        writer.write_eof()
        assert await reader.read() == b"line\n"
        writer.close()
        await writer.wait_closed()
        server.close()

    run(main())


def test_unix_sockets_pass_through_as_well(run, tmp_path):
    async def main():
        path = str(tmp_path / "s")
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(Echo, path)
        client = Collect(2)
        transport, _ = await loop.create_unix_connection(lambda: client, path)
        assert isinstance(transport, Connection)
        transport.write(b"hi")
        await client.done
        transport.close()
        server.close()

    run(main())


def test_datagrams_pass_through_as_well(run):
    async def main():
        class Answer(asyncio.DatagramProtocol):
            def connection_made(self, transport):
                self.transport = transport

            def datagram_received(self, data, addr):
                self.transport.sendto(data.upper(), addr)

        class Ask(asyncio.DatagramProtocol):
            def __init__(self):
                self.answer = asyncio.get_running_loop().create_future()

            def datagram_received(self, data, addr):
                self.answer.set_result(data)

        loop = asyncio.get_running_loop()
        server, protocol = await loop.create_datagram_endpoint(Answer, ("127.0.0.1", 0))
        assert isinstance(server, Endpoint)
        assert isinstance(protocol, Answer)
        assert protocol.transport is server
        remote = server.get_extra_info("sockname")
        client, ask = await loop.create_datagram_endpoint(Ask, remote_addr=remote)
        client.sendto(b"question")
        assert await ask.answer == b"QUESTION"
        client.close()
        server.close()

    run(main())


def test_tls_from_the_start(run, certfile, keyfile):
    async def main():
        server, port = await listen(Echo, ssl=make_server_context(certfile, keyfile))
        context = make_client_context(certfile)
        transport, client = await connect(port, wanted=6, ssl=context, server_hostname="localhost")
        transport.write(b"secret")
        await client.done
        assert client.data == b"secret"
        assert transport.get_extra_info("ssl_object") is not None
        transport.close()
        await client.done
        server.close()
        await until(lambda: not asyncio.get_running_loop().guests.live)

    run(main())


def test_tls_in_the_middle_of_a_connection(run, certfile, keyfile):
    async def main():
        server_context, lost = make_server_context(certfile, keyfile), []

        class StartTls(Echo):
            def connection_made(self, transport):
                super().connection_made(transport)
                self.count = 0

            def data_received(self, data):
                if data == b"STARTTLS":
                    self.transport.write(b"GO")
                    self.task = asyncio.get_running_loop().create_task(self.secure())
                else:
                    self.transport.write(b"tls:" + data)

            async def secure(self):
                loop = asyncio.get_running_loop()
                self.transport = await loop.start_tls(self.transport, self, server_context, server_side=True)

            def connection_lost(self, exc):
                lost.append(self)

        server, port = await listen(StartTls)
        transport, client = await connect(port, wanted=2)
        transport.write(b"STARTTLS")
        await client.done
        loop = asyncio.get_running_loop()
        client.done, client.wanted, client.data = loop.create_future(), 9, b""
        secured = await loop.start_tls(
            transport, client, make_client_context(certfile), server_hostname="localhost"
        )
        assert isinstance(secured, Connection)
        secured.write(b"hello")
        await client.done
        assert client.data == b"tls:hello"
        secured.close()
        await until(lambda: lost and not loop.guests.live)
        server.close()

    run(main())


def test_stream_writers_can_start_tls(run, certfile, keyfile):
    async def main():
        context = make_server_context(certfile, keyfile)

        async def handler(reader, writer):
            await reader.readline()
            writer.write(b"go\n")
            await writer.drain()
            await writer.start_tls(context)
            writer.write(await reader.readline())
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(handler, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
        writer.write(b"starttls\n")
        assert await reader.readline() == b"go\n"
        await writer.start_tls(make_client_context(certfile), server_hostname="localhost")
        writer.write(b"secret\n")
        assert await reader.readline() == b"secret\n"
        writer.close()
        server.close()

    run(main())


def test_a_certificate_for_another_host_is_refused(run, certfile, keyfile):
    async def main():
        server, port = await listen(Echo, ssl=make_server_context(certfile, keyfile))
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect(port, ssl=make_client_context(certfile), server_hostname="example.org")
        server.close()

    run(main())


def test_a_file_is_sent_whole_to_a_peer_that_reads_slowly(run):
    content = os.urandom(3_000_000)

    async def main():
        sent = asyncio.get_running_loop().create_future()

        class Sender(Echo):
            def data_received(self, data):
                self.task = asyncio.get_running_loop().create_task(self.send())

            async def send(self):
                loop = asyncio.get_running_loop()
                count = await loop.sendfile(self.transport, io.BytesIO(content), 10, 2_500_000)
                assert self.transport.get_protocol() is self
                sent.set_result(count)
                self.transport.close()

        server, port = await listen(Sender)
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1000)
        writer.write(b"please")
        received = await reader.read(-1)
        assert await sent == 2_500_000
        assert received == content[10 : 10 + 2_500_000]
        writer.close()
        server.close()

    run(main())


def test_a_file_to_a_peer_that_vanishes_is_an_error_and_the_protocol_is_told(run):
    async def main():
        result = asyncio.get_running_loop().create_future()
        told = []

        class Sender(Echo):
            def data_received(self, data):
                self.task = asyncio.get_running_loop().create_task(self.send())

            async def send(self):
                loop = asyncio.get_running_loop()
                try:
                    await loop.sendfile(self.transport, io.BytesIO(bytes(50_000_000)))
                except ConnectionError as error:
                    result.set_result(error)

            def connection_lost(self, exc):
                told.append(exc)

        server, port = await listen(Sender)
        sock = socket.create_connection(("127.0.0.1", port))
        sock.send(b"please")
        await asyncio.get_running_loop().run_in_executor(None, sock.recv, 1)
        sock.close()
        await result
        await until(lambda: told)
        assert len(told) == 1
        server.close()

    run(main())


def test_a_busy_connection_is_not_lost_from_the_books_when_accepted_elsewhere(run):
    async def main():
        loop = asyncio.get_running_loop()
        left, right = socket.socketpair()
        transport, protocol = await loop.connect_accepted_socket(Echo, left)
        assert isinstance(transport, Connection)
        assert transport in loop.guests.live
        right.close()
        await until(lambda: not loop.guests.live)
        assert isinstance(protocol, Echo)

    run(main())


def test_an_unknown_reactor_is_refused_with_the_names_there_are():
    with pytest.raises(ConfigurationError, match="reactor 'glade' is not known; use auto, uvloop or asyncio"):
        make_loop("glade")


@pytest.mark.parametrize("kind", ["uvloop", "asyncio"])
def test_a_loop_says_its_name_and_version(kind):
    loop = make_loop(kind)
    assert loop_name(loop).startswith(f"{kind} ")
    loop.close()


def test_an_owner_counts_in_and_out():
    owner = Owner()
    connection = Connection(owner, asyncio.Protocol())
    owner.admit(connection)
    assert list(owner.live) == [connection]
    owner.lost(connection, None)
    owner.lost(connection, None)
    assert not owner.live
