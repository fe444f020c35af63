"""What kv answers, command by command, in memory."""

from __future__ import annotations

import pytest

from makers.kvclient import Client, request
from taphouse.makers.kv import clock
from taphouse.makers.kv.commands import TABLE

WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
NO_INTEGER = "ERR value is not an integer or out of range"


@pytest.fixture
def kv():
    return Client()


@pytest.fixture
def wall(monkeypatch):
    """The wall clock: a list with the milliseconds it shows."""
    shows = [1_000_000_000_000]
    monkeypatch.setattr(clock, "now_ms", lambda: shows[0])
    return shows


def talk(kv, script):
    """Say each line before an arrow, expect what stands after it."""
    for line in script.strip().splitlines():
        said, _, expected = line.partition("->")
        assert kv(said.strip()) == eval(expected.strip(), {"WRONG": WRONG_TYPE, "NO_INT": NO_INTEGER}), line


def test_strings_are_set_under_conditions_and_counted(kv):
    talk(
        kv,
        """
        SET a 1            -> b"OK"
        GET a              -> b"1"
        GET nothing        -> None
        SET a 2 NX         -> None
        SET b 2 NX         -> b"OK"
        SET c 3 XX         -> None
        SET a 10 XX        -> b"OK"
        SET a 10 XX NX     -> "ERR syntax error"
        SET a 10 EX        -> "ERR syntax error"
        SET a 10 EX 0      -> "ERR invalid expire time in 'set' command"
        SET a 10 PX x      -> NO_INT
        INCR a             -> 11
        GET a              -> b"11"
        STRLEN a           -> 2
        DECR a             -> 10
        INCRBY a -20       -> -10
        INCRBY a 1.5       -> NO_INT
        APPEND a x         -> 4
        GET a              -> b"-10x"
        INCR a             -> NO_INT
        INCR fresh         -> 1
        GETSET fresh y     -> b"1"
        MSET p 1 q 2       -> b"OK"
        MSET p 1 q         -> "ERR wrong number of arguments for 'mset' command"
        MGET p fresh none  -> [b"1", b"y", None]
        EXISTS p p none    -> 2
        DEL p none q       -> 2
        DBSIZE             -> 3
        """,
    )


@pytest.mark.parametrize("text", ["01", "+1", " 1", "1 ", "1_0", "", "9223372036854775808", "x"])
def test_a_number_is_spelt_in_one_way(kv, text):
    kv("SET", "a", text)
    assert kv("INCR a") == NO_INTEGER
    assert kv("GET a") == text.encode()


def test_counting_ends_at_64_bits_and_changes_nothing_there(kv):
    kv("SET a 9223372036854775807")
    assert kv("INCR a") == "ERR increment or decrement would overflow"
    assert kv("GET a") == b"9223372036854775807"


def test_hashes_lists_and_sets_come_and_go_with_their_contents(kv):
    talk(
        kv,
        """
        HSET h a 1 b 2 a 3 -> 2
        HSET h a           -> "ERR wrong number of arguments for 'hset' command"
        HGET h a           -> b"3"
        HGET h z           -> None
        HGET none a        -> None
        HGETALL h          -> [b"a", b"3", b"b", b"2"]
        HGETALL none       -> []
        HDEL h a z         -> 1
        HDEL h b           -> 1
        EXISTS h           -> 0
        RPUSH l 1 2 3      -> 3
        LPUSH l 0 -1       -> 5
        LRANGE l 0 -1      -> [b"-1", b"0", b"1", b"2", b"3"]
        LRANGE l -2 100    -> [b"2", b"3"]
        LRANGE l 2 1       -> []
        LRANGE l -100 -5   -> [b"-1"]
        LRANGE l 0 -6      -> []
        LLEN l             -> 5
        LPOP l             -> b"-1"
        RPOP l 2           -> [b"3", b"2"]
        LPOP l 0           -> []
        LPOP l -1          -> "ERR value is out of range, must be positive"
        LPOP l 10          -> [b"0", b"1"]
        LPOP l             -> None
        EXISTS l           -> 0
        SADD s a b a       -> 2
        SISMEMBER s a      -> 1
        SISMEMBER s z      -> 0
        SREM s a z         -> 1
        SMEMBERS s         -> [b"b"]
        SREM s b           -> 1
        SREM s b           -> 0
        TYPE s             -> b"none"
        """,
    )


