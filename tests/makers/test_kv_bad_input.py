"""kv and clients that mean no good: bounded memory, a clear error, everybody else is served."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from makers.kvclient import Client, request
from taphouse.makers.kv import requests, session
from taphouse.makers.kv.requests import Budget, ProtocolError, Requests


@pytest.fixture
def kv():
    return Client()


def parse(*chunks: bytes) -> list[list[bytes]]:
    reader, commands = Requests(Budget()), []
    for chunk in chunks:
        reader.feed(chunk, commands)
    return commands


def cut(data: bytes, *places: int) -> list[bytes]:
    edges = [0, *sorted(places), len(data)]
    return [data[a:b] for a, b in pairwise(edges) if a != b]


NASTY = b"\r\n*1000000\r\n>999999999\r\n$5\r\n"
STREAM = [
    [b"SET", b"k", b""],
    [b"SET", b"k", NASTY],
    [b"PING"],
    [b"SET", NASTY * 3, b"*123456"],
    [b"ECHO", b"*"],
]


def test_a_stream_may_be_cut_anywhere():
    data = b"".join(request(*words) for words in STREAM)
    for place in range(1, len(data)):
        assert parse(*cut(data, place)) == STREAM, place


def test_a_stream_may_be_cut_often():
    data = b"".join(request(*words) for words in STREAM * 2)
    chance = random.Random(8)
    for _ in range(500):
        places = [chance.randrange(1, len(data)) for _ in range(chance.randrange(1, 40))]
        assert parse(*cut(data, *places)) == STREAM * 2, sorted(places)
    assert parse(*cut(data, *range(1, len(data)))) == STREAM * 2


def test_lines_typed_by_hand_are_commands():
    assert parse(b"SET a \"b c\"\r\n\r\n  PING \nECHO 'x'\r\n") == [
        [b"SET", b"a", b"b c"],
        [b"PING"],
        [b"ECHO", b"x"],
    ]
    assert parse(*cut(b"SET a \xff\r\nPING\r\n", *range(1, 16))) == [[b"SET", b"a", b"\xff"], [b"PING"]]
    assert parse(b"PING\r\n" + request("GET", "a"), b"PING\r\n") == [[b"PING"], [b"GET", b"a"], [b"PING"]]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"*1000000\r\n", "invalid multibulk length"),
        (b"*99999999999\r\n", "invalid multibulk length"),
        (b"*2\r\n*1000000\r\n", "invalid multibulk length"),
        (b"*2\r\n>1000000\r\n", "invalid multibulk length"),
        (b"*2\r\n$1\r\na\r\n*1000000\r\n", "invalid multibulk length"),
        (b"*1\r\n:5\r\n", "expected '$'"),
        (b"*1\r\n*1\r\n$1\r\na\r\n", "expected '$'"),
        (b"*1\r\n$-1\r\n", "expected '$'"),
        (b"$4\r\nPING\r\n", "expected '*'"),
        (b"*x\r\n", ""),
        (b"*1\r\n$x\r\n", ""),
        (b"*1\r\n$4\r\nPINGPING\r\n*1\r\n", ""),
        (b'SET a "b\r\n', "unbalanced quotes"),
        (b"x" * (64 << 10) + b"x", "too big inline request"),
    ],
)
def test_what_is_no_request_ends_the_connection_with_a_reason(kv, data, why):
    kv.peer.send(request("SET", "before", "1") + data if data[:1] in b"*$" else data)
    replies = kv.replies()
    assert replies[-1].startswith("ERR Protocol error: ")
    assert why in replies[-1]
    assert kv.peer.is_closed
    assert Client(kv.keyspace)("PING") == b"PONG"
    if data[:1] in b"*$":
        assert replies[0] == b"OK"
        assert Client(kv.keyspace)("GET before") == b"1"


@pytest.mark.parametrize("place", range(1, 10))
def test_a_huge_array_is_refused_however_it_is_cut(place):
    reader = Requests(Budget())
    with pytest.raises(ProtocolError, match="multibulk"):
        for chunk in cut(b"*1000000\r\n", place):
            reader.feed(chunk, [])


def test_noise_never_gets_farther_than_an_error():
    chance = random.Random(2002)
    keyspace = Client().keyspace
    for _ in range(2000):
        kv = Client(keyspace)
        noise = bytes(chance.choice(b"*$:+-_#,(!=%~>|\r\n0123456789PINGSETxa\x00\xff") for _ in range(60))
        kv.peer.send(b"*1\r\n" + noise if chance.random() < 0.5 else noise)
        if not kv.peer.is_closed:
            kv.peer.close()
        assert kv.keyspace.budget.used_bytes == 0


def test_a_request_without_end_is_refused_at_its_limit(kv):
    kv.peer.protocol.requests.most_bytes = 1 << 20
    kv.peer.send(b"*2\r\n$3\r\nGET\r\n$500000000\r\n")
    sent = 0
    while not kv.peer.is_closed:
        kv.peer.send(b"x" * 65536)
        sent += 65536
    assert kv.replies() == ["ERR Protocol error: too big request"]
    assert sent <= (1 << 20) + 65536
    assert kv.keyspace.budget.used_bytes == 0


def test_arrays_in_arrays_count_as_what_they_take(kv):
    kv.peer.protocol.requests.most_bytes = 1 << 20
    sent = 0
    while not kv.peer.is_closed:
        kv.peer.send(b"*0\r\n" * 1000 if sent else request("PING") + b"*99999\r\n" + b"*0\r\n" * 1000)
        sent += 4000
    assert kv.replies() == [b"PONG", "ERR Protocol error: too big request"]
    assert sent < 70_000


def test_a_value_full_of_stars_is_a_value(kv):
    value = b"\n* one\r\n*2\r\n" * 10_000
    for chunk in cut(request("SET", "a", value), *range(1000, 100_000, 1000)):
        kv.peer.send(chunk)
    assert kv.replies() == [b"OK"]
    assert kv("GET a") == value
    assert kv.keyspace.budget.used_bytes == 0


def test_many_requests_without_end_share_one_limit(kv, monkeypatch):
    monkeypatch.setattr(requests, "MAX_UNFINISHED_BYTES", 1 << 20)
    clients = [Client(kv.keyspace) for _ in range(30)]
    for client in clients:
        client.peer.send(b"*2\r\n$3\r\nGET\r\n$500000000\r\n" + b"x" * 50_000)
    closed = [client for client in clients if client.peer.is_closed]
    assert 5 < len(closed) < 15
    assert closed[0].replies() == ["ERR Protocol error: too many unfinished requests"]
    assert kv.keyspace.budget.used_bytes <= 1 << 20
    assert kv("PING") == b"PONG"
    for client in clients:
        client.peer.close()
    assert kv.keyspace.budget.used_bytes == 0


def test_a_request_that_does_not_go_on_is_hung_up_on_one_that_does_is_not(kv):
    stalled, slow = Client(kv.keyspace), Client(kv.keyspace)
    stalled.peer.send(b"*2\r\n$3\r\nGET\r\n$5\r\n")
    slow.peer.send(b"*2\r\n$3\r\nGET\r\n$5\r\n")
    for now_s in range(1000, 1000 + int(session.PATIENCE_S) + 2):
        stalled.peer.protocol.hurry(float(now_s))
        slow.peer.protocol.hurry(float(now_s))
        if now_s % 30 == 0:
            slow.peer.send(b"x")
    assert stalled.replies() == ["ERR Protocol error: request not continued for 60 seconds"]
    assert stalled.peer.is_closed
    assert not slow.peer.is_closed


def test_a_client_that_does_not_read_is_not_read_from_and_misses_nothing(kv):
    kv("SET", "big", b"x" * 10_000)
    kv.peer.stop_reading()
    kv.peer.send(request("GET", "big") * 200)
    assert not kv.peer.transport.is_reading()
    assert len(kv.peer.transport.written) == 0
    kv.peer.read_again()
    kv.peer.flush()
    assert len(kv.replies()) == 200
    assert kv.peer.transport.is_reading()


def test_replies_wait_as_soon_as_a_client_takes_no_more(kv, monkeypatch):
    kv("SET", "big", b"x" * 100_000)
    write = kv.peer.transport.write

    def write_until_full(data):
        write(data)
        kv.peer.stop_reading()

    monkeypatch.setattr(kv.peer.transport, "write", write_until_full)
    kv.peer.send(request("GET", "big") * 100)
    replies = kv.replies()
    assert len(replies) == 3  # as many as are gathered for one write, of a hundred
    while len(replies) < 100:
        kv.peer.read_again()
        replies += kv.replies()
    assert replies == [b"x" * 100_000] * 100


def test_what_follows_quit_is_not_done(kv):
    kv.peer.send(request("QUIT") + request("SET", "a", "1"))
    assert kv.replies() == [b"OK"]
    assert Client(kv.keyspace)("GET a") is None


def test_a_value_cannot_grow_past_the_limit(kv, monkeypatch):
    from taphouse.makers.kv import strings

    monkeypatch.setattr(strings, "MAX_REQUEST_BYTES", 10)
    kv("SET a 12345678")
    assert kv("APPEND a 123").startswith("ERR string exceeds maximum allowed size")
    assert kv("GET a") == b"12345678"


def test_a_clock_that_jumps_back_loses_nothing_and_brings_nothing_back(kv, monkeypatch):
    from taphouse.makers.kv import clock

    shows = [1_000_000_000_000]
    monkeypatch.setattr(clock, "now_ms", lambda: shows[0])
    kv("SET stays 1 EX 100")
    kv("SET never 1")
    kv("SET goes 1 PX 10")
    shows[0] += 20
    database = kv.keyspace.databases[0]
    database.sweep()
    for jump_s in (3600, 10**9):
        shows[0] -= jump_s * 1000
        assert kv("GET stays") == kv("GET never") == b"1"
        assert kv("GET goes") is None
        assert kv("TTL stays") == 100 + jump_s
        assert not database.sweep()
        assert kv("SET new 1 EX 10") == b"OK"
        assert kv("TTL new") == 10
        shows[0] += jump_s * 1000
    shows[0] += 100_000
    assert kv("GET stays") is None
    assert kv("GET never") == b"1"
