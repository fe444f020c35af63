"""A server whose storage fails while it runs is gone at once, misleads nobody, and the next one goes on."""

from __future__ import annotations

import os
import select
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli.badinput import contents
from playground import PATIENCE_S, Playground, why_no_mounts

pytestmark = pytest.mark.process

COUNTING = """\
import os
import threading
from concurrent.futures import ThreadPoolExecutor

from taphouse import Application, Factory, Protocol
from taphouse.persist import store

if "BROKEN_AT" in os.environ:
    commit = store.SqliteStore.commit

    def broken(self, turn):
        if turn.number > int(os.environ["BROKEN_AT"]):
            raise OSError(5, "the disk is broken")
        return commit(self, turn)

    store.SqliteStore.commit = broken

class Counting(Protocol):
    def data_received(self, data):
        self.factory.count += 1
        self.transport.write(b"%d\\n" % self.factory.count)
        if data == b"close\\n":
            self.transport.close()

class Counter(Factory):
    protocol = Counting

    def __init__(self):
        self.count = 0

    def started(self):
        if "STUCK" in os.environ:
            self._v_pool = ThreadPoolExecutor(1)
            self._v_pool.submit(threading.Event().wait)

app = Application("counting")
app.listenTCP(8124, Counter(), interface="127.0.0.1")

"""
STATE = "counting-shutdown.tap"


class Counted:
    """The playground with the server, and the connections to it."""

    def __init__(self, playground: Playground) -> None:
        self.playground, self.folder = playground, playground.folder
        self.connections: list[socket.socket] = []
        playground.write("counting.py", COUNTING)

    def run(self) -> subprocess.Popen[bytes]:
        """Start the server in the foreground; it goes on from its state if there is one."""
        child = self.playground.start("twistd", "-n", "-y", "counting.py")
        self.playground.wait_until(lambda: self.playground.accepts(8124), "the port")
        return child

    def connect(self) -> socket.socket:
        """Return a connection."""
        made = socket.create_connection(("127.0.0.1", self.playground.port(8124)), timeout=PATIENCE_S)
        self.connections.append(made)
        return made

    def count(self, connection: socket.socket) -> int:
        """Have it count one up."""
        connection.sendall(b"\n")
        return int(connection.recv(100))

    def count_to_the_end(self) -> int:
        """Have it count until it resets the connection; return the last number it gave."""
        connection, told = self.connect(), 0
        try:
            while True:
                connection.sendall(b"\n")
                answer = connection.recv(100)
                assert answer, "an orderly end"
                told = int(answer)
        except ConnectionError:
            return told


@pytest.fixture
def counting(playground: Playground) -> Iterator[Counted]:
    made = Counted(playground)
    yield made
    for connection in made.connections:
        connection.close()


def test_every_client_of_a_server_that_fails_sees_a_reset_and_none_an_orderly_end(counting: Counted) -> None:
    counting.playground.environment["BROKEN_AT"] = "6"
    child = counting.run()
    idle, told = counting.connect(), 0
    with pytest.raises(ConnectionError):
        while True:
            asking = counting.connect()
            asking.sendall(b"close\n")
            told += 1
            assert asking.recv(100) == b"%d\n" % told, "an orderly end, or a lie"
            assert not asking.recv(100)
    assert told > 1
    with pytest.raises(ConnectionError):
        idle.recv(100)
    said = child.communicate(timeout=PATIENCE_S)[0].decode()
    assert child.returncode == 74
    assert "Traceback" not in said
    assert "the disk is broken" in said.splitlines()[-1]


def test_a_daemon_that_fails_is_gone_from_status_and_leaves_neither_socket_nor_pidfile(
    counting: Counted,
) -> None:
    playground = counting.playground
    playground.environment["BROKEN_AT"] = "3"
    playground.run("twistd", "-y", "counting.py")
    assert "running" in playground.run("tap", "status", STATE).stdout
    process = os.pidfd_open(playground.pid())
    try:
        told = counting.count_to_the_end()
        ended = select.poll()
        ended.register(process, select.POLLIN)
        assert ended.poll(PATIENCE_S * 1000), "the daemon does not end"
    finally:
        os.close(process)
    assert "counting" not in playground.run("tap", "status", status=None).stdout
    playground.run("tap", "status", STATE, status=69)
    assert not list((counting.folder / ".run").rglob("*.sock"))
    assert "twistd.pid" not in playground.files()
    assert "the disk is broken" in playground.read("twistd.log").splitlines()[-1]
    del playground.environment["BROKEN_AT"]
    playground.run("twistd", "-y", "counting.py")
    assert counting.count(counting.connect()) == told + 1


def test_a_thread_that_waits_for_ever_does_not_keep_a_failed_server(counting: Counted) -> None:
    counting.playground.environment.update(BROKEN_AT="2", STUCK="yes")
    child = counting.run()
    counting.count_to_the_end()
    child.communicate(timeout=PATIENCE_S)
    assert child.returncode == 74


def _replace(path: Path) -> None:
    content = path.read_bytes()
    path.rename(path.with_name("elsewhere"))
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "harm"),
    [(STATE, _replace), (f".{STATE}.lock", Path.unlink)],
    ids=["tap_replaced", "lock_removed"],
)
def test_a_server_whose_files_are_taken_away_ends_and_goes_on_when_they_are_back(
    counting: Counted, name: str, harm: Callable[[Path], None]
) -> None:
    child = counting.run()
    before = counting.count(counting.connect())
    harm(counting.folder / name)
    told = counting.count_to_the_end()
    last = child.communicate(timeout=PATIENCE_S)[0].decode().splitlines()[-1]
    assert child.returncode == 74
    assert f"{name} was moved, removed or replaced by somebody else" in last
    assert "bring its files back" in last
    if "lock" not in name:
        (counting.folder / "elsewhere").replace(counting.folder / name)
    counting.run()
    # A commit that was made before anybody looked may be in the file too; none is missing that was told.
    assert counting.count(counting.connect()) > max(before, told)


@pytest.mark.skipif(bool(why_no_mounts()), reason=why_no_mounts())
@pytest.mark.parametrize("is_new", [True, False], ids=["new", "there"])
def test_a_state_on_a_read_only_disk_is_refused_before_anything_is_touched(
    counting: Counted, *, is_new: bool
) -> None:
    playground = counting.playground
    if not is_new:
        playground.run("twistd", "-y", "counting.py")
        playground.kill()
    disk = playground.make_folder("disk")
    for name in {"counting.py", STATE} & playground.files():
        (counting.folder / name).rename(disk / name)
    words = f"-y disk/counting.py --state disk/{STATE}" if is_new else f"-f disk/{STATE}"
    before = contents(playground)
    mount = "mount --bind disk disk && mount -o remount,bind,ro disk"
    done = playground.run("unshare", "-m", "sh", "-c", f"{mount} && exec twistd -n {words}", status=73)
    (line,) = done.stderr.splitlines()
    assert f"{disk} is mounted read-only; mount it for writing, or keep the state elsewhere" in line
    assert contents(playground) == before
