"""kill -9 at random instants: what a client was told is there, and done once, and nothing is torn."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import shutil
import signal
from pathlib import Path

import pytest

from playground import PATIENCE_S, Playground

pytestmark = [pytest.mark.process, pytest.mark.slow]

APP = Path(__file__).with_name("keys_under_fire.py")
ROUNDS = int(os.environ.get("TAPHOUSE_KILL_ROUNDS", "30"))
CLIENTS = 16
UNDER_WAY = 8
"""Requests that a client has sent and was not answered."""
LONGEST_LIFE_S = 0.3


class Client:
    """Takes keys as fast as it can until the server is gone; keeps its own record, outside of the server."""

    def __init__(self, number: int, path: Path) -> None:
        self.number, self.path = number, path
        self.sent = 0
        self.told = 0
        self.keys: set[int] = set()
        self.wrong = ""

    async def live(self) -> None:
        """Go on where the server says this client was, with requests under way, until the server dies."""
        self.keys = set()
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_unix_connection(self.path)
            try:
                await self._talk(reader, writer)
            finally:
                writer.close()
                await writer.wait_closed()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"%d\n" % self.number)
        done = int((await reader.readuntil(b"\n")).split()[1])
        if not self.told <= done <= self.sent:
            self.wrong = f"told that {self.told} is done and sent {self.sent}, but the server is at {done}"
            return
        self.sent = self.told = done
        while True:
            more = range(self.sent + 1, self.told + UNDER_WAY + 1)
            if more:
                writer.write(b"".join(b"%d\n" % number for number in more))
                self.sent = more[-1]
            number, key = map(int, (await reader.readuntil(b"\n")).split())
            if number != self.told + 1 or key < 0 or key in self.keys:
                self.wrong = f"waited for {self.told + 1}, was told {number}, key {key}"
                return
            self.told = number
            self.keys.add(key)


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


def has_frames(wal: Path) -> bool:
    """Whether a WAL is more than reserved space."""
    if not wal.exists():
        return False
    with wal.open("rb") as file:
        return any(file.read(64)[32:])


async def shoot(playground: Playground, clients: list[Client], life_s: float) -> None:
    """Let clients live with the server, and kill it."""
    living = [asyncio.ensure_future(client.live()) for client in clients]
    # The one wait that is the test itself: the instant of death is uniformly random.
    await asyncio.sleep(life_s)
    playground.kill(signal.SIGKILL)
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(*living)


def test_a_killed_server_has_done_once_what_its_clients_were_told(playground: Playground) -> None:
    witness = Witness(playground.folder / "witness")
    playground.environment["TAPHOUSE_WITNESS"] = str(witness.path)
    shutil.copy(APP, playground.folder)
    playground.run("python", "-c", "from keys_under_fire import app; app.save('start')")
    seed = int(os.environ.get("TAPHOUSE_SEED", random.SystemRandom().randrange(2**32)))
    print(f"\nTAPHOUSE_SEED={seed}")
    chance = random.Random(seed)
    tap, wal = "underfire-start.tap", playground.folder / "underfire-shutdown.tap-wal"
    clients = [Client(number, playground.folder / "fire.sock") for number in range(CLIENTS)]
    full_wals = inside_a_write = told = 0

    def has_seen_enough() -> bool:
        """Whether kills came under load and at instants of all kinds; a slow machine needs more of them."""
        return told > 100 * ROUNDS and full_wals >= ROUNDS // 2 and inside_a_write >= ROUNDS // 10

    for number in itertools.count():
        playground.run("twistd", "-f", tap)
        tap = "underfire-shutdown.tap"
        committed = witness.highest
        witness.read()
        nextkey, whole = witness.thawed
        highest = max((key for client in clients for key in client.keys), default=-1)
        assert whole, f"round {number}: the thawed values are of different instants"
        assert nextkey > highest, f"round {number}: thawed at {nextkey}, but a client has key {highest}"
        assert nextkey > committed, f"round {number}: thawed at {nextkey}, but key {committed} was committed"
        if number >= ROUNDS and has_seen_enough():
            break
        asyncio.run(shoot(playground, clients, chance.uniform(0.0, LONGEST_LIFE_S)))
        for client in clients:
            assert not client.wrong, f"round {number}: client {client.number}: {client.wrong}"
        keys = [key for client in clients for key in client.keys]
        assert len(keys) == len(set(keys)), f"round {number}: a key was handed out twice"
        assert not keys or min(keys) >= nextkey, f"round {number}: a key was handed out again"
        told += len(keys)
        witness.read()
        inside_a_write += witness.inside_a_write
        full_wals += has_frames(wal)
    print(
        f"{number} kills under {CLIENTS} clients with {UNDER_WAY} requests under way each: "
        f"{told} acknowledged, 0 lost, 0 repeated;\n{full_wals} kills left a WAL with frames in it, "
        f"{inside_a_write} were inside of a commit, a fold or a move of the WAL"
    )
