"""kv with a password: who has not said it can do nothing, and is told what a real Redis tells."""

from __future__ import annotations

import random
from contextlib import closing

import pytest

from makers import making
from makers.kvclient import Client, Wire, request
from taphouse.errors import ConfigurationError, UsageError
from taphouse.makers import kv as maker
from taphouse.makers.kv.commands import TABLE
from taphouse.makers.kv.keyspace import Keyspace
from taphouse.usage import Secret

PASSWORD = "correct horse"
NOT_KNOWN = "NOAUTH Authentication required."
WRONG = "WRONGPASS invalid username-password pair or user is disabled."


@pytest.fixture
def kv():
    return Client(Keyspace(Secret(PASSWORD)))


def test_who_has_not_said_the_password_can_do_nothing(kv):
    for name, (_, least, _) in TABLE.items():
        if name not in {"AUTH", "HELLO", "QUIT"}:
            for spelling in (name, name.lower(), name.title()):
                assert kv(*[spelling, *["1"] * (least - 1)]) == NOT_KNOWN
    assert kv("NOSUCH").startswith("ERR unknown command")
    assert kv("GET") == "ERR wrong number of arguments for 'get' command"
    assert kv("AUTH", "wrong") == kv("AUTH", "") == kv("AUTH", "default", "wrong") == WRONG
    assert kv("AUTH", "other", PASSWORD) == WRONG
    assert kv("GET a") == NOT_KNOWN
    assert kv.keyspace.databases[0].values == {}
    assert kv("QUIT") == b"OK"


@pytest.mark.parametrize("words", [("AUTH", PASSWORD), ("auth", "default", PASSWORD)])
def test_who_says_it_can_do_everything(kv, words):
    assert kv(*words) == b"OK"
    assert kv("INCR a") == 1
    assert kv("AUTH", "wrong") == WRONG
    assert kv("INCR a") == 2  # who is in stays in
    assert Client(kv.keyspace)("INCR a") == NOT_KNOWN


def test_what_is_said_in_one_breath_with_the_password_is_done_after_it(kv):
    kv.peer.send(request("INCR", "a") + request("AUTH", PASSWORD) + request("INCR", "a") * 2)
    assert kv.replies() == [NOT_KNOWN, b"OK", 1, 2]


def test_hello_takes_the_password_with_it(kv):
    assert kv("HELLO 3").startswith("NOAUTH HELLO must be called with the client already authenticated")
    assert kv("HELLO").startswith("NOAUTH HELLO")
    assert kv("HELLO", "3", "AUTH", "default", "wrong") == WRONG
    assert kv("HELLO", "3", "AUTH", "default") == "ERR Syntax error in HELLO option 'AUTH'"
    assert kv("HELLO", "3", "AUTH", "default", PASSWORD, "SETNAME", "me")[b"proto"] == 3
    assert kv("CLIENT GETNAME") == b"me"


def test_where_there_is_no_password_none_is_wrong():
    kv = Client(Keyspace())
    assert kv("AUTH x").startswith("ERR AUTH <password> called without any password configured")
    assert kv("AUTH default x") == b"OK"
    assert kv("AUTH other x") == WRONG
    assert kv("AUTH a b c") == "ERR syntax error"


def test_a_stranger_gets_no_room_for_big_requests(kv):
    kv.peer.send(b"*2\r\n$4\r\nAUTH\r\n$1000000\r\n" + b"x" * 17_000)
    assert kv.replies() == ["ERR Protocol error: too big request"]
    known = Client(kv.keyspace)
    known("AUTH", PASSWORD)
    known.peer.send(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$20000\r\n" + b"x" * 17_000)
    known.peer.send(b"x" * 3000 + b"\r\n")
    assert known.replies() == [b"OK"]


def test_refusals_are_counted_and_the_password_is_nowhere(kv, caplog):
    kv("AUTH wrong")
    assert kv("AUTH", PASSWORD) == b"OK"
    assert b"acl_access_denied_auth:1" in kv("INFO")
    assert PASSWORD.encode() not in kv("INFO") + b"".join(map(str.encode, map(str, kv("CONFIG GET *"))))
    assert PASSWORD not in caplog.text + repr(kv.keyspace.door) + repr(kv.keyspace.password)


def test_a_file_is_read_at_each_start_and_an_empty_one_locks_nobody_in(tmp_path):
    file = tmp_path / "password"
    file.write_text("first\n")
    keyspace = Keyspace(Secret.from_file(str(file)))
    keyspace.started()
    file.write_text("second\n")
    assert Client(keyspace)("AUTH first") == b"OK"
    keyspace.started()
    assert Client(keyspace)("AUTH second") == b"OK"
    for spoil in (lambda: file.write_text("\n"), file.unlink):
        spoil()
        with pytest.raises(ConfigurationError, match="password"):
            keyspace.started()


def test_options_say_whom_it_listens_to():
    def listeners(**options):
        return [listener.label for listener in making.build(maker, port=6380, **options).listeners]

    assert listeners() == ["tcp:127.0.0.1:6380"]
    assert listeners(interface="::1") == ["tcp:[::1]:6380"]
    assert listeners(interface="", password=Secret("x")) == ["tcp:6380"]
    assert listeners(interface="", protected_mode=False) == ["tcp:6380"]
    for interface in ("", "0.0.0.0", "192.0.2.1", "somewhere"):
        with pytest.raises(UsageError, match=r"open to others, and there is no password; give --pass"):
            listeners(interface=interface)


def test_two_in_one_tap_have_a_caretaker_each():
    app = making.build(maker)
    maker.updateApplication(app, maker.Options(port=6380))
    assert list(app.services) == ["caretaker", "caretaker-2"]


def test_without_hiredis_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(maker, "find_spec", lambda name: None)
    with pytest.raises(ConfigurationError) as caught:
        making.build(maker)
    assert str(caught.value) == "kv needs hiredis, which is not installed; pip install taphouse[kv]"


SHAPES = """
AUTH P|AUTH wrong|AUTH default P|AUTH other P|AUTH P P P|AUTH|GET a|PING|NOSUCH|GET|HELLO 3 AUTH default P
HELLO 2 AUTH default wrong|HELLO 3|HELLO 2|HELLO 2 AUTH default|HELLO 2 WHAT|HELLO 5|SET a 1|INCR a|ECHO x
"""


@pytest.mark.process
def test_a_real_redis_lets_the_same_people_in(playground):
    port = playground.port(8299)
    playground.start(
        "redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--requirepass", "P"
    )  # fmt: skip
    playground.wait_until(lambda: playground.accepts(8299), "redis-server")
    ours = Keyspace(Secret("P"))
    chance = random.Random(11)
    for _ in range(40):
        shapes = chance.choices(SHAPES.strip().replace("\n", "|").split("|"), k=6)
        with closing(Wire(port)) as theirs:
            kv = Client(ours)
            for shape in shapes:
                our, their = kv(shape), theirs.ask(shape.split())[0]
                if isinstance(their, list | dict):  # who it is; ours has fewer facts
                    assert type(our) is type(their), shapes
                elif isinstance(their, str):  # the words after the first change between versions
                    assert our.split()[0] == their.split()[0], (shape, shapes)
                else:
                    assert our == their, (shape, shapes)
