"""The kept figures: one small JSON file per group in ``bench/results``, tracked with the code they belong to.

A file holds everything the table says and every sample behind it, so that a doubt can be settled without
running again. Knows the shape of results; not how they are shown.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.comparison import Row
from bench.group import Measured
from bench.workshop import HERE, Workshop

RESULTS = HERE / "results"


@dataclass(frozen=True, slots=True)
class Kept:
    """The result of one group as kept on disk."""

    name: str
    title: str
    method: str
    measured: str
    machine: Mapping[str, str]
    cores: str
    rows: list[Row]
    absent: list[str]
    details: Mapping[str, str]
    samples: Mapping[str, list[dict[str, float]]]


def keep(
    measured: Measured, workshop: Workshop, machine: Mapping[str, str], now: datetime | None = None
) -> Kept:
    """Return ``measured`` with its place and time, ready to be kept or shown."""
    group = measured.group
    return Kept(
        name=group.name,
        title=group.title,
        method=group.method,
        measured=(now or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M UTC"),
        machine=dict(machine),
        cores=str(workshop.cores),
        rows=measured.rows,
        absent=measured.absent,
        details=measured.details,
        samples={name: [_rounded(sample) for sample in each] for name, each in measured.samples.items()},
    )


def write_result(kept: Kept, folder: Path = RESULTS) -> Path:
    """Write the result of one group into ``folder``, replacing its last one, and return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{kept.name}.json"
    path.write_text(json.dumps(dataclasses.asdict(kept), indent=1) + "\n")
    return path


def read_result(path: Path) -> Kept:
    """Read one kept result. Raises ValueError or KeyError for a file of another shape."""
    found: dict[str, Any] = json.loads(path.read_text())
    found["rows"] = [Row(**row) for row in found["rows"]]
    return Kept(**found)


def _rounded(sample: Mapping[str, float]) -> dict[str, float]:
    # Six digits are more than any of these clocks can tell apart.
    return {key: float(f"{value:.6g}") for key, value in sample.items()}
