"""kv as a daemon, and the clients everybody has: redis-cli, redis-benchmark, redis-py.

What it answers is compared with what a real redis-server answers to the same commands.
"""

from __future__ import annotations

import random
import signal
from contextlib import closing

import pytest
import redis

from makers.kvclient import Wire, redis_client

pytestmark = pytest.mark.process

PORT = 8208


@pytest.fixture
def kv(playground):
    """The playground in which the server runs."""
    playground.example("08-kv/kv.py")
    playground.run("tap", "start", "kv.py")
    return playground


def cli(kv, *words, stdin=""):
    return kv.run("redis-cli", "-p", str(kv.port(PORT)), *words, stdin=stdin).stdout


def test_redis_cli_talks_and_kill_9_makes_no_difference(kv):
    assert cli(kv, "SET", "greeting", "hello world") == "OK\n"
    assert cli(kv, "INCR", "visits") == "1\n"
    assert cli(kv, stdin="RPUSH l a b c\nHSET h f v\nSADD s x\nSELECT 3\nSET other db\n").endswith("OK\nOK\n")
    assert cli(kv, "SET", "gone", "soon", "EX", "1000") == "OK\n"
    kv.kill(signal.SIGKILL, "kv.pid")
    kv.run("tap", "start", "kv.py")
    assert cli(kv, "GET", "greeting") == "hello world\n"
    assert cli(kv, "INCR", "visits") == "2\n"
    assert cli(kv, "LRANGE", "l", "0", "-1") == "a\nb\nc\n"
    assert cli(kv, "HGETALL", "h") == "f\nv\n"
    assert cli(kv, "SMEMBERS", "s") == "x\n"
    assert cli(kv, "-n", "3", "GET", "other") == "db\n"
    assert 0 < int(cli(kv, "TTL", "gone")) <= 1000
    assert sorted(cli(kv, "--scan").split()) == ["gone", "greeting", "h", "l", "s", "visits"]
    assert "db3:keys=1" in cli(kv, "INFO", "keyspace")
    assert cli(kv, "-3", "HGETALL", "h") == "f v\n"


def test_info_says_how_durable_it_is_and_how_commits_go(kv):
    cli(kv, "SET", "a", "1")
    facts = dict(line.split(":") for line in cli(kv, "INFO", "persistence").split() if ":" in line)
    assert facts["durability"] == "gate"
    assert int(facts["commits"]) > 1
    assert int(facts["commit_p99_usec"]) >= int(facts["commit_p50_usec"]) > 0
    assert int(facts["wal_bytes"]) > 0
    assert cli(kv, "CONFIG", "GET", "appendfsync") == "appendfsync\nalways\n"
    kv.kill(pidfile="kv.pid")
    kv.run("tap", "start", "kv.py", "--durability", "interval")
    assert "durability:interval" in cli(kv, "INFO")
    assert cli(kv, "CONFIG", "GET", "appendfsync") == "appendfsync\neverysec\n"


def test_redis_benchmark_finds_nothing_to_complain_about(kv):
    tests = "ping,set,get,incr,lpush,rpush,lpop,rpop,sadd,hset,lrange_100,mset"
    for depth in ("1", "16"):
        done = kv.run(
            "redis-benchmark", "-p", str(kv.port(PORT)), "-t", tests, "-n", "1000", "-c", "10", "-P", depth,
            "-r", "100", "--csv",
        )  # fmt: skip
        assert done.stdout.count("\n") == 15, done.stdout  # a heading, and LPUSH twice
        assert "error" not in (done.stdout + done.stderr).lower()
    assert cli(kv, "TYPE", "mylist") == "list\n"


@pytest.mark.parametrize("protocol", [2, 3])
def test_redis_py_works(kv, protocol):
    with redis_client(kv.port(PORT), protocol=protocol, client_name="me", db=2) as client:
        assert client.set("a", "1", ex=100, nx=True)
        assert client.set("a", "1", nx=True) is None
        assert client.incr("a", 5) == 6
        assert client.get("a") == b"6"
        assert 0 < client.ttl("a") <= 100
        assert client.hset("h", mapping={"x": "1", "y": "2"}) == 2
        assert client.hgetall("h") == {b"x": b"1", b"y": b"2"}
        assert client.sadd("s", "p", "q") == 2
        assert client.smembers("s") == {b"p", b"q"}
        assert client.rpush("l", *range(10)) == 10
        assert client.lrange("l", 0, 2) == [b"0", b"1", b"2"]
        assert client.lpop("l", 3) == [b"0", b"1", b"2"]
        with pytest.raises(redis.ResponseError, match="WRONGTYPE|wrong kind"):
            client.incr("l")
        with client.pipeline(transaction=False) as pipeline:
            for number in range(100):
                pipeline.set(f"key:{number}", number)
            assert all(pipeline.execute())
        assert set(client.scan_iter("key:*", count=7)) == {b"key:%d" % number for number in range(100)}
        assert client.info("keyspace")["db2"]["keys"] == 104
        assert client.config_get("save") == {"save": ""}
        assert client.client_getname() in ("me", b"me")
        assert client.flushdb()
        assert client.dbsize() == 0


