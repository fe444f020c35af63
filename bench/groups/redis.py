"""Counting and setting beside Redis, both of which have it on disk before they answer.

The load is redis-benchmark itself on a core of its own. Both servers keep their files in folders beside each
other. A server that is not asked is stopped, so that its tidying up falls into its own time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bench.comparison import Comparison, Goal, Metric
from bench.contestant import Contestant
from bench.group import Entry, Group
from bench.resp import KEYS, Workload
from bench.rivals import REDIS, TAPHOUSE, kv_contestant, redis_contestant
from bench.workshop import Workshop

SAMPLE_S = 0.3
RATE = Metric("requests_per_s", "requests/s", "higher")
P50 = Metric("p50_us", "p50 us", "lower")
P99 = Metric("p99_us", "p99 us", "lower")

SINGLE, PIPELINED = 1, 16
GOALS = {SINGLE: Goal(1.0, stretch=1.2), PIPELINED: Goal(0.85, stretch=1.0)}
WORKLOADS = {
    f"{test.upper()}{'' if pipeline == SINGLE else f' -P {pipeline}'}": Workload(test, pipeline)
    for pipeline in (SINGLE, PIPELINED)
    for test in ("incr", "set")
}


def entries() -> Iterator[Entry]:
    """Both servers under each workload: the two of a pair run one after the other."""
    for name, workload in WORKLOADS.items():
        yield _entry(kv_contestant, f"{TAPHOUSE}, {name}", workload)
        yield _entry(redis_contestant, f"{REDIS}, {name}", workload)


def _entry(
    make: Callable[[Workshop, str, Workload, float], Contestant], name: str, workload: Workload
) -> Entry:
    return lambda workshop, /: make(workshop, name, workload, SAMPLE_S)


def _comparisons() -> Iterator[Comparison]:
    for metric in (RATE, P50, P99):
        for name, workload in WORKLOADS.items():
            goal = GOALS[workload.pipeline] if metric is RATE else None
            title = f"{name}, {workload.clients} clients"
            yield Comparison(title, metric, f"{TAPHOUSE}, {name}", f"{REDIS}, {name}", goal)


GROUP_METHOD = (
    f"examples/08-kv beside redis-server with appendfsync always on the same file system, asked by "
    f"redis-benchmark -r {KEYS} (which ends at an error reply) in samples of {SAMPLE_S:g} s, -P 16 where it "
    "says so; the server that is not asked is stopped meanwhile; servers started again every 9 rounds, the "
    "counters then added up and compared with what was answered."
)

REDIS_ALWAYS = Group(
    name="redis",
    title="Beside Redis: what is answered is on disk",
    method=GROUP_METHOD,
    rounds=27,
    rounds_per_start=9,
    entries=tuple(entries()),
    comparisons=tuple(_comparisons()),
    needs_disk=True,
)
