"""A dictionary of a million entries: what one change costs beside ten entries, and a start beside pickle.

A change is committed before the next; what the folding of the changes costs afterwards is in the processor
time; a process that is not measured is stopped. Building the dictionary from its file is timed in a process
of its own; the entries are compared with what was written.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench.comparison import Comparison, Goal, Metric
from bench.contestant import BenchError, Contestant, Measure, Sample
from bench.cores import on_cores
from bench.group import Group
from bench.programs import TRACE, count_syncs, say_syncs, tracer, why_no_tracing
from bench.workshop import WORKERS, Workshop

MANY, FEW = 1_000_000, 10
CHANGES = 300
ANSWER_LIMIT_S = 180.0
BIG, SMALL = "a million entries", "ten entries"
TAP, PICKLE = "thaw", "pickle.load"

COMMIT = Metric("commit_us", "us", "lower")
MEAN = Metric("mean_us", "us", "lower")
CPU = Metric("cpu_us", "us of CPU with folding", "lower")
LOAD = Metric("load_s", "s", "lower")


@dataclass(frozen=True)
class Worker:
    """Runs the worker script; ``count`` is the number of entries."""

    workshop: Workshop
    count: int

    @contextmanager
    def changing(self, folder: Path, *, is_traced: bool = False) -> Iterator[subprocess.Popen[str]]:
        """Run a worker that changes and commits at every line it is sent; it is ready when the block runs."""
        command = [*self._command("commit")]
        if is_traced:
            command = [*tracer(folder / TRACE), *command]
        with (
            (folder / "output").open("w") as output,
            on_cores(self.workshop.cores.server),
            subprocess.Popen(
                command,
                cwd=folder,
                env=self.workshop.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
            ) as process,
        ):
            try:
                if answer(process, folder)["entries"] != self.count:
                    raise BenchError("the worker has another number of entries")
                yield process
            except BaseException:
                process.kill()
                raise
            finally:
                process.send_signal(signal.SIGCONT)

    def run(self, what: str, folder: Path) -> Mapping[str, float]:
        """Run a worker that does one thing and return what it says."""
        with on_cores(self.workshop.cores.server):
            made = subprocess.run(
                self._command(what),
                cwd=folder,
                env=self.workshop.environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=ANSWER_LIMIT_S,
            )
        if made.returncode:
            raise BenchError(f"{what}: {(made.stderr.strip() or 'no reason given').splitlines()[-1]}")
        found: dict[str, float] = json.loads(made.stdout)
        return found

    def _command(self, what: str) -> list[str]:
        return [self.workshop.python, str(WORKERS / "bigdict.py"), what, str(self.count)]


def answer(process: subprocess.Popen[str], folder: Path) -> dict[str, Any]:
    """Return the next answer of a worker. Raises BenchError if there is none."""
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], ANSWER_LIMIT_S)
    line = process.stdout.readline() if ready else ""
    if not line:
        said = (folder / "output").read_text(errors="replace").strip().splitlines()
        raise BenchError(said[-1] if said else f"no answer within {ANSWER_LIMIT_S:g} s")
    found: dict[str, Any] = json.loads(line)
    return found


def ask(process: subprocess.Popen[str], folder: Path) -> Sample:
    """Let the worker change and commit once more; return its figures."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return answer(process, folder)


def committing(workshop: Workshop, name: str, count: int) -> Contestant:
    """One change, one commit."""
    worker = Worker(workshop, count)

    def asleep(process: subprocess.Popen[str], folder: Path) -> Sample:
        os.kill(process.pid, signal.SIGCONT)
        try:
            return ask(process, folder)
        finally:
            os.kill(process.pid, signal.SIGSTOP)

    @contextmanager
    def standing() -> Iterator[Measure]:
        with workshop.run_folder() as folder, worker.changing(folder) as process:
            asleep(process, folder)
            yield partial(asleep, process, folder)

    return Contestant(name, standing, _syncs(workshop, worker))


def loading(workshop: Workshop, name: str, what: str) -> Contestant:
    """The dictionary from its file; both contestants have files that were made alike."""
    worker = Worker(workshop, MANY)

    @contextmanager
    def standing() -> Iterator[Measure]:
        with workshop.run_folder() as folder:
            sizes = worker.run("build", folder)
            yield lambda: {**worker.run(what, folder), "file_mb": sizes[size]}

    size = "tap_mb" if what == "thaw" else "pickle_mb"
    return Contestant(name, standing, "" if what == "thaw" else "highest protocol")


def _syncs(workshop: Workshop, worker: Worker) -> str:
    if (reason := why_no_tracing()) is not None:
        return f"syncs not counted: {reason}"
    with workshop.run_folder() as folder, worker.changing(folder, is_traced=True) as process:
        log = folder / TRACE
        before = count_syncs(log.read_text(errors="replace"))
        ask(process, folder)
        syncs = count_syncs(log.read_text(errors="replace")) - before
    # The worker answers when all is folded: what it synced for that is in the number.
    return say_syncs(syncs, 0, CHANGES).replace("request", "commit") + ", folding included"


BIGDICT = Group(
    name="bigdict",
    title="A million entries",
    method=f"A dictionary of text to number in a factory. {CHANGES} changes of one entry each, committed one "
    "by one; the median of them is one figure. Building it again from the tap of a stopped server, in a "
    "process of its own, beside pickle.load of the same entries; the file is in the page cache.",
    rounds=11,
    rounds_per_start=11,
    entries=(
        partial(committing, name=BIG, count=MANY),
        partial(committing, name=SMALL, count=FEW),
        partial(loading, name=TAP, what="thaw"),
        partial(loading, name=PICKLE, what="unpickle"),
    ),
    comparisons=(
        Comparison("change one key, commit", COMMIT, BIG, SMALL, Goal(1.2)),
        Comparison("change one key, commit: mean", MEAN, BIG, SMALL),
        Comparison("change one key, commit", CPU, BIG, SMALL),
        Comparison("build a million entries", LOAD, TAP, PICKLE, Goal(1.5, stretch=1.0)),
    ),
    needs_disk=True,
    limit_s=120.0,
)
