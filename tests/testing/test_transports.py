"""Connections in memory behave as a protocol may expect of real ones."""

from __future__ import annotations

import asyncio

import pytest

from taphouse.app import DatagramFactory, Factory, Protocol
from taphouse.testing import connect, open_datagrams, settle


class Echo(Protocol):
    def connection_made(self, transport):
        self.told = []
        assert self.transport is transport

    def data_received(self, data):
        self.transport.write(data)

    def pause_writing(self):
        self.told.append("pause")

    def resume_writing(self):
        self.told.append("resume")

    def connection_lost(self, exc):
        self.told.append(exc)


def test_what_is_sent_arrives_and_what_is_written_can_be_received():
    peer = connect(Echo)
    peer.send(b"one")
    peer.send(b"two")
    assert peer.receive() == b"onetwo"
    assert peer.receive() == b""


def test_a_protocol_knows_its_factory_and_its_peer():
    factory = Factory()
    factory.protocol = Echo
    peer = connect(factory, peername=("192.0.2.1", 9))
    assert peer.protocol.factory is factory
    assert peer.transport.get_extra_info("peername") == ("192.0.2.1", 9)


def test_the_end_is_told_once():
    peer = connect(Echo)
    peer.protocol.transport.close()
    peer.protocol.transport.close()
    peer.close()
    assert peer.protocol.told == [None]
    assert peer.is_closed
    with pytest.raises(ConnectionResetError):
        peer.send(b"x")


def test_a_peer_that_vanishes_says_why():
    peer = connect(Echo)
    error = ConnectionResetError("gone")
    peer.close(error)
    assert peer.protocol.told == [error]


def test_a_peer_that_stops_reading_pauses_the_server():
    peer = connect(Echo)
    peer.stop_reading()
    peer.stop_reading()
    peer.send(b"abc")
    assert peer.transport.get_write_buffer_size() == 3
    peer.read_again()
    assert peer.protocol.told == ["pause", "resume"]
    assert peer.receive() == b"abc"


def test_a_server_that_stops_reading_gets_the_rest_later():
    peer = connect(Echo)
    peer.transport.pause_reading()
    peer.send(b"later")
    assert peer.receive() == b""
    peer.transport.resume_reading()
    peer.flush()
    assert peer.receive() == b"later"


def test_an_aborted_connection_delivers_nothing():
    class Abort(Echo):
        def data_received(self, data):
            self.transport.write(b"lost")
            self.transport.abort()

    peer = connect(Abort)
    peer.send(b"x")
    assert peer.receive() == b""
    assert peer.transport.is_aborted


def test_nothing_can_be_written_after_the_end_of_writing():
    peer = connect(Echo)
    peer.transport.write_eof()
    with pytest.raises(RuntimeError):
        peer.transport.write(b"x")


def test_a_refused_connection_is_refused():
    class Picky(Factory):
        def build_protocol(self, addr):
            return None

    with pytest.raises(ConnectionRefusedError):
        connect(Picky())


def test_the_peer_may_end_its_side_first():
    peer = connect(Echo)
    peer.end()
    assert peer.protocol.told == [None]


def test_coroutines_are_served_in_a_loop():
    async def serve(reader, writer):
        writer.write((await reader.read()).upper())
        await writer.drain()

    async def main():
        peer = connect(serve)
        peer.send(b"hello")
        peer.end()
        await settle()
        assert peer.receive() == b"HELLO"

    asyncio.run(main())


def test_a_protocol_that_lends_its_buffer_gets_every_byte():
    class Lender(asyncio.BufferedProtocol):
        def connection_made(self, transport):
            self.buffer, self.got = bytearray(3), b""

        def get_buffer(self, sizehint):
            return self.buffer

        def buffer_updated(self, count):
            self.got += self.buffer[:count]

    peer = connect(Lender)
    peer.send(b"0123456789")
    assert peer.protocol.got == b"0123456789"


def test_datagrams_come_and_go_with_their_addresses():
    class Shout(DatagramFactory):
        def datagram_received(self, data, addr):
            return data.upper() if data else None

    port = open_datagrams(Shout())
    port.send(b"hi", ("192.0.2.1", 7))
    port.send(b"")
    assert port.sent == [(b"HI", ("192.0.2.1", 7))]
    port.close()
    port.send(b"ho")
    assert len(port.sent) == 1
