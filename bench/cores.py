"""Which core serves and which core loads: a server and its load generator never share one if there are two.

Sharing a core turns a throughput figure into a figure of the scheduler. Knows the affinity calls of Linux
(sched_setaffinity(2)) and nothing of what runs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cores:
    """The cores of the server and of the load (harness and generators)."""

    server: frozenset[int]
    load: frozenset[int]

    @property
    def are_apart(self) -> bool:
        """Whether server and load have cores of their own."""
        return not self.server & self.load

    def __str__(self) -> str:
        if not self.are_apart:
            return "server and load share the cores"
        return f"server on core {_listed(self.server)}, load on core {_listed(self.load)}"


def divide_cores(available: frozenset[int]) -> Cores:
    """Give the server the first core (a Python server uses one) and the load the others."""
    if len(available) < 2:
        return Cores(available, available)
    first = min(available)
    return Cores(frozenset({first}), available - {first})


def available_cores() -> frozenset[int]:
    """Return the cores this process may use."""
    return frozenset(os.sched_getaffinity(0))


@contextmanager
def on_cores(cores: frozenset[int]) -> Iterator[None]:
    """Run the block, and whatever it starts, on ``cores``; started processes stay there."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _listed(cores: frozenset[int]) -> str:
    return ",".join(map(str, sorted(cores)))
