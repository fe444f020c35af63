"""The gate while there is nothing to wait for: an application that remembers, beside bare uvloop.

The same load and the same echo as in the group ``requests``; what answers here is a factory whose output
depends on the state, as far as the gate knows, with nothing dirty.
"""

from __future__ import annotations

from functools import partial

from bench.comparison import Comparison, Goal, Metric
from bench.contestant import Contestant
from bench.group import Group
from bench.groups.requests import CONNECTIONS, CPU, MEASURE_S, RATE, REQUEST_BYTES, EchoServer
from bench.workshop import SERVERS, Workshop

GATE, UVLOOP, UVLOOP_AGAIN = "taphouse through the gate", "bare uvloop", "bare uvloop again"
P99 = Metric("p99_us", "p99 us", "lower")


def through_the_gate(workshop: Workshop) -> Contestant:
    """An application with state, nothing dirty."""
    command = [str(workshop.twistd), "-n", "-y", str(SERVERS / "gate_taphouse.py")]
    return _contestant(workshop, GATE, command)


def bare_uvloop(workshop: Workshop, name: str = UVLOOP) -> Contestant:
    """The same protocol on uvloop and nothing else."""
    return _contestant(workshop, name, [workshop.python, str(SERVERS / "echo_uvloop.py"), "{port}"])


def _contestant(workshop: Workshop, name: str, command: list[str]) -> Contestant:
    return Contestant(name, EchoServer(workshop, workshop.load_generator("pingpong"), command).standing)


GATE_GROUP = Group(
    name="gate",
    title="Through the gate, nothing dirty",
    method=f"{REQUEST_BYTES}-byte request, the same bytes back, {CONNECTIONS} connections, one request in "
    "flight on each, every reply verified by a generator in C; the factory has state and is not stateless; "
    f"samples of {MEASURE_S:g} s, servers started again every 15 rounds.",
    rounds=105,
    rounds_per_start=15,
    entries=(through_the_gate, bare_uvloop, partial(bare_uvloop, name=UVLOOP_AGAIN)),
    comparisons=(
        Comparison("request and reply through the gate", RATE, GATE, UVLOOP, Goal(0.9, stretch=0.97)),
        Comparison("request and reply through the gate", CPU, GATE, UVLOOP),
        Comparison("request and reply through the gate", P99, GATE, UVLOOP),
        Comparison("one server twice: the noise of this run", RATE, UVLOOP_AGAIN, UVLOOP),
    ),
)
