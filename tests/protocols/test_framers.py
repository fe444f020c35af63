"""What is framed comes out again, however the stream is cut, and never costs more memory than allowed."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from taphouse.protocols import Framer, FramingError, LengthFramer, LineFramer, NetstringFramer

MAX_BYTES = 40

FRAMERS: dict[str, Callable[[], Framer]] = {
    "line": lambda: LineFramer(MAX_BYTES),
    "line ending in CR LF": lambda: LineFramer(MAX_BYTES, b"\r\n"),
    "line ending in ABAB": lambda: LineFramer(MAX_BYTES, b"ABAB"),
    "length in 1 byte": lambda: LengthFramer(MAX_BYTES, 1),
    "length in 2 bytes": lambda: LengthFramer(MAX_BYTES, 2),
    "length in 4 bytes": lambda: LengthFramer(MAX_BYTES, 4),
    "netstring": lambda: NetstringFramer(MAX_BYTES),
}
every_framer = pytest.mark.parametrize("make", FRAMERS.values(), ids=FRAMERS.keys())

cuts = st.lists(st.integers(0, 400), max_size=30)
messages = st.lists(st.binary(max_size=MAX_BYTES), max_size=8)


def pieces(stream: bytes, at: list[int]) -> list[bytes]:
    """Cut ``stream`` at those positions of ``at`` that lie in it; some pieces may be empty."""
    places = [0, *sorted(place for place in at if place <= len(stream)), len(stream)]
    return [stream[begin:end] for begin, end in itertools.pairwise(places)]


def take_all(framer: Framer, stream: list[bytes]) -> tuple[list[bytes], bool]:
    """Feed the pieces, taking all messages after each; return them and whether the stream was refused."""
    taken: list[bytes] = []
    for piece in stream:
        framer.feed(piece)
        try:
            while (message := framer.next_message()) is not None:
                taken.append(message)
        except FramingError:
            return taken, True
    return taken, False


@every_framer
@settings(deadline=None, max_examples=40)
@given(messages=messages, at=cuts)
def test_messages_come_out_as_they_went_in_at_any_split(
    make: Callable[[], Framer], messages: list[bytes], at: list[int]
) -> None:
    """Framed, cut anywhere and put together again, the same messages come in the same order."""
    framer = make()
    sent: list[bytes] = []
    stream = b""
    for message in messages:
        if isinstance(framer, LineFramer):
            if framer.delimiter in message + framer.delimiter[:-1] or message.endswith((b"\r", b"A", b"B")):
                continue  # not one line, or one whose end would be read as part of the delimiter
        sent.append(message)
        stream += framer.frame(message)
    assert take_all(make(), pieces(stream, at)) == (sent, False)


@every_framer
@settings(deadline=None, max_examples=40)
@given(
    stream=st.binary(max_size=300) | st.text("0123456789:,AB\r\n\0\1\3", max_size=120).map(str.encode),
    at=cuts,
)
@example(stream=b"41:", at=[1])
@example(stream=b"a" * 40 + b"\r\n" + b"a" * 41 + b"\n", at=[41])
def test_a_split_never_changes_what_is_taken_or_refused(
    make: Callable[[], Framer], stream: bytes, at: list[int]
) -> None:
    """Any bytes at all give the same messages and the same verdict, in one piece, cut, or byte by byte."""
    # A verdict may come earlier when bytes come one by one, never differently:
    # a line that is too long is refused before its end is seen, so end it.
    whole = stream + b"\r\nABAB" * 12 + b"," * 60
    one = take_all(make(), [whole])
    assert take_all(make(), pieces(whole, at)) == one
    assert take_all(make(), [whole[i : i + 1] for i in range(len(whole))]) == one


@every_framer
@settings(deadline=None, max_examples=40)
@given(stream=st.binary(max_size=300) | st.text("0123456789:,", max_size=300).map(str.encode))
@example(stream=b"9" * 300)
@example(stream=b"\0\0\0\x28" + b"x" * 300)
@example(stream=b"x" * 300)
def test_no_more_is_held_than_one_message_and_its_frame(make: Callable[[], Framer], stream: bytes) -> None:
    """A peer that sends byte by byte and never ends a message is refused, not collected."""
    framer = make()
    for place in range(len(stream)):
        framer.feed(stream[place : place + 1])
        try:
            while framer.next_message() is not None:
                pass
        except FramingError:
            return
        assert framer.held_bytes <= MAX_BYTES + 4


@every_framer
def test_a_message_that_is_too_long_is_refused_by_the_sender(make: Callable[[], Framer]) -> None:
    """What the other side would refuse is an error where it is sent."""
    framer = make()
    framer.frame(b"x" * MAX_BYTES)
    with pytest.raises(ValueError, match="too long|longer"):
        framer.frame(b"x" * (MAX_BYTES + 1))


@every_framer
def test_the_longest_message_passes_and_one_byte_more_does_not(make: Callable[[], Framer]) -> None:
    """The limit is exact in both directions."""
    framer = make()
    framer.feed(framer.frame(b"x" * MAX_BYTES))
    assert framer.next_message() == b"x" * MAX_BYTES
    longer = type(framer).__new__(type(framer))
    longer.__dict__.update(make().__dict__, max_bytes=MAX_BYTES + 1, _longest=MAX_BYTES + 1)
    framer.feed(longer.frame(b"x" * (MAX_BYTES + 1)))
    with pytest.raises(FramingError, match="longer|announced"):
        framer.next_message()


@every_framer
def test_the_rest_is_everything_not_yet_taken(make: Callable[[], Framer]) -> None:
    """What follows the last message taken is handed over whole, and framing goes on after it."""
    framer = make()
    framer.feed(framer.frame(b"one") + b"raw 2:bytes")
    assert framer.next_message() == b"one"
    assert framer.take_rest() == b"raw 2:bytes"
    assert framer.held_bytes == 0
    framer.feed(framer.frame(b"two"))
    assert framer.next_message() == b"two"


def test_a_line_may_end_as_people_type_or_as_rfcs_demand() -> None:
    """LF and CR LF both end a line by default; one CR is taken off, not two."""
    framer = LineFramer()
    framer.feed(b"typed\nrfc\r\ntwice\r\r\n\n")
    assert [framer.next_message() for _ in range(5)] == [b"typed", b"rfc", b"twice\r", b"", None]


def test_a_line_with_its_delimiter_inside_cannot_be_sent() -> None:
    """It would arrive as two lines: the classic way to smuggle a command."""
    with pytest.raises(ValueError, match="delimiter"):
        LineFramer().frame(b"one\nQUIT")


@pytest.mark.parametrize(
    "stream", [b"01:a,", b"00:,", b"+1:a,", b" 1:a,", b"1 :a,", b":,", b"a", b"1:ab", b"-1:,"]
)
def test_a_netstring_that_is_not_strictly_one_is_refused(stream: bytes) -> None:
    """No leading zeros, signs or spaces, and a comma at the end: two readings of one stream are a hole."""
    framer = NetstringFramer()
    framer.feed(stream)
    with pytest.raises(FramingError):
        framer.next_message()


def test_a_line_that_trickles_in_is_searched_once() -> None:
    """A megabyte in single bytes takes no quadratic time: the search goes on where it stopped."""
    framer = LineFramer(1 << 20)
    looked: list[int] = []

    class Watched(bytearray):
        def find(self, sub: bytes, start: int = 0) -> int:  # type: ignore[override]
            looked.append(len(self) - start)
            return super().find(sub, start)

    framer._held = Watched()
    for _ in range(1000):
        framer.feed(b"x" * 10)
        framer.next_message()
    assert sum(looked) == 10_000


@pytest.mark.parametrize(
    "make", [lambda: LineFramer(0), lambda: LineFramer(5, b""), lambda: NetstringFramer(-1)]
)
def test_an_impossible_framer_is_refused(make: Callable[[], Framer]) -> None:
    """Limits below one byte and an empty delimiter are mistakes at the statement."""
    with pytest.raises(ValueError, match="max_bytes|delimiter"):
        make()
