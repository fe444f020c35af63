"""Each durability with real servers: what a kill takes away, and what it cannot."""

from __future__ import annotations

import json
import re
import signal
import socket

import pytest

from playground import PATIENCE_S, Playground
from taphouse.app import DURABILITIES
from taphouse.cli import tap, twistd
from taphouse.cli.starting.embedding import embedded
from taphouse.persist import read_document

COUNTER = """\
import asyncio
from taphouse import Application, Factory, durable

class Counter(Factory):
    def __init__(self):
        self.count = 0

    def add(self):
        self.count += 1

    async def serve(self, reader, writer):
        how = await reader.read()
        if how == b"thread":
            await asyncio.to_thread(durable.call, self.add)
        else:
            self.add()
        if how == b"committed":
            await durable.committed()
        writer.write(b"%d" % self.count)

app = Application("counter", durability="interval")
app.listenTCP(8123, Counter(), interface="127.0.0.1")

if __name__ == "__main__":
    app.save("start")
"""
SLOW = """\
import os, sys, time
from taphouse.cli.twistd import main
from taphouse.persist import SqliteStore
from taphouse.runtime import writer

def on_io(step):
    while step == "commit" and os.path.exists("stuck"):
        open("seen", "w").close()
        time.sleep(0.002)

SqliteStore.on_io = staticmethod(on_io)
writer.FORCED_PATH = sys.argv.pop(1)
sys.exit(main(sys.argv[1:]))
"""
process = pytest.mark.process


@pytest.fixture
def counter(playground: Playground) -> Playground:
    """A folder with counter.py."""
    playground.write("counter.py", COUNTER)
    return playground


def start(counter: Playground, durability: str | None = None) -> None:
    counter.run("tap", "start", "counter.py", *(() if durability is None else ("--durability", durability)))


def kill(counter: Playground) -> None:
    counter.kill(signal.SIGKILL, "counter.pid")


def durability_of(counter: Playground) -> str:
    """Return what `tap status` tells people."""
    lines = counter.run("tap", "status", "counter").stdout.splitlines()
    return next(line.split()[1] for line in lines if line.startswith("  durability"))


def count_in_tap(counter: Playground) -> int:
    """Return what a start would go on from."""
    objects = read_document(counter.folder / "counter-shutdown.tap")["objects"]
    return int(objects["Counter#1"]["state"]["count"])


@process
def test_at_an_interval_a_kill_loses_nothing_that_was_committed_by_the_clock(counter: Playground) -> None:
    start(counter)
    for n in range(1, 6):
        assert counter.ask(8123, b"plain") == b"%d" % n
    # Not the first commit of them all: the clock may have rung while they were counted.
    counter.wait_until(lambda: count_in_tap(counter) == 5, "a commit that nobody asked for")
    kill(counter)
    start(counter)
    assert int(counter.ask(8123, b"plain")) == 6
    log = counter.read("counter.log")
    assert "durability interval: a reply may be up to 1 s ahead of the disk" in log


@process
def test_output_waits_for_a_stuck_disk_behind_the_gate_and_only_there(counter: Playground) -> None:
    counter.write("slow.py", SLOW)
    stuck, seen = counter.folder / "stuck", counter.folder / "seen"

    def status(what: str) -> object:
        return json.loads(counter.run("tap", "status", "counter", "--json").stdout)[what]

    for durability, forced in (("interval", ""), ("gate", "thread")):
        # A disk that is stuck for 10 s would turn clients away, which is not what is looked at.
        options = ("--durability", durability, "--commit-deadline", "0")
        counter.run("python", "slow.py", forced, "-y", "counter.py", *options)
        stuck.touch()
        address = ("127.0.0.1", counter.port(8123))
        with socket.create_connection(address, timeout=PATIENCE_S) as client:
            client.sendall(b"plain")
            client.shutdown(socket.SHUT_WR)
            counter.wait_until(seen.exists, "the commit")
            if durability == "interval":
                assert client.recv(10) == b"1"
                assert counter.ask(8123, b"plain") == b"2"
                assert (status("commits"), status("commit_path")) == (1, "thread")
            else:
                counter.wait_until(lambda: status("held") == {"now_bytes": 1, "most_bytes": 1}, "a reply")
                client.setblocking(False)
                with pytest.raises(BlockingIOError):
                    client.recv(10)
                stuck.unlink()
                client.settimeout(PATIENCE_S)
                assert client.recv(10) == b"3"
        stuck.unlink(missing_ok=True)
        counter.kill()
        seen.unlink()


@process
def test_at_exit_a_kill_goes_back_to_the_start_and_a_stop_keeps_all(counter: Playground) -> None:
    start(counter, "exit")
    assert [counter.ask(8123, b"plain") for _ in range(3)] == [b"1", b"2", b"3"]
    status = json.loads(counter.run("tap", "status", "counter", "--json").stdout)
    assert (status["durability"], status["commits"]) == ("exit", 1)
    kill(counter)
    start(counter, "exit")
    assert [counter.ask(8123, b"plain") for _ in range(3)] == [b"1", b"2", b"3"]
    counter.kill(signal.SIGTERM, "counter.pid")
    assert re.search(r" 2 commits \(exit, \w+\): median ", counter.read("counter.log"))
    start(counter, "exit")
    assert counter.ask(8123, b"plain") == b"4"


@process
@pytest.mark.parametrize("durability", DURABILITIES)
def test_what_was_waited_for_survives_a_kill_at_any_durability(counter: Playground, durability: str) -> None:
    start(counter, durability)
    assert [counter.ask(8123, how) for how in (b"plain", b"committed")] == [b"1", b"2"]
    kill(counter)
    start(counter, durability)
    assert [counter.ask(8123, how) for how in (b"plain", b"thread")] == [b"3", b"4"]
    kill(counter)
    start(counter)
    assert counter.ask(8123, b"plain") == b"5"


@process
def test_a_tap_says_how_durable_it_is_and_a_run_may_say_otherwise(counter: Playground) -> None:
    counter.run("python", "counter.py")
    assert "durability  interval" in counter.run("tap", "show", "counter-start.tap").stdout
    counter.run("twistd", "-f", "counter-start.tap", "--durability", "gate")
    assert durability_of(counter) == "gate"
    assert "durability" not in counter.read("twistd.log")
    counter.kill()
    counter.run("twistd", "-f", "counter-shutdown.tap")
    assert durability_of(counter) == "interval"


@pytest.mark.parametrize("command", ["twistd", "run", "start"])
def test_commands_know_the_durabilities_of_an_application(command: str) -> None:
    parser = twistd.make_parser() if command == "twistd" else tap.verb_parser(command)
    (choices,) = [a.choices for a in parser._actions if "--durability" in a.option_strings]
    assert list(choices or ()) == list(DURABILITIES)


def test_an_embedded_run_refuses_a_durability_that_means_nothing() -> None:
    from taphouse import Application

    app = Application("embedded")
    for options, said in (({"durability": "often"}, "use gate, interval or exit"),
                          ({"durability": "exit", "save": False}, "keeps no state")):  # fmt: skip
        with pytest.raises(ValueError, match=said):
            embedded(app, **options).__aenter__().send(None)  # type: ignore[arg-type]