def test_a_command_on_another_kind_of_value_is_refused_and_harmless(kv):
    kv("SET string x"), kv("RPUSH list x"), kv("SADD set x"), kv("HSET hash f x")
    for said in ("GET list", "INCR hash", "APPEND set x", "STRLEN list", "GETSET set x"):
        assert kv(said) == WRONG_TYPE
    for said in ("HSET list f x", "HGET string f", "HGETALL set", "HDEL list f"):
        assert kv(said) == WRONG_TYPE
    for said in ("LPUSH string x", "RPOP set", "LRANGE hash 0 1", "LLEN string"):
        assert kv(said) == WRONG_TYPE
    for said in ("SADD list x", "SREM string x", "SMEMBERS hash", "SISMEMBER string x"):
        assert kv(said) == WRONG_TYPE
    assert [kv(f"TYPE {kind}") for kind in ("string", "list", "set", "hash")] == [
        b"string", b"list", b"set", b"hash",
    ]  # fmt: skip
    assert kv("MGET string list") == [b"x", None]
    assert kv("SET list x") == b"OK"  # as Redis does: SET does not ask what was there


def test_keys_expire_by_the_wall_clock(kv, wall):
    kv("SET a 1 EX 10"), kv("SET b 1 PX 1500"), kv("SET c 1")
    assert [kv(f"TTL {key}") for key in "abcd"] == [10, 2, -1, -2]
    wall[0] += 1500
    assert kv("GET b") is None
    assert kv("EXPIRE c 5") == 1
    assert kv("EXPIRE none 5") == 0
    assert kv("PERSIST a") == 1
    assert kv("PERSIST a") == 0
    assert kv("KEYS *") == [b"a", b"c"]
    wall[0] += 5000
    assert kv("KEYS *") == [b"a"]
    assert kv("SET a 2 EX 1") == b"OK"
    assert kv("SET a 3") == b"OK"  # for good
    assert kv("TTL a") == -1
    assert kv("EXPIRE a -1") == 1
    assert kv("EXISTS a") == 0


def test_what_has_expired_stays_gone_when_the_clock_is_set_back(kv, wall):
    kv("SET seen 1 EX 10"), kv("SET unseen 1 EX 10")
    wall[0] += 10_000
    assert kv("GET seen") is None
    wall[0] -= 3_600_000
    assert kv("GET seen") is None
    assert kv("GET unseen") == b"1"  # nobody can tell that its time ever came
    assert kv("TTL unseen") == 3600


def test_expired_keys_are_swept_though_nobody_asks(kv, wall):
    database = kv.keyspace.databases[0]
    for number in range(1000):
        kv(f"SET {number} x EX {1 if number % 2 else 3600}")
    assert not database.sweep()
    wall[0] += 1000
    rounds = 0
    while database.sweep():
        rounds += 1
    while len(database.values) > 500:
        database.sweep()
    assert rounds >= 3
    assert set(database.expires) == set(database.values) == {b"%d" % n for n in range(0, 1000, 2)}


def test_databases_are_apart(kv):
    other = Client(kv.keyspace)
    kv("SET a 0")
    assert other("SELECT 15") == b"OK"
    assert other("GET a") is None
    other("SET a 15")
    assert kv("GET a") == b"0"
    assert other("FLUSHDB") == b"OK"
    assert (other("DBSIZE"), kv("DBSIZE")) == (0, 1)
    assert kv("SELECT 16") == kv("SELECT -1") == "ERR DB index is out of range"
    assert kv("SELECT x") == NO_INTEGER


