"""The judge: every state a power cut could leave at every event, recovered and held to what was said.

What was promised until an event (replies, ends of connections, datagrams, what was told to other servers)
must be in every state that the disk may have from that event on.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import random
import re
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from crashdisk import Disk, Event, State, read_trace
from crashrecovery import Found, Recovery

__all__ = ["Verdict", "judge", "judges"]

_COUNT, _ALONE = re.compile(rb"@(\d+)\n"), re.compile(rb"~(\d+)\n")
_BLOCK = 40
"""Events that one process takes in a row: neighbours have states in common."""
_GO_ON_EVERY = 25
PROCESSORS = len(os.sched_getaffinity(0))


@dataclass
class Verdict:
    """What was found in one trace.

    Args:
        events: in the trace.
        syncs: that ended well.
        replies: promises made on sockets.
        checks: states judged.
        states: what tells each distinct state from others.
        kinds: how they were chosen.
        gone_on: states that a server was started from and stopped.
        moved: states of which the tap was tried without its WAL.
        violations: what was wrong, and how often.
        example: the first one: event, kind of state, what was wrong.
    """

    events: int = 0
    syncs: int = 0
    replies: int = 0
    checks: int = 0
    states: set[bytes] = field(default_factory=set)
    kinds: Counter[str] = field(default_factory=Counter)
    gone_on: int = 0
    moved: int = 0
    violations: Counter[str] = field(default_factory=Counter)
    example: tuple[int, str, str] | None = None

    def add(self, other: Verdict) -> None:
        """Add what another process found in the same trace."""
        self.events, self.syncs, self.replies = other.events, other.syncs, other.replies
        self.checks += other.checks
        self.states |= other.states
        self.kinds += other.kinds
        self.gone_on += other.gone_on
        self.moved += other.moved
        self.violations += other.violations
        if other.example and (self.example is None or other.example < self.example):
            self.example = other.example

    def __str__(self) -> str:
        bad = f"{sum(self.violations.values())} violations {dict(self.violations)} first {self.example}"
        return (
            f"{self.events} events, {self.syncs} syncs, {self.replies} replies, {self.checks} checks of "
            f"{len(self.states)} distinct states {dict(self.kinds)}, {self.gone_on} gone on from, "
            f"{self.moved} moved: {bad if self.violations else '0 violations'}"
        )


@dataclass
class Promises:
    """What the outside has been told until now."""

    count: int = -1
    alone: int = -1
    aside: int = -1
    seed: bool = False
    stopped: bool = False
    made: int = 0
    processes: int = 0
    _ends: dict[int, int] = field(default_factory=dict)

    def hear(self, event: Event) -> None:
        """Take in one event."""
        if event.op == "s":
            for value in _COUNT.findall(event.data):
                self.made += 1
                self.count = max(self.count, int(value))
            for value in _ALONE.findall(event.data):
                self.made += 1
                self.alone = max(self.alone, int(value))
        elif event.op == "e" and event.fd in self._ends:
            self.made += 1
            self.count = max(self.count, self._ends.pop(event.fd))
        elif event.op == "p":
            self.processes += 1
            self._ends.clear()
        elif event.op == "w" and event.name == "notes":
            for line in event.data.splitlines():
                match line.split():
                    case [b"end", number, count]:
                        self._ends[int(number)] = int(count)
                    case [b"saved"]:
                        self.seed = True
                    case [b"stopped"]:
                        self.stopped = True
                    case [b"begin", count]:
                        self.stopped = False
                        if not int(count) and self.count > 0:  # --fresh
                            self.aside, self.count, self.alone = self.count, -1, -1

    def broken_by(self, found: Found) -> str:
        """Return which one a state breaks, or ""."""
        if found.wrong:
            return found.wrong
        if self.seed and not found.seed:
            return "the seed that was saved is gone"
        if self.stopped and found.has_wal:
            return "stopped, and not one file"
        if self.aside >= 0 and found.aside < self.aside and (self.count >= 0 or found.count < self.aside):
            return f"told {self.aside}, {found.aside} set aside, recovered {found.count}"
        if found.count < self.count:
            return f"told {self.count}, recovered {found.count}"
        if found.alone < self.alone:
            return f"told {self.alone} of the plain object, recovered {found.alone}"
        if found.moved is not None and -1 < found.moved < self.count:
            return f"told {self.count}, and the tap without its WAL says {found.moved}"
        return ""


class _Judge:
    def __init__(self, samples: int, seed: int, since: int, move_every: int, *, first_only: bool) -> None:
        self.samples, self.seed, self.since = samples, seed, since
        self.move_every, self.first_only = move_every, first_only
        self.verdict = Verdict()
        self.known: dict[bytes, Found] = {}

    def run(self, events: list[Event], worker: int, workers: int, recovery: Recovery) -> Verdict:
        disk, promises, verdict = Disk(), Promises(), self.verdict
        verdict.events = len(events)
        for number, event in enumerate(events):
            promises.hear(event)
            verdict.syncs += event.op == "f" and not event.result
            if event.name == "notes" or event.op == "p":
                continue
            disk.replay(event)
            if promises.processes < self.since:
                continue
            told = event.op not in "sep" or promises.made > verdict.replies
            verdict.replies = promises.made
            if event.op == "b" or not told or number // _BLOCK % workers != worker:
                continue
            if verdict.violations and self.first_only:
                continue
            chance = random.Random(f"{self.seed}:{number}")
            for state in disk.states(chance, self.samples):
                self._judge(number, state, promises, recovery)
        verdict.states = set(self.known)
        return verdict

    def _judge(self, number: int, state: State, promises: Promises, recovery: Recovery) -> None:
        verdict, key = self.verdict, state.key()
        verdict.checks += 1
        found = self.known.get(key)
        if found is None:
            go_on = len(self.known) % _GO_ON_EVERY == 0
            move = len(self.known) % self.move_every == 1
            found = self.known[key] = recovery.recover(state.files, go_on=go_on, move=move)
            verdict.kinds[state.kind] += 1
            verdict.gone_on += go_on and found.count >= 0
            verdict.moved += found.moved is not None
        broken = promises.broken_by(found)
        if broken:
            # Numbers aside, the same thing is counted once, with the first of its kind shown.
            verdict.violations[re.sub(r"\d+", "N", broken)] += 1
            if verdict.example is None:
                verdict.example = (number, state.kind, broken)


def _work(
    trace: Path,
    samples: int,
    seed: int,
    since: int,
    move_every: int,
    first_only: bool,
    workers: int,
    worker: int,
) -> Verdict:
    with Recovery() as recovery:
        return _Judge(samples, seed, since, move_every, first_only=first_only).run(
            read_trace(trace), worker, workers, recovery
        )


@functools.cache
def judges() -> ProcessPoolExecutor:
    """Return processes to judge in; they stay, since each has to import everything."""
    return ProcessPoolExecutor(PROCESSORS, multiprocessing.get_context("spawn"))


def judge(
    trace: Path,
    *,
    samples: int,
    seed: int,
    since: int = 0,
    move_every: int = 8,
    first_only: bool = False,
    workers: int | None = None,
) -> Verdict:
    """Judge a trace.

    Args:
        trace: what the tracer wrote.
        samples: prefixes, and subsets, at each event.
        seed: of what is chosen.
        since: which process of the trace to begin with; what came before is replayed only.
        move_every: of how many states one is also tried without its WAL.
        first_only: stop at the first violation.
        workers: processes; None for one for each processor.
    """
    workers = workers or PROCESSORS
    work = functools.partial(_work, trace, samples, seed, since, move_every, first_only, workers)
    if workers == 1:
        return work(0)
    verdict = Verdict()
    for part in judges().map(work, range(workers)):
        verdict.add(part)
    return verdict
