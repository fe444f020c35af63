"""Starting: the port is open when ``twistd`` returns, and one tap has one server by whatever path."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from playground import Playground

pytestmark = [pytest.mark.process, pytest.mark.slow]

STARTS = int(os.environ.get("TAPHOUSE_STARTS", "8"))
ROUNDS = int(os.environ.get("TAPHOUSE_BARRIER_ROUNDS", "2"))
STARTERS = 50

SERVER = """
from taphouse import Application, Factory
from taphouse.protocols import Daytime

clock = Factory()
clock.protocol = Daytime
app = Application("clock")
app.listenTCP(8813, clock)
app.save("start")
"""


@pytest.fixture
def four_cpu_hogs() -> Iterator[None]:
    """Four processes that do nothing but use the processors."""
    hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(4)]
    yield
    for hog in hogs:
        hog.kill()
        hog.wait()


def test_the_first_connect_after_twistd_returned_succeeds_beside_four_cpu_hogs(
    playground: Playground, four_cpu_hogs: None
) -> None:
    playground.write("clock.py", SERVER)
    playground.run("python", "clock.py")
    tap = "clock-start.tap"
    for _ in range(STARTS):
        playground.run("twistd", "-f", tap)
        assert playground.ask(8813).endswith(b"\r\n")
        playground.kill()
        tap = "clock-shutdown.tap"
    print(f"\n{STARTS} starts beside four CPU hogs: {STARTS} first connects answered")


def test_of_fifty_starts_through_any_path_one_serves_and_the_others_name_it(playground: Playground) -> None:
    playground.write("clock.py", SERVER)
    playground.run("python", "clock.py")
    playground.run("twistd", "-f", "clock-start.tap")
    playground.kill()
    state = playground.folder / "clock-shutdown.tap"
    barrier = playground.write("barrier", "")
    commands = []
    for number in range(STARTERS):
        folder = playground.make_folder(f"run{number}")
        tap = folder / "mine.tap"
        if number % 3 == 0:
            os.link(state, tap)
        elif number % 3 == 1:
            tap.symlink_to(state)
        else:
            tap = state
        commands.append(["flock", "-s", str(barrier), "twistd", "-d", str(folder), "-f", str(tap)])
    refused = 0
    for _ in range(ROUNDS):
        with barrier.open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            starts = [
                subprocess.Popen(
                    command,
                    cwd=playground.folder,
                    env=playground.environment,
                    stdin=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    text=True,
                )
                for command in commands
            ]
        said = [start.communicate()[1] for start in starts]
        ends = [(start.returncode, text) for start, text in zip(starts, said, strict=True)]
        winners = [number for number, (code, _) in enumerate(ends) if code == 0]
        assert len(winners) == 1, [end for end in ends if end[0] != 75]
        pidfile = f"run{winners[0]}/twistd.pid"
        pid = playground.pid(pidfile)
        assert playground.ask(8813).endswith(b"\r\n")
        for number, (code, text) in enumerate(ends):
            if number != winners[0]:
                assert code == 75, text
                verdict = text.splitlines()[-1]  # lines before it say that, and for what, it waited
                assert str(pid) in verdict, f"pid {pid} serves, but: {text}"
                refused += 1
        playground.kill(pidfile=pidfile)
    print(f"\n{ROUNDS} rounds of {STARTERS} starts: one served each time, {refused} named it, exit 75")