def test_every_acknowledged_count_survives_five_kills(kv):
    """Sixteen counters, counted in pipelines; the client's own record is compared after each kill."""
    acknowledged = dict.fromkeys((f"count:{number}" for number in range(16)), 0)
    chance = random.Random(9)
    for _ in range(5):
        with redis_client(kv.port(PORT)) as client:
            for _ in range(chance.randrange(1, 10)):
                with client.pipeline(transaction=False) as pipeline:
                    for key in acknowledged:
                        pipeline.incr(key)
                    for key, count in zip(acknowledged, pipeline.execute(), strict=True):
                        assert count == acknowledged[key] + 1
                        acknowledged[key] = count
        kv.kill(signal.SIGKILL, "kv.pid")
        kv.run("tap", "start", "kv.py")


SHAPES = """
SET K V|SET K V NX|SET K V XX EX 1000|SET K V PX|SET K V EX S|SET K|GET K|GET|GETSET K V|MGET K k2
INCR K|DECR K|INCRBY K V|APPEND K V|STRLEN K|DEL K|DEL K k0|EXISTS K k1|TYPE K|KEYS k[0-3]|MSET K V k3 5
EXPIRE K 1000|EXPIRE K -1|EXPIRE K S|EXPIRE K 9223372036854775807|TTL K|PERSIST K|SELECT N|SELECT V|SELECT 0
HSET K V 1|HSET K f V g|HSET K f V|HGET K V|HDEL K f V|HGETALL K|SADD K V m|SREM K V|SISMEMBER K V|SMEMBERS K
LPUSH K V z|RPUSH K V|LPOP K|RPOP K N|LPOP K V|LPOP K 1 2|LLEN K|LRANGE K N N|LRANGE K 0 -1
DBSIZE|MSET K|ECHO V|PING|PING V|PING V V|CONFIG GET save|NOSUCH K V
"""
VALUES = ["a", "b", "7", "-3", "x" * 40, "9223372036854775807", "", "1.5", "z w"]
NUMBERS = ["0", "1", "2", "-1", "-2", "5", "100"]
# No key goes while the test lasts: one server is asked after the other, and only one might know it still.
SECONDS = ["a", "70000", "-3", "x" * 40, "9223372036854775807", "", "1.5", "z w", "0", "-1", "200000"]
LASTS_S = 500


def random_command(chance: random.Random) -> list[str]:
    """Return one of the shapes, with keys, values, numbers and seconds in their places."""
    choose = {
        "K": lambda: f"k{chance.randrange(6)}",
        "V": lambda: chance.choice(VALUES),
        "N": lambda: chance.choice(NUMBERS),
        "S": lambda: chance.choice(SECONDS),
    }
    shape = chance.choice(SHAPES.strip().replace("\n", "|").split("|"))
    return [choose[word]() if word in choose else word for word in shape.split()]


UNORDERED = {"SMEMBERS", "KEYS", "HGETALL"}


def are_same(words: list[str], our: object, their: object) -> bool:
    """Say whether two servers that were asked one after the other mean the same."""
    if words[0] in UNORDERED and isinstance(our, list) and isinstance(their, list):
        return sorted(our) == sorted(their)
    if words[0] == "TTL" and isinstance(our, int) and isinstance(their, int) and min(our, their) > 0:
        return abs(our - their) < LASTS_S
    return our == their


def test_a_real_redis_answers_the_same(kv):
    port = kv.port(8299)
    kv.start(
        "redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(kv.folder)
    )
    kv.wait_until(lambda: kv.accepts(8299), "redis-server")
    chance = random.Random(7)
    with closing(Wire(kv.port(PORT))) as ours, closing(Wire(port)) as theirs:
        for _ in range(60):
            commands = [random_command(chance) for _ in range(100)]
            for words, our, their in zip(commands, ours.ask(*commands), theirs.ask(*commands), strict=True):
                assert are_same(words, our, their), (words, our, their)
