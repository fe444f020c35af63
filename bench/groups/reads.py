"""Reading: GET of what has not changed, beside Redis that keeps nothing on disk.

A reply that depends on nothing unsaved waits for nothing; this measures what it costs all the same. Two
redis-benchmark processes ask, because one may be slower than a server; where both share one core, they can be
the limit, and then the processor time of the server per request is the truer figure.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

from bench.comparison import Comparison, Goal, Metric
from bench.contestant import BenchError, Contestant
from bench.group import Entry, Group
from bench.resp import KEYS, Asked, Client, Workload
from bench.rivals import NO_AOF, REDIS, TAPHOUSE, asked, contestant, kv, redis_server, say_redis
from bench.shared import Shared
from bench.workshop import Workshop

SAMPLE_S = 0.3
GOAL = Goal(0.75, stretch=0.9)
VALUE = b"xyz"
RATE = Metric("requests_per_s", "requests/s", "higher")
PER_CPU = Metric("requests_per_cpu_s", "requests per second of server CPU", "higher")
P99 = Metric("p99_us", "p99 us", "lower")
WORKLOADS = {"GET": Workload("get", 1, 50, 2), "GET -P 16": Workload("get", 16, 50, 2)}


def filled(found: Asked) -> None:
    """Set every key that will be asked for, see that it is there, and let the server come to rest."""
    keys = [b"key:%012d" % number for number in range(KEYS)]
    with Client(found.stand.port) as client:
        client.ask((b"SET", key, VALUE) for key in keys)
        if client.ask((b"GET", key) for key in keys) != [VALUE] * KEYS:
            raise BenchError("what was set is not what is read")
    found.wait_rest()


@functools.cache
def _kv_shared(workshop: Workshop) -> Shared[Asked]:
    return Shared(lambda: asked(kv(workshop), filled))


@functools.cache
def _redis_shared(workshop: Workshop) -> Shared[Asked]:
    return Shared(lambda: asked(redis_server(workshop, NO_AOF), filled))


def entries() -> Iterator[Entry]:
    """Both servers under each workload."""
    for name, workload in WORKLOADS.items():
        yield _entry(_kv_shared, f"{TAPHOUSE}, {name}", workload, lambda: "state tap open, nothing dirty")
        yield _entry(_redis_shared, f"{REDIS}, {name}", workload, lambda: say_redis(NO_AOF))


def _entry(
    shared: Callable[[Workshop], Shared[Asked]], name: str, workload: Workload, say: Callable[[], str]
) -> Entry:
    def make(workshop: Workshop, /) -> Contestant:
        return contestant(name, shared(workshop), workload, workshop.seconds or SAMPLE_S, say())

    return make


def _comparisons() -> Iterator[Comparison]:
    for metric, goal in ((RATE, GOAL), (PER_CPU, GOAL), (P99, None)):
        for name in WORKLOADS:
            is_named = name == "GET"  # the goal is that of requests one by one
            title = f"{name}, two generators of 25 clients"
            ours, theirs = f"{TAPHOUSE}, {name}", f"{REDIS}, {name}"
            yield Comparison(title, metric, ours, theirs, goal if is_named else None)


READS = Group(
    name="reads",
    title="Reading, beside Redis without a log",
    method=f"GET of {KEYS} keys, none of them changed since it was saved, examples/08-kv beside "
    "redis-server with appendonly no; two redis-benchmark processes of 25 clients each, samples of "
    f"{SAMPLE_S:g} s; servers started again every 9 rounds. A server_share near 1 means that the server was "
    "the limit, not its load.",
    rounds=45,
    rounds_per_start=9,
    entries=tuple(entries()),
    comparisons=tuple(_comparisons()),
)
