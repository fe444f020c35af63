"""The small services of the RFCs say what their RFC says."""

from __future__ import annotations

import asyncio
import itertools
import struct
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fake_wire import FakeLoop, FakePort, connect, fake_loop

from taphouse.app import Factory, begin_connection
from taphouse.protocols import (
    AnsweringUDP,
    Chargen,
    ChargenUDP,
    Daytime,
    DaytimeUDP,
    Discard,
    DiscardUDP,
    Echo,
    EchoUDP,
    QuoteOfTheDay,
    QuoteOfTheDayUDP,
    Quotes,
    Time,
    TimeUDP,
)

PEER = ("127.0.0.1", 40000)


@pytest.fixture
def loop() -> Iterator[FakeLoop]:
    with fake_loop() as loop:
        yield loop


def ask(protocol: asyncio.DatagramProtocol, data: bytes = b"", sender: Any = PEER) -> list[tuple[bytes, Any]]:
    """Send one datagram and return what is sent in answer."""
    port = FakePort()
    begin_connection(protocol, port)
    protocol.datagram_received(data, sender)
    return port.sent


def test_echo_sends_back_what_it_gets() -> None:
    """RFC 862: "data received is sent back"."""
    protocol, transport = connect(Echo())
    protocol.data_received(b"one")
    protocol.data_received(b"\0two")
    assert transport.sent == b"one\0two"
    assert ask(EchoUDP(), b"three") == [(b"three", PEER)]


def test_echo_does_not_read_from_a_peer_that_does_not() -> None:
    """Otherwise a client that only sends fills the server's memory."""
    protocol, transport = connect(Echo())
    protocol.pause_writing()
    assert not transport.reading
    protocol.resume_writing()
    assert transport.reading


def test_discard_never_answers() -> None:
    """RFC 863: "no response is sent"."""
    protocol, transport = connect(Discard())
    protocol.data_received(b"anything")
    assert transport.sent == b""
    assert not transport.closed
    assert ask(DiscardUDP(), b"anything") == []


def test_chargen_sends_rotating_lines_of_72(loop: FakeLoop) -> None:
    """RFC 864: 72 characters and CR LF a line, each line one character further, 95 in all."""
    protocol, transport = connect(Chargen())
    protocol.data_received(b"is thrown away")
    for _ in range(2):
        loop.turn()
    lines = transport.sent.split(b"\r\n")
    assert lines.pop() == b""
    assert {len(line) for line in lines} == {72}
    assert len(lines) == 190
    assert all(one[1:] == two[:-1] for one, two in itertools.pairwise(lines))
    assert set(b"".join(lines)) == set(range(32, 127))


def test_chargen_stops_when_the_peer_has_enough_and_goes_on_later(loop: FakeLoop) -> None:
    """It writes once a turn, nothing while told to pause, nothing after the end."""
    protocol, transport = connect(Chargen())
    loop.turn()
    once = len(transport.sent)
    protocol.pause_writing()
    loop.turn()
    assert len(transport.sent) == once
    protocol.resume_writing()
    loop.turn()
    assert len(transport.sent) == 2 * once
    protocol.connection_lost(None)
    loop.turn()
    assert len(transport.sent) == 2 * once
    assert loop.soon == []


def test_chargen_does_not_write_to_a_closing_connection(loop: FakeLoop) -> None:
    """A close between two turns ends it."""
    _, transport = connect(Chargen())
    transport.close()
    loop.turn()
    assert transport.sent == b""
    assert loop.soon == []


def test_chargen_answers_a_datagram_with_up_to_512_characters() -> None:
    """RFC 864: "a random number (between 0 and 512) of characters"; none at all would be no answer."""
    protocol = ChargenUDP()
    asked: list[tuple[int, int]] = []

    def most(low: int, high: int) -> int:
        asked.append((low, high))
        return high

    protocol.random_int = most
    ((answer, _),) = ask(protocol, b"whatever")
    assert asked == [(1, 512)]
    assert len(answer) == 512


