"""Disks that do not answer, and disks that are full to the last byte, under a real server."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from playground import PATIENCE_S, Playground

pytestmark = pytest.mark.process

HERE = Path(__file__).parent
STATE = "counted-shutdown.tap"
COUNTER = """\
from taphouse import Application, Factory, Protocol

class Count(Protocol):
    def connection_made(self, transport):
        self.factory.count += 1
        self.factory.ballast.append(bytes(self.factory.ballast_bytes))
        transport.write(b"%d\\n" % self.factory.count)
        transport.close()

class Counting(Factory):
    protocol = Count
    ballast_bytes = 0

    def __init__(self):
        self.count = 0
        self.ballast = []

app = Application("counted")
app.listenTCP(8123, Counting())

if __name__ == "__main__":
    app.save("start")
"""


@pytest.fixture
def counted(playground: Playground) -> Playground:
    """A folder with a counter and its seed."""
    playground.write("counted.py", COUNTER)
    playground.run("python", "counted.py")
    return playground


@pytest.fixture(scope="session")
def slow_sync(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that makes syncs slow."""
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    made = tmp_path_factory.mktemp("slowsync") / "slowsync.so"
    source = str(HERE / "slowsync.c")
    command = ["cc", "-std=gnu11", "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(made), source]
    subprocess.run([*command, "-ldl"], check=True)
    return made


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder whose syncs take no time, whatever else the disk has to do."""
    if not os.access("/dev/shm", os.W_OK):
        pytest.skip("there is no /dev/shm")
    with tempfile.TemporaryDirectory(prefix="taphouse-disks-", dir="/dev/shm") as folder:
        yield Path(folder)


@pytest.fixture
def small_disk(counted: Playground) -> Iterator[Path]:
    """A disk of 32 MB, mounted in the folder."""
    folder = counted.make_folder("disk")
    mounting = ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mounting, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root, and a container that may")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


FORCED = """\
import sys
from taphouse.cli.twistd import main
from taphouse.runtime import writer

writer.FORCED_PATH = {path!r}
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("path", ["inline", "thread"])
def test_a_disk_that_never_answers_is_the_end_and_what_it_kept_was_never_told(
    path: str, counted: Playground, slow_sync: Path, memory: Path
) -> None:
    state = str(memory / STATE)
    sync = counted.write("sync", "0")
    counted.write("forced.py", FORCED.format(path=path))
    counted.environment |= {"LD_PRELOAD": str(slow_sync), "SLOWSYNC": str(sync)}
    command = ("python", "forced.py", "-n", "-f", "counted-start.tap", "--state", state)
    child = counted.start(*command, "--commit-deadline", "2s")
    counted.wait_until(lambda: counted.accepts(8123), "the port")
    told = [int(counted.ask(8123)) for _ in range(12)]
    sync.write_text("stuck")
    with socket.create_connection(("127.0.0.1", counted.port(8123)), timeout=2 * PATIENCE_S) as client:
        said, _ = child.communicate(timeout=2 * PATIENCE_S)
        assert child.returncode == 74
        try:
            answer = client.recv(100)
        except ConnectionError:
            answer = b""
        assert answer == b""
    text = said.decode()
    assert "lies in memory (" in text
    assert "has not answered for 6 s" in text
    assert "a commit takes longer than 2 s" in text
    del counted.environment["LD_PRELOAD"]
    counted.run("twistd", "-f", state)
    assert int(counted.ask(8123)) in (told[-1] + 1, told[-1] + 2)


def test_a_disk_that_somebody_filled_to_the_last_byte_has_room_for_the_final_commit(
    counted: Playground, small_disk: Path
) -> None:
    state = str(small_disk / STATE)
    options = ("--state", state, "--free-space-warn", "0", "--free-space-stop", "0", "--free-space-fail", "0")
    start = ("twistd", "-n", "-f", "counted-start.tap", "--durability", "exit", *options)
    counted.write("counted.py", COUNTER.replace("ballast_bytes = 0", "ballast_bytes = 500_000"))
    child = counted.start(*start)
    counted.wait_until(lambda: counted.accepts(8123), "the port")
    last = [int(counted.ask(8123)) for _ in range(3)][-1]
    filler = small_disk / "filler"
    with pytest.raises(OSError, match="No space left"), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(65_536))
    child.terminate()
    said, _ = child.communicate(timeout=2 * PATIENCE_S)
    assert child.returncode == 74
    assert b"full" in said
    assert (small_disk / f"{STATE}-wal").exists()
    filler.unlink()
    counted.start(*start)
    counted.wait_until(lambda: counted.accepts(8123), "the port")
    assert int(counted.ask(8123)) >= last + 1
