"""A server answers its owner, in bounded time and space, and nobody else."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from taphouse.control import (
    Actions,
    ControlError,
    ControlServer,
    Entry,
    NotRunningError,
    Registration,
    ask,
    find_server,
    register,
)
from taphouse.control.address import connect_socket
from taphouse.control.wire import REQUEST_BYTES
from taphouse.errors import CannotCreateError, UsageError


class Otk:
    """What the verbs do here."""

    def __init__(self) -> None:
        self.stopped: list[str] = []
        self.backups: list[str] = []

    def status(self) -> Mapping[str, object]:
        return {"listening": ["tcp:8123"], "connections": 3}

    async def backup(self, path: str) -> Mapping[str, object]:
        if path == "/full":
            raise CannotCreateError("/full cannot be written: disk full", cure="free some space")
        if path == "/bug":
            raise ZeroDivisionError
        self.backups.append(path)
        return {"path": path, "epoch": 7}

    def actions(self) -> Actions:
        return Actions(status=self.status, stop=self.stopped.append, backup=self.backup)


@pytest.fixture
def registration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registration]:
    monkeypatch.setenv("TAPHOUSE_RUNTIME_DIR", str(tmp_path / "registry"))
    made = register(name="otk", tap=str(tmp_path / "otk.tap"), version="0.1")
    yield made
    made.release()


class Served:
    """A control server on a loop in a thread of its own, for the synchronous client."""

    def __init__(self, registration: Registration, *, idle_s: float = 30.0) -> None:
        self.otk = Otk()
        self.entry = registration.entry
        self._loop = asyncio.new_event_loop()
        self._server = ControlServer(registration, self.otk.actions(), idle_s=idle_s)
        self._loop.run_until_complete(self._server.start())
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *details: object) -> None:
        asyncio.run_coroutine_threadsafe(self._server.close(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def send(self, data: bytes) -> list[dict[str, object]]:
        """Send raw bytes, end the sending side; return all replies."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(30)
            client.connect(self.entry.socket)
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            received = b"".join(iter(lambda: client.recv(65536), b""))
        return [json.loads(line) for line in received.splitlines()]


def test_ping_and_status_tell_who_answers(registration: Registration) -> None:
    with Served(registration):
        entry = find_server("otk")
        assert ask(entry, "ping") == {"name": "otk", "pid": os.getpid()}
        status = ask(entry, "status")
    assert status.pop("uptime_s", -1) >= 0  # type: ignore[operator]
    assert status == {
        "name": "otk",
        "pid": os.getpid(),
        "since": registration.entry.since,
        "version": "0.1",
        "tap": registration.entry.tap,
        "source": "",
        "rundir": os.getcwd(),
        "listening": ["tcp:8123"],
        "connections": 3,
    }


def test_stop_is_answered_before_it_begins(registration: Registration) -> None:
    with Served(registration) as served:
        assert ask(served.entry, "stop") == {"pid": os.getpid(), "started": registration.entry.started}
        assert served.otk.stopped == ["the control socket"] or ask(served.entry, "ping")
        assert served.otk.stopped == ["the control socket"]


def test_backup_gives_what_was_done_or_why_not_with_its_own_code(registration: Registration) -> None:
    with Served(registration) as served:
        assert ask(served.entry, "backup", {"path": "/x.tap"}) == {"path": "/x.tap", "epoch": 7}
        with pytest.raises(ControlError, match="disk full; free some space") as caught:
            ask(served.entry, "backup", {"path": "/full"})
        assert caught.value.exit_code == 73
        with pytest.raises(ControlError, match="absolute path") as caught:
            ask(served.entry, "backup", {"path": "x.tap"})
        assert caught.value.exit_code == 64
    assert served.otk.backups == ["/x.tap"]


def test_a_verb_that_fails_by_mistake_is_logged_and_the_server_goes_on(
    registration: Registration, caplog: pytest.LogCaptureFixture
) -> None:
    with Served(registration) as served:
        with pytest.raises(ControlError, match="ZeroDivisionError; see the server's log") as caught:
            ask(served.entry, "backup", {"path": "/bug"})
        assert caught.value.exit_code == 70
        assert ask(served.entry, "ping")
    assert "control verb backup failed" in caplog.text


@pytest.mark.parametrize(
    ("verb", "arguments", "words"),
    [
        ("reboot", {}, "no verb 'reboot'; use ping, status, stop, backup"),
        ("__init__", {}, "no verb"),
        ("backup", {}, "backup takes path"),
        ("backup", {"path": "/x", "mode": "0777"}, "backup takes path"),
        ("stop", {"now": "yes"}, "stop takes no arguments"),
    ],
)
def test_what_is_asked_wrongly_is_refused_with_the_right_way(
    registration: Registration, verb: str, arguments: dict[str, str], words: str
) -> None:
    with Served(registration) as served:
        with pytest.raises(ControlError, match=words) as caught:
            ask(served.entry, verb, arguments)
        assert caught.value.exit_code == 64
        assert served.otk.stopped == []


def test_an_argument_must_be_text(registration: Registration) -> None:
    with Served(registration) as served:
        (reply,) = served.send(b'{"verb": "backup", "arguments": {"path": ["/x"]}}\n')
        assert (reply["ok"], reply["code"]) == (False, 64)


