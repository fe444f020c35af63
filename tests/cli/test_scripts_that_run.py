"""Scripts that run or save what they build: `app.run()`, no main guard, globals, errors in one line."""

from __future__ import annotations

import re
import signal
import socket

import pytest

from playground import Playground

pytestmark = pytest.mark.process

COUNTER = """\
from taphouse import Application, Factory

class Counter(Factory):
    def __init__(self):
        self.count = 0

    async def serve(self, reader, writer):
        {change}
        writer.write(b"%d\\n" % self.count)

counter = Counter()
app = Application("counter")
app.listenTCP(8125, counter, interface="127.0.0.1")
{end}
"""


def write(playground: Playground, *, change: str = "self.count += 1", end: str = "app.run()") -> None:
    playground.write("counter.py", COUNTER.format(change=change, end=end))


def run_and_ask(playground: Playground, *command: str) -> tuple[list[bytes], str]:
    """Run in the foreground, ask twice, interrupt, and return answers and output."""
    child = playground.start(*command)
    assert child.stdout is not None
    said = b""
    while b"Starting factory" not in said:
        line = child.stdout.readline()
        assert line, said.decode()
        said += line
    answers = [playground.ask(8125) for _ in range(2)]
    child.send_signal(signal.SIGINT)
    said += child.communicate(timeout=30)[0]
    assert child.returncode == 0, said.decode()
    return answers, said.decode()


def test_a_script_that_runs_itself_goes_on_from_its_state(playground: Playground) -> None:
    write(playground)
    assert run_and_ask(playground, "python", "counter.py")[0] == [b"1\n", b"2\n"]
    answers, said = run_and_ask(playground, "python", "counter.py")
    assert answers == [b"3\n", b"4\n"]
    assert re.search(r"\[-\] taphouse \S+ \(python \S+\) starting up", said)
    assert "Going on from counter-shutdown.tap" in said
    assert playground.files() == {"counter.py", "counter-shutdown.tap"}


def test_state_of_a_script_that_ran_itself_is_gone_on_from_by_twistd(playground: Playground) -> None:
    write(playground)
    run_and_ask(playground, "python", "counter.py")
    playground.run("twistd", "-f", "counter-shutdown.tap")
    assert playground.ask(8125) == b"3\n"
    playground.kill()
    playground.run("twistd", "-y", "counter.py")
    assert playground.ask(8125) == b"4\n"


def test_a_global_of_a_script_that_runs_itself_is_the_server_s_own_object(playground: Playground) -> None:
    write(playground, change="counter.count += 1")
    run_and_ask(playground, "python", "counter.py")
    assert run_and_ask(playground, "python", "counter.py")[0] == [b"3\n", b"4\n"]


def test_a_global_changed_in_a_thawed_server_is_an_error_that_points_to_the_factory(
    playground: Playground,
) -> None:
    write(playground, change="counter.count += 1", end='app.save("start")')
    playground.run("python", "counter.py")
    playground.run("twistd", "-f", "counter-start.tap")
    assert playground.ask(8125) == b""
    playground.kill()
    log = playground.read("twistd.log")
    assert "built by the module when that was imported, and is not the server's; use self.factory" in log


@pytest.mark.parametrize(
    "end",
    [
        'app.save("start")',
        "app.run()",
        'app.save("start")\nraise SystemExit(0)',
        "import sys\nsys.exit(app.run())",
    ],
)
def test_an_unguarded_script_does_nothing_but_build_when_it_is_started_by_a_command(
    playground: Playground, end: str
) -> None:
    write(playground, end=end)
    playground.run("twistd", "-y", "counter.py")
    assert playground.ask(8125) == b"1\n"
    playground.kill()
    assert playground.files() - {"__pycache__"} == {"counter.py", "counter-shutdown.tap", "twistd.log"}


def test_a_script_whose_port_is_busy_ends_in_one_line(playground: Playground) -> None:
    write(playground)
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", playground.port(8125)))
        busy.listen()
        done = playground.run("python", "counter.py", status=69)
    assert done.stderr.startswith(f"counter.py: port {playground.port(8125)}")
    assert len(done.stderr.splitlines()) == 1
    assert playground.files() == {"counter.py"}


def test_a_second_run_of_the_same_script_is_refused_by_the_first(playground: Playground) -> None:
    write(playground)
    first = playground.start("python", "counter.py")
    playground.wait_until(lambda: (playground.folder / "counter-shutdown.tap").exists(), "the state")
    assert playground.ask(8125) == b"1\n"
    done = playground.run("python", "counter.py", status=75)
    assert str(first.pid) in done.stderr
    assert playground.ask(8125) == b"2\n"


def test_running_is_for_the_main_thread_and_outside_of_a_loop(playground: Playground) -> None:
    write(playground, end="import asyncio\nasync def main():\n    app.run()\nasyncio.run(main())")
    done = playground.run("python", "-W", "ignore", "counter.py", status=1)
    assert "app.run() inside of a running event loop; write: await app.serve()" in done.stderr
    write(playground, end="import threading\nt = threading.Thread(target=app.run)\nt.start(); t.join()")
    done = playground.run("python", "-W", "ignore", "counter.py", status=None)
    assert "app.run() needs the main thread" in done.stderr


def test_classes_of_a_script_exist_once(playground: Playground) -> None:
    """A class in ``__main__`` is the one that its own thawed objects are instances of."""
    write(playground, change="self.count += isinstance(self, Counter) and type(self) is Counter")
    run_and_ask(playground, "python", "counter.py")
    assert run_and_ask(playground, "python", "counter.py")[0] == [b"3\n", b"4\n"]
