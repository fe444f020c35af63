"""kv as a process, under clients that take nothing and give nothing, and on a disk that is full."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import redis

from makers.kvclient import redis_client, request
from playground import PATIENCE_S, Playground, why_no_mounts

pytestmark = pytest.mark.process
needs_mounts = pytest.mark.skipif(bool(why_no_mounts()), reason=why_no_mounts())

PORT = 8208
MB = 1 << 20


class Pressed:
    """A running kv, and raw connections to it."""

    def __init__(self, playground: Playground, stack: ExitStack) -> None:
        self.playground, self._stack = playground, stack
        playground.example("08-kv/kv.py")

    def connect(self) -> socket.socket:
        """Return a connection that nobody reads from unless told."""
        made = socket.create_connection(("127.0.0.1", self.playground.port(PORT)), timeout=PATIENCE_S)
        return self._stack.enter_context(made)

    def client(self) -> redis.Redis:
        """Return a client that reports a lost connection instead of connecting anew."""
        return self._stack.enter_context(redis_client(self.playground.port(PORT)))

    def serves(self) -> bool:
        """Say whether somebody who comes now is answered; an impatient server may hang up before it hears."""
        try:
            return self.client().incr("served") > 0
        except redis.ConnectionError:
            return False

    def resident_bytes(self) -> int:
        """Return the memory that the server holds."""
        statm = Path(f"/proc/{self.playground.pid('kv.pid')}/statm").read_text()
        return int(statm.split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def kv(playground: Playground) -> Iterator[Pressed]:
    with ExitStack() as stack:
        yield Pressed(playground, stack)


def test_clients_that_never_read_cost_little_memory_and_hold_up_nobody(kv: Pressed) -> None:
    kv.playground.run("tap", "start", "kv.py")
    client = kv.client()
    client.set("big", b"x" * MB)
    before = kv.resident_bytes()
    asked = 0
    for _ in range(20):
        rude = kv.connect()
        rude.setblocking(False)
        for _ in range(100):
            try:
                asked += rude.send(request("GET", "big") * 10) // len(request("GET", "big"))
            except BlockingIOError:
                break
        assert client.incr("served") > 0
    assert asked > 10_000  # of a megabyte each
    assert client.get("big") == b"x" * MB
    grown = kv.resident_bytes() - before
    assert grown < 20 * 4 * MB, f"{grown / MB:.0f} MB more for 20 clients that do not read"


def test_clients_that_connect_and_stall_are_limited_and_hung_up_on(kv: Pressed) -> None:
    kv.playground.run("tap", "start", "kv.py", "--idle-timeout", "400ms", "--max-connections", "30")
    stalled = []
    for _ in range(40):
        with suppress(ConnectionError):  # one too many may hear of it while it connects
            stalled.append(kv.connect())
    assert len(stalled) >= 30
    for number, connection in enumerate(stalled):
        if number % 2:
            with suppress(ConnectionError):  # it was one too many
                connection.send(b"*2\r\n$3\r\nGET\r\n$5\r\n")  # and no more
    for connection in stalled:
        with suppress(ConnectionError):
            assert not connection.recv(1000)
    kv.playground.wait_until(kv.serves, "an answer")


# --- a disk that is full ---------------------------------------------------------------------------------


class SmallDisk:
    """A file system in memory that only its own processes see; kept by one that sleeps."""

    def __init__(self, kv: Pressed, size: str) -> None:
        self.kv, playground = kv, kv.playground
        folder = playground.make_folder("disk")
        line = (
            f"mount -t tmpfs -o mode=755,size={size} none {folder} && touch {folder}/there && exec sleep 1000"
        )
        self._keeper = playground.start("unshare", "-m", "sh", "-c", line)
        self.outside, self.folder = folder, Path(f"/proc/{self._keeper.pid}/root{folder}")
        playground.wait_until((self.folder / "there").exists, "the disk")

    def words(self, *command: str) -> list[str | int]:
        """Return the words that run a command there."""
        enter = ["nsenter", "-t", self._keeper.pid, "-m", "-r"]
        return [*enter, "sh", "-c", f'cd {self.outside} && exec "$@"', "sh", *command]

    def resize(self, size: str) -> None:
        """Make it another size."""
        line = f"mount -o remount,size={size} {self.outside}"
        self.kv.playground.run("nsenter", "-t", self._keeper.pid, "-m", "-r", "sh", "-c", line)

    def fill_up_to(self, free_bytes: int) -> None:
        """Let somebody else leave so much of it."""
        filler = self.folder / "filler"
        filler.unlink(missing_ok=True)
        found = os.statvfs(self.folder)
        with filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, found.f_bavail * found.f_frsize - free_bytes)

    def start(self, *more: str) -> subprocess.Popen[bytes]:
        """Start kv there, in the foreground; returns when it answers, or has ended."""
        child = self.kv.playground.start(
            *self.words("twistd", "-n", "-y", "../kv.py", "--drain", "50ms", *more)
        )
        playground = self.kv.playground

        def answers() -> bool:
            try:
                with self.kv.connect() as connection:
                    connection.sendall(request("PING"))
                    return connection.recv(100) == b"+PONG\r\n"
            except ConnectionError:
                return child.poll() is not None

        playground.wait_until(answers, "an answer")
        return child


@needs_mounts
def test_a_disk_that_fills_up_while_clients_write_loses_nothing_that_was_acknowledged(kv: Pressed) -> None:
    disk = SmallDisk(kv, "24m")
    no_marks = [word for mark in ("warn", "stop", "fail") for word in (f"--free-space-{mark}", "0")]
    child = disk.start(*no_marks)
    client, stored = kv.client(), 0
    with pytest.raises(redis.ConnectionError):
        while stored < 1000:
            assert client.set(f"key:{stored}", b"%d" % stored * 20_000)
            stored += 1
    last = child.communicate(timeout=PATIENCE_S)[0].decode().splitlines()[-1]
    assert child.returncode == 74
    assert "full" in last
    assert "free space on its disk" in last
    assert 10 < stored < 1000
    disk.resize("200m")
    disk.start(*no_marks)
    client = kv.client()
    assert client.dbsize() - stored in {0, 1}
    for number in range(stored):
        assert client.get(f"key:{number}") == b"%d" % number * 20_000


@needs_mounts
def test_before_the_disk_is_full_nobody_new_is_let_in_and_then_the_server_stops_in_order(kv: Pressed) -> None:
    disk = SmallDisk(kv, "60m")
    marks = ("--free-space-warn", "40MiB", "--free-space-stop", "20MiB", "--free-space-fail", "10MiB")
    child = disk.start(*marks)
    client = kv.client()
    assert client.set("a", "1")

    def is_let_in() -> bool:
        try:
            connection = kv.connect()
            connection.sendall(request("PING"))
            return connection.recv(100) == b"+PONG\r\n"
        except ConnectionError:
            return False

    disk.fill_up_to(15 * MB)
    kv.playground.wait_until(lambda: not is_let_in(), "the door to be closed")
    assert client.incr("a") == 2
    assert "kv: not ready" in kv.playground.run("tap", "status", child.pid).stdout
    disk.fill_up_to(30 * MB)
    kv.playground.wait_until(is_let_in, "the door to be open")
    disk.fill_up_to(5 * MB)
    said = child.communicate(timeout=PATIENCE_S)[0].decode()
    assert child.returncode == 74
    assert "kB are free on its disk; free some" in said.splitlines()[-1]
    assert "Traceback" not in said
    assert not list(disk.folder.glob("*-wal")), "it was not closed"
    disk.fill_up_to(5 * MB)  # the reserve was given back
    before = {path.name: path.read_bytes() for path in disk.folder.glob("*.tap*")}
    again = disk.start(*marks)
    assert b"kB are free" in again.communicate(timeout=PATIENCE_S)[0].splitlines()[-1]
    assert again.returncode == 74
    assert {path.name: path.read_bytes() for path in disk.folder.glob("*.tap*")} == before
    disk.fill_up_to(50 * MB)
    disk.start(*marks)
    assert kv.client().get("a") == b"2"
