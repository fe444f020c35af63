"""What tracking costs where it is paid most often: ``o.n = v`` on a durable object beside a plain one.

Both twins of the tracker take part; each sample is a process of its own, pinned, and its figure the best of
nine loops, so that what differs is the assignment.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import Any

from bench.comparison import Comparison, Goal, Metric
from bench.contestant import BenchError, Contestant, Sample, Unavailable, afresh
from bench.cores import on_cores
from bench.group import Group
from bench.workshop import WORKERS, Workshop

C_TWIN, PYTHON_TWIN, PLAIN = "durable, C twin", "durable, Python twin", "plain object"
ASSIGN = Metric("assign_ns", "ns", "lower")
ADD = Metric("add_ns", "ns", "lower")


@dataclass(frozen=True)
class Assignment:
    """Takes samples of one kind of object, with the tracker twin that ``pure`` asks for."""

    workshop: Workshop
    kind: str
    pure: str

    def run(self) -> dict[str, Any]:
        """Run the worker once and return all it says. Raises BenchError if it fails."""
        command = [self.workshop.python, str(WORKERS / "assignment.py"), self.kind]
        with on_cores(self.workshop.cores.server):
            made = subprocess.run(
                command,
                env={**self.workshop.environment, "TAPHOUSE_PURE": self.pure},
                capture_output=True,
                text=True,
                check=False,
            )
        if made.returncode:
            raise BenchError(made.stderr.strip().splitlines()[-1])
        found: dict[str, Any] = json.loads(made.stdout)
        return found

    def measure(self) -> Sample:
        """Return the nanoseconds of one sample."""
        found = self.run()
        return {key: found[key] for key in ("assign_ns", "add_ns")}


def c_twin(workshop: Workshop) -> Contestant:
    """A durable object of an install with a compiler."""
    assignment = Assignment(workshop, "durable", "0")
    if (tracker := assignment.run()["tracker"]) != "c":
        raise Unavailable(
            f"the C twin is not built (the tracker is {tracker!r}): pip install -e . with a compiler"
        )
    return Contestant(C_TWIN, afresh(assignment.measure))


def python_twin(workshop: Workshop) -> Contestant:
    """A durable object of an install without a compiler."""
    return Contestant(PYTHON_TWIN, afresh(Assignment(workshop, "durable", "1").measure), "TAPHOUSE_PURE=1")


def plain(workshop: Workshop) -> Contestant:
    """An object nobody watches."""
    return Contestant(PLAIN, afresh(Assignment(workshop, "plain", "0").measure))


ASSIGNMENT = Group(
    name="assignment",
    title="Assignment",
    method="Attribute assignment in a loop on an object that is already dirty; difference to a plain one.",
    rounds=11,
    entries=(c_twin, python_twin, plain),
    comparisons=(
        Comparison("o.n = v", ASSIGN, C_TWIN, PLAIN, Goal(60), "difference"),
        Comparison("o.n = v", ASSIGN, PYTHON_TWIN, PLAIN, Goal(250), "difference"),
        Comparison("o.n += 1", ADD, C_TWIN, PLAIN, None, "difference"),
        Comparison("o.n += 1", ADD, PYTHON_TWIN, PLAIN, None, "difference"),
    ),
)