def test_the_quote_of_the_day_changes_with_the_day_and_is_the_same_on_both_transports() -> None:
    """RFC 865: a short message, then the connection is closed."""
    for day, wire in enumerate([b"first\r\n", b"second\r\nline\r\n", b"Stra?e\r\n", b"first\r\n"]):

        class Today(Quotes):
            now_s = staticmethod(lambda day=day: day * 86_400.0 + 86_399)

        today = Today(["first", "second\nline", "Straße"])
        protocol = today.build_protocol(PEER)
        assert isinstance(protocol, QuoteOfTheDay)
        _, transport = connect(protocol)
        assert transport.sent == wire
        assert transport.closed
        datagrams = today.build_datagram_protocol()
        assert isinstance(datagrams, QuoteOfTheDayUDP)
        assert ask(datagrams) == [(wire, PEER)]


def test_a_quote_server_without_quotes_has_some_of_its_own() -> None:
    """``f = Factory(); f.protocol = QuoteOfTheDay`` is enough."""
    factory = Factory()
    factory.protocol = QuoteOfTheDay
    protocol = factory.build_protocol(PEER)
    assert protocol is not None
    _, transport = connect(protocol)
    assert transport.sent.endswith(b".\r\n")
    assert len(transport.sent) < 512
    assert transport.sent.isascii()


@pytest.mark.parametrize(
    ("quotes", "reason"),
    [([], "no quotes"), (["fine", "x" * 510], "quote 2 has 512 characters; at most 511")],
)
def test_quotes_that_the_rfc_does_not_allow_are_refused(quotes: list[str], reason: str) -> None:
    """None at all, or one of 512 characters: said when the factory is made."""
    with pytest.raises(ValueError, match=reason):
        Quotes(quotes)


def test_daytime_sends_a_line_for_people_and_closes() -> None:
    """RFC 867, whatever the machine's locale."""
    moment = time.struct_time((1982, 2, 22, 17, 37, 43, 0, 53, 0), {"tm_zone": "PST"})
    line = b"Monday, February 22, 1982 17:37:43-PST\r\n"
    protocol = Daytime()
    protocol.now = lambda: moment
    _, transport = connect(protocol)
    assert transport.sent == line
    assert transport.closed
    datagrams = DaytimeUDP()
    datagrams.now = lambda: moment
    assert ask(datagrams) == [(line, PEER)]


@pytest.mark.parametrize(
    ("unix_s", "rfc_s"),
    [
        (0, 2_208_988_800),
        (2_629_584_000 - 2_208_988_800, 2_629_584_000),  # RFC 868: 1 May 1983
        (2**32 - 2_208_988_800 + 5, 5),  # February 2036
    ],
)
def test_time_counts_the_seconds_since_1900(unix_s: int, rfc_s: int) -> None:
    """RFC 868's own examples, and past the wrap."""
    protocol = Time()
    protocol.now_s = lambda: unix_s + 0.9
    _, transport = connect(protocol)
    assert struct.unpack("!I", transport.sent) == (rfc_s,)
    assert transport.closed
    datagrams = TimeUDP()
    datagrams.now_s = lambda: unix_s + 0.9
    assert ask(datagrams) == [(struct.pack("!I", rfc_s), PEER)]


@pytest.mark.parametrize("make", [EchoUDP, ChargenUDP, DaytimeUDP, TimeUDP, QuoteOfTheDayUDP])
@pytest.mark.parametrize("port", [0, 7, 13, 17, 19, 37, 8807, 8813, 8817, 8819, 8837])
def test_two_answering_servers_cannot_be_set_on_each_other(make: type[AnsweringUDP], port: int) -> None:
    """What seems to come from such a service is not answered: one forged packet would never end."""
    assert ask(make(), b"ping", ("127.0.0.1", port)) == []


def test_an_answering_server_of_ones_own_may_stay_silent() -> None:
    """None is no datagram, which is not the same as an empty one."""

    class Picky(AnsweringUDP):
        def answer(self, data: bytes) -> bytes | None:
            return data if data != b"?" else None

    assert ask(Picky(), b"?") == []
    assert ask(Picky(), b"") == [(b"", PEER)]
    with pytest.raises(NotImplementedError, match="AnsweringUDP defines no answer"):
        ask(AnsweringUDP(), b"?")


@pytest.mark.parametrize("make", [Daytime, Time, QuoteOfTheDay])
def test_what_a_client_sends_to_a_talking_service_is_thrown_away(make: type[asyncio.Protocol]) -> None:
    """RFC 865, 867: "any data received is thrown away"."""
    protocol, transport = connect(make())
    sent = transport.sent
    protocol.data_received(b"GET / HTTP/1.0\r\n\r\n")
    assert transport.sent == sent
