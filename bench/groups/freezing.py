"""Freeze and thaw of 200,000 objects beside plain pickle, which knows no classes, checks and checksums.

A sample is two processes: one builds the state and freezes it, one thaws what it wrote; building, imports and
checks are not in the time. Both sides write to disk with the care that a file needs which must not be lost.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.comparison import Comparison, Goal, Metric
from bench.contestant import BenchError, Contestant, Sample, Unavailable, afresh
from bench.cores import on_cores
from bench.group import Group
from bench.workshop import WORKERS, Workshop

TAPHOUSE, PURE, PICKLE = "taphouse", "taphouse, Python codec and tracker", "pickle"

FREEZE = Metric("freeze_s", "s", "lower")
THAW = Metric("thaw_s", "s", "lower")
BOTH = Metric("both_s", "s", "lower")
WORKER_LIMIT_S = 300.0


@dataclass(frozen=True)
class Keeper:
    """Takes samples of one way to keep the state; ``script`` is its worker, ``pure`` forbids C parts."""

    workshop: Workshop
    script: str
    pure: str = "0"

    def measure(self) -> Sample:
        """Freeze and thaw once in a fresh folder."""
        with self.workshop.run_folder() as folder:
            freeze_s = self._seconds("freeze", folder)
            kept = sum(file.stat().st_size for file in folder.iterdir())
            thaw_s = self._seconds("thaw", folder)
        return {"freeze_s": freeze_s, "thaw_s": thaw_s, "both_s": freeze_s + thaw_s, "file_mb": kept / 1e6}

    def parts(self) -> str:
        """Return which twins of taphouse's C parts this keeper runs."""
        code = (
            "from taphouse.durable import TRACKER; from taphouse.persist import CODEC; print(TRACKER, CODEC)"
        )
        command = [self.workshop.python, "-c", code]
        environment = {**self.workshop.environment, "TAPHOUSE_PURE": self.pure}
        made = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if made.returncode:
            raise Unavailable(f"taphouse cannot be imported: {made.stderr.strip().splitlines()[-1]}")
        tracker, codec = made.stdout.split()
        return f"tracker: {tracker}, codec: {codec}"

    def _seconds(self, what: str, folder: Path) -> float:
        command = [self.workshop.python, str(WORKERS / self.script), what]
        with on_cores(self.workshop.cores.server):
            made = subprocess.run(
                command,
                cwd=folder,
                env={**self.workshop.environment, "TAPHOUSE_PURE": self.pure},
                capture_output=True,
                text=True,
                check=False,
                timeout=WORKER_LIMIT_S,
            )
        if made.returncode:
            raise BenchError(f"{what}: {(made.stderr.strip() or 'no reason given').splitlines()[-1]}")
        return float(json.loads(made.stdout)["seconds"])


def taphouse(workshop: Workshop) -> Contestant:
    """Taphouse as installed here, with its C parts if they are built."""
    return _taphouse(workshop, TAPHOUSE, "0")


def pure(workshop: Workshop) -> Contestant:
    """Taphouse without a compiler."""
    return _taphouse(workshop, PURE, "1")


def plain_pickle(workshop: Workshop) -> Contestant:
    """Pickle's highest protocol to a temporary file, fsync, rename."""
    return Contestant(PICKLE, afresh(Keeper(workshop, "freezing_pickle.py").measure), "highest protocol")


def _taphouse(workshop: Workshop, name: str, pure: str) -> Contestant:
    keeper = Keeper(workshop, "freezing_taphouse.py", pure)
    return Contestant(name, afresh(keeper.measure), keeper.parts())


FREEZING = Group(
    name="freezing",
    title="Freeze and thaw",
    method="200,000 objects of six attributes (numbers, text, a list, a reference), one in 37 checked "
    "after the thaw; fresh processes, files synced to disk.",
    rounds=11,
    limit_s=100.0,  # the Python twins take ten seconds a round: some pairs fewer on a slow machine
    entries=(taphouse, pure, plain_pickle),
    comparisons=(
        Comparison("freeze 200,000 objects", FREEZE, TAPHOUSE, PICKLE, Goal(1.5)),
        Comparison("thaw 200,000 objects", THAW, TAPHOUSE, PICKLE, Goal(1.5)),
        Comparison("freeze and thaw", BOTH, TAPHOUSE, PICKLE, Goal(1.5)),
        Comparison("freeze and thaw", BOTH, PURE, PICKLE),
    ),
    needs_disk=True,
)
