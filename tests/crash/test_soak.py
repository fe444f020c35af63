"""Minutes of everything at once, with restarts: memory and file stay as small as the data, nobody waits."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis
import soakload

from playground import PATIENCE_S, Playground

pytestmark = [pytest.mark.process, pytest.mark.slow]

SOAK_S = float(os.environ.get("TAPHOUSE_SOAK_S", "600"))
SHORT_S = 6.0
PORT = 8208
STALL_S = 1.0
"""How long an answer may take in a long soak, on a machine that has nothing else to do."""
LEAST_STOPS, LEAST_KILLS, LEAST_COMMANDS = 2, 1, 100
FILE_TIMES, FILE_MORE_BYTES = 4, 8 << 20
"""How large a tap may be: it has had room for 4 MB of journal, which a later fold has emptied, for the
operations on a big container, and for its new chunks beside the old ones."""
LONG_LIFE = 0.4
"""Part of the time, at the end, in which the server is left alone: leaks show in one process."""


@dataclass
class Seen:
    """What a soak has shown.

    Args:
        stops: orderly ones.
        kills: by kill -9.
        sizes: bytes of the tap and of the data in it, after each stop.
        memory: seconds since the last start and bytes resident.
        commands: that were answered.
        took: name of a command -> seconds that the probe waited for each answer.
    """

    stops: int = 0
    kills: int = 0
    sizes: list[tuple[int, int]] = field(default_factory=list)
    memory: list[tuple[float, int]] = field(default_factory=list)
    commands: int = 0
    took: dict[str, list[float]] = field(default_factory=dict)

    def growth(self) -> tuple[int, int]:
        """Return the median memory of the second and of the last quarter of the long life, in bytes."""
        quarter = max(1, len(self.memory) // 4)
        early = sorted(size for _, size in self.memory[quarter : 2 * quarter] or self.memory)
        late = sorted(size for _, size in self.memory[-quarter:])
        return early[len(early) // 2], late[len(late) // 2]


class Soak:
    """A server under load that is stopped and killed again and again."""

    def __init__(self, playground: Playground, seconds: float, seed: int) -> None:
        self.place, self.seconds, self.chance = playground, seconds, random.Random(seed)
        self.port = playground.port(PORT)
        self.seen = Seen()
        playground.example("08-kv/kv.py")

    async def go(self) -> None:
        """Soak."""
        is_serving = asyncio.Event()
        mixed = [soakload.Mixed(self.port, number, number) for number in range(soakload.WORKERS)]
        clients = [
            *mixed,
            *(soakload.SlowReader(self.port, n) for n in range(3)),
            soakload.Churn(self.port, 1),
        ]
        tasks = [asyncio.ensure_future(client.live(is_serving)) for client in clients]
        end = time.monotonic() + self.seconds
        await self._start()
        is_serving.set()
        while time.monotonic() < end - LONG_LIFE * self.seconds or self._still_to_see():
            await asyncio.sleep(self.chance.uniform(0.05, 0.1) * min(self.seconds, 600.0))
            is_serving.clear()
            how = self._still_to_see() or self.chance.choice((signal.SIGKILL, signal.SIGTERM))
            await self._end(how)
            is_serving.set()
        started = time.monotonic()
        end = max(end, started + self.seconds / 10)
        while not self.seen.memory or time.monotonic() < end or not _have_said_enough(mixed):
            await asyncio.sleep(0.2)
            self.seen.memory.append((time.monotonic() - started, self._resident()))
        is_serving.clear()
        await self._end(signal.SIGTERM)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        for task in tasks:
            assert task.cancelled(), task.exception()
        for client in mixed:
            assert not client.wrong, f"{client.name}: {client.wrong}"
            self.seen.commands += client.commands

    def _still_to_see(self) -> signal.Signals | None:
        """Return how the server has to end next; None if it has ended in both ways often enough."""
        if self.seen.stops and self.seen.kills < LEAST_KILLS:
            return signal.SIGKILL
        return signal.SIGTERM if self.seen.stops < LEAST_STOPS else None

    async def _start(self) -> None:
        await asyncio.to_thread(self.place.run, "tap", "start", "kv.py")

    async def _end(self, how: signal.Signals) -> None:
        """End the server, look at what it leaves, start it again and look at what is in it."""
        await asyncio.to_thread(self.place.kill, how, "kv.pid")
        size = sum(path.stat().st_size for path in self.place.folder.glob("*.tap*"))
        await self._start()
        if how is signal.SIGTERM:
            self.seen.stops += 1
            self.seen.sizes.append((size, await asyncio.to_thread(self._live_bytes)))
        else:
            self.seen.kills += 1

    def _live_bytes(self) -> int:
        """Count the bytes of all keys and values."""
        ask = {"hash": "HGETALL", "list": "LRANGE", "set": "SMEMBERS", "string": "GET"}
        total = 0
        with redis.Redis(port=self.port, protocol=2) as client:
            for keys in _batches(list(client.scan_iter(count=1000))):
                kinds = _pipelined(client, [("TYPE", key) for key in keys])
                more = {"list": (0, -1)}
                reads = [
                    (ask[kind.decode()], key, *more.get(kind.decode(), ()))
                    for key, kind in zip(keys, kinds, strict=True)
                    if kind.decode() in ask
                ]
                total += sum(map(len, keys)) + sum(map(_size, _pipelined(client, reads)))
        return total

    def _resident(self) -> int:
        statm = Path(f"/proc/{self.place.pid('kv.pid')}/statm").read_text()
        return int(statm.split()[1]) * os.sysconf("SC_PAGESIZE")


def _have_said_enough(clients: Sequence[soakload.Mixed]) -> bool:
    return sum(client.commands for client in clients) > LEAST_COMMANDS


def _batches(keys: list[bytes]) -> Iterator[list[bytes]]:
    for at in range(0, len(keys), 500):
        yield keys[at : at + 500]


def _pipelined(client: redis.Redis, commands: list[tuple[object, ...]]) -> list[object]:
    pipe = client.pipeline(transaction=False)
    pipe.response_callbacks.clear()  # as it comes: to be counted only
    for command in commands:
        pipe.execute_command(*command)
    return pipe.execute()


def _size(reply: object) -> int:
    if isinstance(reply, bytes):
        return len(reply)
    if isinstance(reply, dict):
        return sum(_size(part) for pair in reply.items() for part in pair)
    return sum(map(_size, reply)) if isinstance(reply, (list, set)) else 0


@contextmanager
def probed(port: int, seen: Seen) -> Iterator[None]:
    """Measure, in a process of its own, how long answers take."""
    context = multiprocessing.get_context("spawn")
    is_over, results = context.Event(), context.Queue()
    measuring = context.Process(target=soakload.probe, args=(port, is_over, results))
    measuring.start()
    try:
        yield
        is_over.set()
        seen.took = results.get(timeout=PATIENCE_S)
        measuring.join(PATIENCE_S)
    finally:
        measuring.kill()
        measuring.join()
        measuring.close()


def soak(playground: Playground, seconds: float) -> Seen:
    """Soak, say what was seen and hold it to what is promised, whatever the machine does besides."""
    seed = int(os.environ.get("TAPHOUSE_SEED", random.SystemRandom().randrange(2**32)))
    print(f"\nTAPHOUSE_SEED={seed}")
    made = Soak(playground, seconds, seed)
    seen = made.seen
    with probed(made.port, seen):
        asyncio.run(made.go())
    early, late = seen.growth()
    print(
        f"{seconds:g} s: {seen.commands} commands, {seen.stops} stops, {seen.kills} kills, 0 counters wrong; "
        f"memory {early / 1e6:.1f} MB, then {late / 1e6:.1f} MB;\n"
        f"tap and data after each stop (kB): {[(tap // 1000, data // 1000) for tap, data in seen.sizes]}"
    )
    for name, took in seen.took.items():
        if not took:  # no life was long enough for a second question
            continue
        took.sort()
        late_ms, most_ms = took[int(len(took) * 0.999)] * 1e3, took[-1] * 1e3
        print(f"{name}: {len(took)} asked, median {took[len(took) // 2] * 1e3:.2f} ms, "
              f"p99.9 {late_ms:.1f} ms, longest {most_ms:.1f} ms")  # fmt: skip
    for tap, data in seen.sizes:
        assert 0 < tap < FILE_TIMES * data + FILE_MORE_BYTES, f"a tap of {tap} bytes holds {data}"
    return seen


def test_a_short_soak_with_restarts(playground: Playground) -> None:
    seen = soak(playground, SHORT_S)
    assert seen.stops >= LEAST_STOPS
    assert seen.kills >= LEAST_KILLS
    assert seen.commands > LEAST_COMMANDS


@pytest.mark.soak
def test_minutes_of_soak_with_restarts(playground: Playground) -> None:
    seen = soak(playground, SOAK_S)
    early, late = seen.growth()
    assert late < 1.1 * early + 4_000_000, f"memory grew from {early} to {late} bytes"
    assert seen.kills > 1
    for name, took in seen.took.items():
        assert max(took) < STALL_S, f"{name} was not answered for {max(took) * 1e3:.0f} ms"
