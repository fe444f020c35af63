"""One-time keys: a connection, a key that nobody got before, the end; with the gate and without it.

Both sides are the server of the README. With ``--durability exit`` nothing is on disk before the stop, so the
difference is what the first promise costs where every connection changes something.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench.comparison import Comparison, Goal, Metric
from bench.contestant import BenchError, Contestant, Measure, Sample, Unavailable
from bench.generators import generate
from bench.group import Group
from bench.programs import Program, Stand, say_syncs, why_no_tracing
from bench.workshop import HERE, SERVERS, Workshop

CLIENTS = 50
FIRST_S, WARM_S, SAMPLE_S = 0.3, 0.05, 0.3
GATE, EXIT = "gate (as it is by default)", "--durability exit"
RATE = Metric("connections_per_s", "connections/s", "higher")
CPU = Metric("server_cpu_us", "server CPU us/connection", "lower")
P99 = Metric("p99_us", "p99 us", "lower")


@dataclass
class Keys:
    """A standing server that gives keys, and the highest that it gave."""

    stand: Stand
    generator: str
    highest: int = -1

    def take(self, seconds: float) -> Sample:
        """Connect for ``seconds``. Raises BenchError if a key was given before."""
        command = [self.generator, str(self.stand.port), str(CLIENTS), str(WARM_S), str(seconds)]
        with self.stand.awake():
            sample, said = generate(command, self.stand.process, "connections")
        # The generator has seen that its own differ; all of them have to be later than those of the last.
        if said["lowest"] <= self.highest:
            raise BenchError(f"key {said['lowest']} was given again after {self.highest}")
        self.highest = int(said["highest"])
        return sample


def gate(workshop: Workshop) -> Contestant:
    """Every key is on disk before it is given."""
    program = _program(workshop)
    return _contestant(workshop, GATE, program)


def at_exit(workshop: Workshop) -> Contestant:
    """The next key is saved when the server stops."""
    said = subprocess.run(
        [str(workshop.twistd), "--help"], capture_output=True, text=True, check=False
    ).stdout
    if "--durability" not in said:
        raise Unavailable("this twistd has no --durability")
    return _contestant(workshop, EXIT, _program(workshop, "--durability", "exit"))


def _program(workshop: Workshop, *options: str) -> Program:
    script = str(SERVERS / "otk_taphouse.py")
    return Program(workshop, (str(workshop.twistd), "-n", *options, "-y", script))


def _contestant(workshop: Workshop, name: str, program: Program) -> Contestant:
    generator = str(workshop.compiled(HERE / "load" / "connect.c"))

    @contextmanager
    def standing() -> Iterator[Measure]:
        with program.running() as stand:
            keys = Keys(stand, generator)
            keys.take(FIRST_S)
            yield lambda: keys.take(workshop.seconds or SAMPLE_S)

    return Contestant(name, standing, _syncs(program, generator, is_none_right=name == EXIT))


def _syncs(program: Program, generator: str, *, is_none_right: bool) -> str:
    if (reason := why_no_tracing()) is not None:
        return f"syncs not counted: {reason}"
    with program.running(is_traced=True) as stand:
        stand.wait_no_more_syncs()
        before = stand.syncs()
        command = [generator, str(stand.port), str(CLIENTS), "0", "1"]
        _, said = generate(command, stand.process, "connections")
        asked = stand.syncs()
        stand.wait_no_more_syncs()
        syncs, tidying = asked - before, stand.syncs() - asked
    if is_none_right and not syncs:
        return f"no sync for {said['connections']:.0f} connections, traced apart"
    return say_syncs(syncs, tidying, int(said["connections"])).replace("request", "connection")


CONNECTIONS = Group(
    name="connections",
    title="One-time keys",
    method=f"The server of the README, {CLIENTS} clients that connect, read their key until the server hangs "
    "up, and connect again; every key is checked to be new, by a generator in C; samples of "
    f"{SAMPLE_S:g} s, servers started again every 15 rounds.",
    rounds=75,
    rounds_per_start=15,
    entries=(gate, at_exit),
    comparisons=(
        Comparison("connections with a key", RATE, GATE, EXIT, Goal(0.85, stretch=0.95)),
        Comparison("connections with a key", CPU, GATE, EXIT),
        Comparison("connections with a key", P99, GATE, EXIT),
    ),
    needs_disk=True,
)
