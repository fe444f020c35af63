"""Framed protocols deliver, pause, time out and hang up, without a network and without time."""

from __future__ import annotations

import itertools

import pytest
from fake_wire import connect
from hypothesis import given, settings
from hypothesis import strategies as st

from taphouse.protocols import (
    FramedProtocol,
    Framer,
    FramingError,
    Int8Prefixed,
    Int16Prefixed,
    Int32Prefixed,
    LineProtocol,
    Netstring,
)


class Lines(LineProtocol):
    """Collects lines; some of them are commands."""

    max_bytes = 100

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.raw: list[bytes] = []

    def line_received(self, line: bytes) -> None:
        self.lines.append(line)
        match line:
            case b"pause":
                self.pause()
            case b"pause and resume":
                self.pause()
                self.resume()
            case b"close":
                self.transport.close()
            case b"slow":
                self.pause_writing()
            case b"raw":
                self.set_raw()
            case b"fail":
                raise RuntimeError("a bug in a handler")

    def raw_received(self, data: bytes) -> None:
        self.raw.append(data)
        _body, end, rest = data.partition(b".")
        if end:
            self.set_framed(rest)


@pytest.mark.parametrize("make", [Int8Prefixed, Int16Prefixed, Int32Prefixed, Netstring])
@settings(deadline=None, max_examples=25)
@given(messages=st.lists(st.binary(max_size=255), max_size=6), at=st.lists(st.integers(0, 600), max_size=10))
def test_two_ends_of_a_kind_understand_each_other_at_any_split(
    make: type[FramedProtocol], messages: list[bytes], at: list[int]
) -> None:
    """What one end sends with send_message arrives at the other in message_received."""

    class End(make):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            self.got: list[bytes] = []

        def message_received(self, message: bytes) -> None:
            self.got.append(message)

    sender, wire = connect(End())
    receiver, _ = connect(End())
    for message in messages:
        sender.send_message(message)
    places = [0, *sorted(place for place in at if place <= len(wire.sent)), len(wire.sent)]
    for begin, end in itertools.pairwise(places):
        receiver.data_received(wire.sent[begin:end])
    assert receiver.got == messages


@settings(deadline=None, max_examples=60)
@given(
    lines=st.lists(
        st.sampled_from([b"a", b"", b"pause", b"pause and resume", b"slow", b"b" * 100]), max_size=12
    ),
    at=st.lists(st.integers(0, 300), max_size=10),
)
def test_pauses_lose_nothing_and_change_no_order(lines: list[bytes], at: list[int]) -> None:
    """However often delivery stops, and wherever the stream is cut, every line comes once and in order."""
    protocol, transport = connect(Lines())
    stream = b"".join(line + b"\n" for line in lines)
    places = [0, *sorted(place for place in at if place <= len(stream)), len(stream)]
    for begin, end in itertools.pairwise(places):
        protocol.data_received(stream[begin:end])
        delivered = len(protocol.lines)
        while not transport.reading:
            assert protocol.lines[-1] in (b"pause", b"slow")
            if protocol.lines[-1] == b"pause":
                protocol.resume()
            else:
                protocol.resume_writing()
        assert len(protocol.lines) >= delivered
    assert protocol.lines == lines


def test_a_handler_is_not_entered_again_before_it_returns() -> None:
    """Resuming, going raw or receiving inside of a handler only notes it: one message at a time."""
    steps: list[str] = []

    class Nested(LineProtocol):
        def line_received(self, line: bytes) -> None:
            steps.append(f"begin {line.decode()}")
            if line == b"one":
                self.pause()
                self.resume()
                self.data_received(b"three\n")
            steps.append(f"end {line.decode()}")

    protocol, _ = connect(Nested())
    protocol.data_received(b"one\ntwo\n")
    assert steps == ["begin one", "end one", "begin two", "end two", "begin three", "end three"]


def test_a_paused_protocol_reads_and_delivers_nothing() -> None:
    """After pause() the lines that came with the last read wait, and the transport is told to stop."""
    protocol, transport = connect(Lines())
    protocol.data_received(b"pause\nnext\n")
    assert protocol.lines == [b"pause"]
    assert not transport.reading
    protocol.resume()
    assert protocol.lines == [b"pause", b"next"]
    assert transport.reading


def test_a_pause_before_the_connection_is_there_holds_from_its_beginning() -> None:
    """A constructor may decide that nothing is read before somebody says so."""
    protocol = Lines()
    protocol.pause()
    _, transport = connect(protocol)
    assert not transport.reading
    protocol.data_received(b"early\n")
    assert protocol.lines == []
    protocol.resume()
    assert protocol.lines == [b"early"]


