"""kv with many keys: a change costs what it changes, and a thaw brings all of it back."""

from __future__ import annotations

from time import thread_time

import pytest

from makers.kvclient import Client
from taphouse import Application
from taphouse.durable import Ledger
from taphouse.makers.kv.keyspace import Keyspace
from taphouse.persist import Freezer, NullStore
from taphouse.testing import crash_and_thaw


class Frozen:
    """A keyspace with ``keys`` keys whose changes are gathered epoch by epoch."""

    def __init__(self, keys: int) -> None:
        self.app = Application("kv")
        self.kv = Client()
        self.app.listenTCP(0, self.kv.keyspace)
        self.kv.keyspace.databases[0].values.update({b"key:%d" % number: b"xxx" for number in range(keys)})
        ledger = Ledger()
        ledger.begin(self.app)
        self.freezer = Freezer(ledger, NullStore())
        self.freezer.snapshot_start(self.app)
        self.freezer.freeze()

    def bytes_of(self, *words):
        """Say something; return how many bytes the journal gets."""
        self.kv(*words)
        return len(self.freezer.freeze().data)

    def work_of(self, *words):
        """Say something; return the processor's seconds that it takes at best, whatever else runs."""
        best = 1.0
        for _ in range(50):
            began = thread_time()
            self.kv(*words)
            self.freezer.freeze()
            best = min(best, thread_time() - began)
        return best

    def work_of_looking_at_each_key(self):
        began = thread_time()
        for _ in self.kv.keyspace.databases[0].values:
            pass
        return thread_time() - began


@pytest.mark.slow
def test_a_change_among_a_million_keys_costs_what_it_costs_among_ten():
    few, many = Frozen(10), Frozen(1_000_000)
    for words in (("SET", "key:5", "y"), ("INCR", "count"), ("SET", "new", "y"), ("DEL", "key:7")):
        assert many.bytes_of(*words) <= few.bytes_of(*words) + 100
    # A thousandth is usual, and what ten keys cost; whatever goes through all keys is far above a twentieth.
    assert many.work_of("INCR", "count") < many.work_of_looking_at_each_key() / 20


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (("HSET", "h", *range(4000)), ("HSET", "h", "1", "changed")),
        (("RPUSH", "l", *range(2000)), ("RPUSH", "l", "more")),
        (("SADD", "s", *range(2000)), ("SADD", "s", "more")),
    ],
)
def test_a_change_in_a_big_value_costs_what_it_changes(first, again):
    server = Frozen(10)
    assert server.bytes_of(*first) > 5000
    server.kv(*again)
    server.freezer.freeze()
    assert server.bytes_of(again[0], again[1], "and", *again[3:]) < 200


def test_everything_is_there_after_a_crash():
    app = Application("kv")
    keyspace = Keyspace()
    app.listenTCP(0, keyspace)
    kv = Client(keyspace)
    for number in range(1500):
        kv("SET", f"key:{number}", number)
    kv("INCR key:7"), kv("HSET h a 1"), kv("RPUSH l a b"), kv("SADD s x"), kv("EXPIRE h 100000")
    kv("SELECT 9"), kv("SET", b"\x00\xff\r\n", b"\xfe")
    again = Client(crash_and_thaw(app).listeners[0].factory)
    assert again("DBSIZE") == 1503
    assert (again("INCR key:7"), again("GET key:8")) == (9, b"8")
    assert (again("HGETALL h"), again("LPOP l"), again("SMEMBERS s")) == ([b"a", b"1"], b"a", [b"x"])
    assert 90_000 < again("TTL h") <= 100_000
    assert [again("TYPE", key) for key in "hls"] == [b"hash", b"list", b"set"]
    again("SELECT 9")
    assert again("GET", b"\x00\xff\r\n") == b"\xfe"
