"""Head and body of a response go to the kernel together; nothing is kept longer than a turn."""

from __future__ import annotations

import asyncio

import pytest

from taphouse.makers.web.merging import MergingTransport


class Raw:
    """A connection that notes what it is told."""

    def __init__(self):
        self.told = []
        self.closing = False

    def write(self, data):
        self.told.append(data)

    def close(self):
        self.closing = True
        self.told.append("close")

    def abort(self):
        self.told.append("abort")

    def write_eof(self):
        self.told.append("eof")

    def is_closing(self):
        return self.closing


@pytest.fixture
def raw():
    return Raw()


@pytest.fixture
def turn():
    """The loop: what it is asked to call at the end of the turn."""
    return []


@pytest.fixture
def merging(raw, turn):
    return MergingTransport(raw, turn.append)


def test_a_head_leaves_with_its_body(merging, raw, turn):
    merging.write(b"head")
    assert raw.told == []
    merging.write(b"body")
    assert raw.told == [b"headbody"]
    (end,) = turn
    end()
    assert raw.told == [b"headbody"]


def test_a_head_alone_leaves_at_the_end_of_the_turn(merging, raw, turn):
    merging.write(b"head")
    turn.pop()()
    assert raw.told == [b"head"]


def test_what_is_long_is_neither_kept_nor_copied(merging, raw):
    long = bytes(10_000)
    very_long = bytes(1_000_000)
    merging.write(long)
    assert raw.told == [long]
    merging.write(b"head")
    merging.write(very_long)
    assert raw.told[1:] == [b"head", very_long]
    assert raw.told[2] is very_long


def test_order_is_kept_whatever_comes_behind(merging, raw):
    merging.write(b"1")
    merging.write(b"2")
    merging.write(b"3")
    merging.write_eof()
    merging.write(b"4")
    merging.close()
    assert raw.told == [b"12", b"3", "eof", b"4", "close"]


def test_what_may_change_is_copied(merging, raw, turn):
    body = bytearray(b"one")
    merging.write(memoryview(body))
    body[:] = b"two"
    merging.write(body)
    assert raw.told == [b"onetwo"]
    assert type(raw.told[0]) is bytes


def test_an_aborted_or_lost_connection_sends_nothing(merging, raw, turn):
    merging.write(b"1")
    merging.abort()
    turn.pop()()
    assert raw.told == ["abort"]
    merging.write(b"2")
    raw.closing = True
    turn.pop()()
    assert raw.told == ["abort"]
    assert merging.is_closing()


def test_it_is_a_transport(merging):
    assert isinstance(merging, asyncio.Transport)