def test_a_peer_that_does_not_read_is_not_read_from() -> None:
    """While our answers pile up, no more requests are taken: memory stays bounded."""
    protocol, transport = connect(Lines())
    protocol.pause_writing()
    assert not transport.reading
    protocol.data_received(b"already on its way\n")
    assert protocol.lines == []
    protocol.resume_writing()
    assert protocol.lines == [b"already on its way"]
    assert transport.reading


def test_a_users_pause_outlives_a_slow_peer() -> None:
    """resume_writing() of the transport does not undo a pause() of the user, and the reverse."""
    protocol, transport = connect(Lines())
    protocol.pause()
    protocol.pause_writing()
    protocol.resume_writing()
    assert not transport.reading
    protocol.pause_writing()
    protocol.resume()
    assert not transport.reading
    protocol.resume_writing()
    assert transport.reading


def test_nothing_is_delivered_after_a_close() -> None:
    """A handler that closes is not called again with the lines that came with its own."""
    protocol, transport = connect(Lines())
    protocol.data_received(b"close\nignored\n")
    assert protocol.lines == [b"close"]
    assert transport.closed


def test_a_handler_that_raises_does_not_silence_the_protocol() -> None:
    """The exception reaches the transport; what comes later is delivered all the same."""
    protocol, _ = connect(Lines())
    with pytest.raises(RuntimeError, match="a bug"):
        protocol.data_received(b"fail\nnext\n")
    protocol.data_received(b"")
    assert protocol.lines == [b"fail", b"next"]


def test_raw_bytes_come_as_they_are_and_framing_goes_on_after_them() -> None:
    """set_raw() hands over what waits and what comes; set_framed(rest) gives the rest back."""
    protocol, _ = connect(Lines())
    protocol.data_received(b"before\nraw\nbo\ndy")
    protocol.data_received(b" goes on.after\nand")
    protocol.data_received(b" on\n")
    assert protocol.raw == [b"bo\ndy", b" goes on.after\nand"]
    assert protocol.lines == [b"before", b"raw", b"after", b"and on"]


def test_a_line_that_is_too_long_ends_the_connection() -> None:
    """By default the peer is hung up on, and nothing it sends is looked at any more."""
    protocol, transport = connect(Lines())
    protocol.data_received(b"fine\n" + b"x" * 102)
    assert protocol.lines == [b"fine"]
    assert transport.closed


def test_a_protocol_may_say_what_it_thinks_of_a_bad_frame() -> None:
    """frame_refused can answer before it closes; it is called once."""
    refused: list[str] = []

    class Polite(Lines):
        def frame_refused(self, error: FramingError) -> None:
            refused.append(str(error))
            self.send_line(b"500 line too long")

    protocol, transport = connect(Polite())
    protocol.data_received(b"x" * 102)
    protocol.data_received(b"x" * 102 + b"\nmore\n")
    assert refused == ["a line is longer than 100 bytes"]
    assert transport.sent == b"500 line too long\n"
    assert protocol.lines == []
    assert not transport.reading


def test_a_protocol_without_its_methods_says_which_are_missing() -> None:
    """The error names the class and what to define."""

    class Bare(FramedProtocol):
        pass

    with pytest.raises(NotImplementedError):
        connect(Bare())[0].data_received(b"x")
    with pytest.raises(NotImplementedError, match=r"Netstring defines no message_received"):
        connect(Netstring())[0].data_received(b"1:x,")
    with pytest.raises(NotImplementedError, match=r"LineProtocol defines no line_received"):
        connect(LineProtocol())[0].data_received(b"x\n")
    raw = Netstring()
    raw.set_raw()
    with pytest.raises(NotImplementedError, match=r"Netstring defines no raw_received"):
        connect(raw)[0].data_received(b"x")


def test_a_framer_of_ones_own_is_all_a_new_framing_needs() -> None:
    """Fixed records, say: a framer and make_framer()."""

    class Records(Framer):
        def next_message(self) -> bytes | None:
            if self.held_bytes < 4:
                return None
            record = bytes(self._held[self._start : self._start + 4])
            self._start += 4
            return record

    class RecordProtocol(FramedProtocol):
        def __init__(self) -> None:
            self.got: list[bytes] = []

        def make_framer(self) -> Framer:
            return Records(4)

        def message_received(self, message: bytes) -> None:
            self.got.append(message)

    protocol, _ = connect(RecordProtocol())
    protocol.data_received(b"one two thr")
    assert protocol.got == [b"one ", b"two "]
