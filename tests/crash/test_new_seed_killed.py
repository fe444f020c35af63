"""A start with a new seed is killed wherever it touches a tap: there is the old state or the new one, whole.

What clients were told before is in either, and the next start goes on: it merges if nothing was merged,
and does not merge again if it was.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from dyingserver import OUTPUT

from playground import Playground
from taphouse.cli.starting.reseeding import record_seed
from taphouse.persist import check_integrity, read_info

pytestmark = [pytest.mark.process, pytest.mark.slow]

HERE = Path(__file__).parent
ROUNDS = int(os.environ.get("TAPHOUSE_NEW_SEED_KILLS", "3"))
"""Kills that are tried; 0 means one at every place."""
SERVER = """
import sys

from taphouse import Application, Factory, Protocol


class Turn(Protocol):
    def connection_made(self, transport):
        self.factory.given += 1
        transport.write(b"%s %d\\n" % (self.factory.greeting.encode(), self.factory.given))
        transport.close()


class Turns(Factory):
    protocol = Turn

    def __init__(self, greeting):
        self.greeting = greeting
        self.given = 0
        self.table = {number: [number] for number in range(1200)}


app = Application("turns")
app.listenTCP(8300, Turns(sys.argv[1] if sys.argv[1:] else ""), interface="127.0.0.1")

if __name__ == "__main__":
    app.save(sys.argv[1])
"""


class Place:
    """A state that a killed server has left, and the seed of a new version."""

    def __init__(self, ground: Playground) -> None:
        self.ground = ground
        ground.write("turns.py", SERVER)
        ground.run("python", "turns.py", "old")
        ground.run("python", "turns.py", "new")
        ground.run("twistd", "-f", "turns-old.tap", "--state", "state.tap")
        assert ground.ask(8300) == b"old 1\n"
        ground.kill(signal.SIGKILL)
        (ground.folder / ".state.tap.lock").unlink()
        self.taps = {path.name: path.read_bytes() for path in self.found()}

    def found(self) -> list[Path]:
        """Return every tap, and what belongs to one."""
        return [path for path in self.ground.folder.iterdir() if ".tap" in path.name and path.is_file()]

    def lay(self) -> None:
        """Let it be as it was before."""
        for path in self.found():
            path.unlink()
        for name, content in self.taps.items():
            (self.ground.folder / name).write_bytes(content)
        for left in self.ground.folder.glob(".*.renewing"):
            for path in left.iterdir():
                path.unlink()
            left.rmdir()

    def start(self, number: int) -> tuple[int, int]:
        """Start, ask once if it serves, end it.

        Returns:
            Its status, and the number that it has given away, 0 if none.
        """
        ground, said = self.ground, self.ground.folder / "mine.log"
        said.unlink(missing_ok=True)
        words = ("-n", "-f", "turns-new.tap", "--state", "state.tap", "--pidfile", "", "-l", "mine.log")
        server = ground.start(sys.executable, str(HERE / "dyingserver.py"), str(number), *words)

        def has_come_far() -> bool:
            return server.poll() is not None or (said.exists() and "Turns starting on" in said.read_text())

        ground.wait_until(has_come_far, "its start or end")
        answer = b""
        with suppress(ConnectionError):
            answer = ground.ask(8300)
        if server.poll() is None:
            server.send_signal(signal.SIGTERM)
        return server.wait(), int(answer.removeprefix(b"new ") or b"0")


@pytest.fixture
def place(playground: Playground) -> Place:
    return Place(playground)


def test_wherever_it_is_killed_the_state_is_the_old_one_or_the_new_one(place: Place) -> None:
    folder = place.ground.folder
    new = record_seed(str(folder / "turns-new.tap"), {})["digest"]
    assert place.start(0) == (0, 2)
    touched = (folder / OUTPUT).read_text().splitlines()
    [link] = [at for at, line in enumerate(touched, 1) if line.startswith("os.link")]
    numbers = list(range(1, len(touched) + 1))
    if ROUNDS:
        seed = int(os.environ.get("TAPHOUSE_SEED", random.SystemRandom().randrange(2**32)))
        chance = random.Random(seed)
        # One of them about where the new tap gets its name.
        numbers = [*chance.sample(numbers, ROUNDS - 1), link + chance.randrange(4)]
        print(f"\nTAPHOUSE_SEED={seed}: {numbers} of {len(touched)} places")
    merged = 0
    for number in numbers:
        place.lay()
        status, told = place.start(number)
        about = f"killed at {number}, {touched[number - 1]}"
        assert status == -signal.SIGKILL, about
        check_integrity(folder / "state.tap")
        is_new = read_info(folder / "state.tap").plan["seed"]["digest"] == new
        status, next_told = place.start(0)
        # A number may have been given to a client that died with the server.
        assert status == 0, about
        assert next_told in ((told + 1,) if told else (2, 3)), about
        said = place.ground.read("mine.log")
        assert ("is merged into the state" in said) == (not is_new), about
        check_integrity(folder / "state.tap.1")
        merged += is_new
    print(f"{len(numbers)} starts killed: {len(numbers) - merged} left the old state, {merged} the new one")
