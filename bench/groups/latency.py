"""How long a reply takes when the server has time: half of what the slower of the two can do, beside Redis.

The load is open: requests come at random moments at a fixed rate and do not wait for each other, so a stall
is felt by all who come while it lasts. A closed loop would hide it.
"""

from __future__ import annotations

import functools
import statistics
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bench.comparison import Comparison, Goal, Metric
from bench.contestant import Contestant, Measure, Sample
from bench.generators import generate
from bench.group import Group
from bench.programs import Program, Stand
from bench.resp import Workload, traced_syncs
from bench.rivals import ALWAYS, REDIS, TAPHOUSE, asked, kv, redis_server, say_redis
from bench.workshop import HERE, Workshop

CLIENTS = 50
PROBES, PROBE_S = 7, 0.3
FIRST_S, WARM_S, SAMPLE_S = 0.5, 0.1, 1.0
PART = 0.5
INCR = Workload("incr", 1, CLIENTS)
P50 = Metric("p50_us", "p50 us", "lower")
P99 = Metric("p99_us", "p99 us", "lower")
P999 = Metric("p999_us", "p99.9 us", "lower")


@functools.cache
def half_of_the_slower(workshop: Workshop) -> float:
    """Return half of the highest rate of the slower of the two, as redis-benchmark drives them, in turns."""
    with ExitStack() as stands:
        both = [stands.enter_context(asked(each)) for each in _programs(workshop)]
        counts = [found.settle(INCR, PROBE_S) for found in both]
        rates: list[list[float]] = [[] for _ in both]
        for _ in range(PROBES):
            for place, found in enumerate(both):
                rates[place].append(found.measure(INCR, counts[place])["requests_per_s"])
    return PART * min(statistics.median(each) for each in rates)


def taphouse(workshop: Workshop) -> Contestant:
    """The showcase server."""
    return _contestant(workshop, TAPHOUSE, _programs(workshop)[0], "")


def redis(workshop: Workshop) -> Contestant:
    """Redis that has everything on disk before it answers."""
    return _contestant(workshop, REDIS, _programs(workshop)[1], f"{say_redis(ALWAYS)}; ")


def _programs(workshop: Workshop) -> tuple[Program, Program]:
    return kv(workshop), redis_server(workshop, ALWAYS)


def _contestant(workshop: Workshop, name: str, program: Program, what: str) -> Contestant:
    generator = str(workshop.compiled(HERE / "load" / "openloop.c"))
    rate = half_of_the_slower(workshop)

    def load(stand: Stand, seconds: float) -> Sample:
        arguments = (stand.port, CLIENTS, f"{rate:.0f}", WARM_S, seconds)
        with stand.awake():
            return generate([generator, *map(str, arguments)], stand.process, "requests")[0]

    @contextmanager
    def standing() -> Iterator[Measure]:
        with program.running() as stand:
            load(stand, FIRST_S)
            yield lambda: load(stand, workshop.seconds or SAMPLE_S)

    detail = f"{what}asked {rate:.0f} times a second; at full load {traced_syncs(program, INCR)}"
    return Contestant(name, standing, detail)


LATENCY = Group(
    name="latency",
    title="Latency at half load",
    method=f"INCR of 10,000 keys over {CLIENTS} connections at random moments, at half of the highest rate "
    "of the slower server (measured just before); a latency begins when the request was meant to be sent; "
    "every reply has to be one more than the last of its key, checked by a generator in C; samples of "
    f"{SAMPLE_S:g} s, servers started again every 9 rounds. late_p99_us is the lateness of the generator.",
    rounds=45,
    rounds_per_start=9,
    entries=(taphouse, redis),
    comparisons=(
        Comparison("INCR at half load", P99, TAPHOUSE, REDIS, Goal(1.3, stretch=1.0)),
        Comparison("INCR at half load", P50, TAPHOUSE, REDIS),
        Comparison("INCR at half load", P999, TAPHOUSE, REDIS),
    ),
    needs_disk=True,
    limit_s=120.0,
)