def test_several_requests_on_one_connection_are_answered_in_order(registration: Registration) -> None:
    with Served(registration) as served:
        replies = served.send(b'{"verb": "ping"}\nnonsense\n{"verb": "ping"}\n{"verb": "status"')
    assert [reply["ok"] for reply in replies] == [True, False, True]


def test_a_request_that_is_too_long_ends_the_connection(registration: Registration) -> None:
    with Served(registration) as served:
        (reply,) = served.send(b"x" * (REQUEST_BYTES + 1))
        assert str(REQUEST_BYTES) in str(reply["error"])
        assert ask(served.entry, "ping")


def test_a_caller_that_says_nothing_is_let_go(registration: Registration) -> None:
    with Served(registration, idle_s=0.01) as served, socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(served.entry.socket)
        assert client.recv(1) == b""


def test_too_many_callers_are_turned_away_and_there_is_room_again_afterwards(
    registration: Registration,
) -> None:
    with Served(registration) as served:
        callers = [socket.socket(socket.AF_UNIX) for _ in range(32)]
        for caller in callers:
            caller.connect(served.entry.socket)
            caller.sendall(b'{"verb": "ping"}\n')
            assert caller.recv(1000)
        with pytest.raises(ControlError, match="too many callers"):
            ask(served.entry, "ping")
        for caller in callers:
            caller.shutdown(socket.SHUT_WR)
            assert caller.recv(1000) == b""
            caller.close()
        assert ask(served.entry, "ping")


def test_another_users_request_is_refused_even_if_he_got_as_far_as_the_socket(
    registration: Registration, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Served(registration) as served:
        served._server._welcome = {os.getuid() + 1}
        with pytest.raises(ControlError, match="another user's") as caught:
            ask(served.entry, "stop")
        assert caught.value.exit_code == 77
        assert served.otk.stopped == []


def test_closing_ends_the_callers_and_leaves_the_registry(registration: Registration) -> None:
    with Served(registration) as served:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(30)
        client.connect(served.entry.socket)
        client.sendall(b'{"verb": "ping"}\n')
        assert client.recv(1000)
    assert client.recv(1) == b""
    client.close()
    assert not os.path.exists(registration.entry.socket)
    with pytest.raises(NotRunningError) as caught:
        ask(registration.entry, "ping")
    assert caught.value.exit_code == 69


def test_a_server_that_does_not_answer_is_given_up_with_a_hint(registration: Registration) -> None:
    with pytest.raises(ControlError, match="kill -QUIT") as caught:  # it listens, no loop runs
        ask(registration.entry, "ping", timeout=0.01)
    assert caught.value.exit_code == 69


def test_an_answer_that_is_none_is_an_error_of_one_line(tmp_path: Path, registration: Registration) -> None:
    for answer in (b"", b"HTTP/1.0 200 OK\r\n\r\n", b"[]\n", b'{"ok": true}'):

        def reply(answer: bytes = answer) -> None:
            registration.socket.setblocking(True)
            peer, _ = registration.socket.accept()
            peer.recv(1000)
            peer.sendall(answer)
            peer.close()

        thread = threading.Thread(target=reply)
        thread.start()
        with pytest.raises(ControlError, match="no proper answer"):
            ask(registration.entry, "ping", timeout=30)
        thread.join()


def test_who_was_turned_away_before_he_spoke_reads_the_reason(registration: Registration) -> None:
    def turn_away() -> None:
        registration.socket.setblocking(True)
        peer, _ = registration.socket.accept()
        peer.sendall(b'{"ok": false, "error": "too many callers at once", "code": 69}\n')
        peer.close()
        gone.set()

    def connect_and_hesitate(path: str, *, timeout: float) -> socket.socket:
        caller = connect_socket(path, timeout=timeout)
        assert gone.wait(30)
        return caller

    gone = threading.Event()
    thread = threading.Thread(target=turn_away)
    thread.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("taphouse.control.client.connect_socket", connect_and_hesitate)
        with pytest.raises(ControlError, match="too many callers"):
            ask(registration.entry, "ping", timeout=30)
    thread.join()


def test_a_request_nobody_would_take_is_not_sent(registration: Registration) -> None:
    with pytest.raises(UsageError, match="too long"):
        ask(registration.entry, "backup", {"path": "/" + "x" * REQUEST_BYTES})


SERVER = """
import asyncio, sys
from taphouse.control import Actions, ControlServer, register

async def main():
    stopped = asyncio.Event()
    async def backup(path): return {}
    server = ControlServer(registration, Actions(lambda: {"n": 1}, lambda reason: stopped.set(), backup))
    await server.start()
    await stopped.wait()
    await server.close()

registration = register(name="otk")
print("registered", flush=True)
if sys.argv[1] == "uvloop":
    import uvloop
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
else:
    asyncio.run(main())
"""


@pytest.mark.process
@pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
def test_a_real_server_is_found_asked_and_stopped_by_name(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAPHOUSE_RUNTIME_DIR", str(tmp_path / "registry"))
    child = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", SERVER, kind],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "registered\n"
        entry: Entry = find_server("otk")
        status = ask(entry, "status", timeout=30)  # waits in the backlog until the loop runs
        assert (status["pid"], status["n"]) == (child.pid, 1)
        assert ask(entry, "stop", timeout=30)["pid"] == child.pid
        assert child.wait(30) == 0
        with pytest.raises(NotRunningError):
            find_server("otk")
        assert list((tmp_path / "registry").iterdir()) == []
    finally:
        child.kill()
        _, errors = child.communicate()
    assert errors == ""
