"""kill -9 at random instants: nothing that a client was told is forgotten, and nothing is torn."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from playground import Playground

pytestmark = [pytest.mark.process, pytest.mark.slow]

APP = Path(__file__).with_name("keys_under_fire.py")
ROUNDS = int(os.environ.get("TAPHOUSE_KILL_ROUNDS", "50"))
CLIENTS = 8
LONGEST_LIFE_S = 0.3


class Client(threading.Thread):
    """Takes keys as fast as it can until the server is gone; keeps its own record."""

    def __init__(self, path: str) -> None:
        super().__init__(daemon=True)
        self.path = path
        self.keys: list[int] = []

    def run(self) -> None:
        while True:
            try:
                with socket.socket(socket.AF_UNIX) as connection:
                    connection.settimeout(10)
                    connection.connect(self.path)
                    line = connection.makefile("rb").readline()
            except OSError:
                return
            if line.endswith(b"\n"):
                self.keys.append(int(line))


class Witness:
    """What the server said outside of its tap, read anew after each death."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.highest = -1
        self.thawed = (0, True)
        self.inside_a_write = False

    def read(self) -> None:
        self.inside_a_write = False
        for line in self.path.read_bytes().splitlines():
            word, *rest = line.split()
            if word == b"commit":
                self.highest = max(self.highest, int(rest[0]))
            elif word == b"thaw":
                self.thawed = (int(rest[0]), rest[1] == b"whole")
                self.inside_a_write = False
            else:
                self.inside_a_write = word == b"begin"
        self.path.write_bytes(b"")


def test_a_killed_server_never_goes_back_behind_a_commit_that_returned(playground: Playground) -> None:
    witness = Witness(playground.folder / "witness")
    playground.environment["TAPHOUSE_WITNESS"] = str(witness.path)
    shutil.copy(APP, playground.folder)
    playground.run("python", "-c", "from keys_under_fire import app; app.save('start')")
    seed = int(os.environ.get("TAPHOUSE_SEED", random.SystemRandom().randrange(2**32)))
    print(f"\nTAPHOUSE_SEED={seed}")
    chance = random.Random(seed)
    tap, wal = "underfire-start.tap", playground.folder / "underfire-shutdown.tap-wal"
    full_wals = inside_a_write = repeated = 0
    seen: set[int] = set()
    for number in range(ROUNDS + 1):
        playground.run("twistd", "-f", tap)
        tap = "underfire-shutdown.tap"
        committed = witness.highest
        witness.read()
        nextkey, whole = witness.thawed
        assert whole, f"round {number}: the thawed values are of different instants"
        assert not [key for key in seen if key >= nextkey], f"round {number}: a client's key is lost"
        assert nextkey > committed, f"round {number}: thawed at {nextkey}, but key {committed} was committed"
        if number == ROUNDS:
            break
        clients = [Client(str(playground.folder / "fire.sock")) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        # The one wait that is the test itself: the instant of death is uniformly random.
        time.sleep(chance.uniform(0.0, LONGEST_LIFE_S))
        playground.kill(signal.SIGKILL)
        for client in clients:
            client.join(20)
            repeated += sum(key in seen for key in client.keys)
            seen.update(client.keys)
        witness.read()
        inside_a_write += witness.inside_a_write
        full_wals += wal.exists() and wal.stat().st_size > 0
    print(
        f"{ROUNDS} kills under {CLIENTS} clients: {len(seen)} keys handed out, "
        f"{witness.highest + 1} committed, {repeated} repeated, 0 lost, 0 states behind the witness;\n"
        f"{full_wals} kills left a WAL that is not empty, {inside_a_write} were inside a commit or a fold"
    )
    assert repeated == 0
    assert full_wals >= ROUNDS // 2
    assert inside_a_write >= ROUNDS // 10