def test_a_scan_sees_every_key_that_was_there_all_the_time(kv):
    for number in range(500):
        kv(f"SET key:{number} x")
    seen, cursor, calls = set(), b"0", 0
    while True:
        cursor, page = kv("SCAN", cursor, "COUNT", 20)
        seen.update(page)
        for key in page[::2]:
            kv("DEL", key)
        kv(f"SET new:{calls} x")
        kv.keyspace.databases[0]._v_order = None if calls % 5 == 4 else kv.keyspace.databases[0]._v_order
        calls += 1
        if cursor == b"0":
            break
    assert seen >= {b"key:%d" % number for number in range(500)}
    assert calls < 40


def test_scan_looks_for_patterns_and_types(kv):
    kv("MSET a1 x a2 x b1 x"), kv("SADD a3 x")
    assert sorted(kv("SCAN 0 MATCH a* COUNT 100")[1]) == [b"a1", b"a2", b"a3"]
    assert kv("SCAN 0 TYPE set COUNT 100") == [b"0", [b"a3"]]
    assert kv("SCAN x") == "ERR invalid cursor"
    assert kv("SCAN 0 COUNT 0") == kv("SCAN 0 COUNT") == kv("SCAN 0 WHAT 1") == "ERR syntax error"


@pytest.mark.parametrize(
    ("pattern", "matches", "others"),
    [
        ("h?llo", "hello hallo", "hllo heello"),
        ("h*llo", "hllo heeello", "hell"),
        ("h[ae]llo", "hello hallo", "hillo"),
        ("h[^e]llo", "hallo", "hello"),
        ("h[a-b]llo", "hallo hbllo", "hcllo"),
        ("*a*b*", "ab xaxbx", "ba a b"),
        ("a\\*", "a*", "ab"),
        ("a.b", "a.b", "axb"),
        ("*ab", "aab ab", "abb"),
        ("a[", "", "a a["),
    ],
)
def test_patterns_match_as_redis_matches(kv, pattern, matches, others):
    for key in (matches + " " + others).split():
        kv("SET", key, "x")
    assert {key.decode() for key in kv("KEYS", pattern)} == set(matches.split())


def test_a_hostile_pattern_takes_no_time(kv):
    kv("SET", "a" * 5000, "x")
    assert kv("KEYS", "a*" * 40 + "b") == []


def test_the_connection_is_greeted_and_asked(kv):
    assert kv("PING") == b"PONG"
    assert kv("ping hello") == kv("Echo hello") == b"hello"
    assert kv("HELLO 4") == "NOPROTO unsupported protocol version"
    assert kv("CLIENT SETNAME me") == b"OK"
    assert kv("CLIENT GETNAME") == b"me"
    assert kv("CONFIG GET save appendfsync") == [b"appendfsync", b"no", b"save", b""]  # in memory
    assert "unknown subcommand" in kv("CONFIG SET save x")
    assert kv("COMMAND COUNT") == len(kv("COMMAND")) == len(TABLE)
    assert b"db0:keys=" not in kv("INFO keyspace")
    kv("SET a 1 EX 100")
    assert b"db0:keys=1,expires=1" in kv("INFO")
    assert kv("NOSUCH a b") == "ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b' "
    assert kv("QUIT") == b"OK"
    assert kv.peer.is_closed


def test_protocol_3_has_types_of_its_own(kv):
    kv("HSET h a 1"), kv("SADD s a")
    assert kv("HELLO 3")[b"proto"] == 3
    assert kv("HGETALL h") == {b"a": b"1"}
    kv.peer.send(request("SMEMBERS", "s"))
    assert kv.peer.receive() == b"~1\r\n$1\r\na\r\n"
    assert kv("CONFIG GET save") == {b"save": b""}
    assert kv("HELLO 2 SETNAME x")[4:6] == [b"proto", 2]


@pytest.mark.parametrize("name", sorted(TABLE))
def test_every_command_counts_its_words(kv, name):
    _, least, most = TABLE[name]
    wrong = f"ERR wrong number of arguments for '{name.lower()}' command"
    if least > 1:
        assert kv(*[name] * (least - 1)) == wrong
    if most < 10:
        assert kv(*[name.lower()] * (most + 1)) == wrong
