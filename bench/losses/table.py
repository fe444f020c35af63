"""What was counted, as lines, as a table and as a file. It must never know how it was counted."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Sequence
from pathlib import Path

from bench.losses.powercut import DEATHS
from bench.machine import describe_machine
from bench.results import RESULTS
from bench.workshop import HERE

__all__ = ["Loss", "by_default", "keep", "kept", "table", "write_documents"]

_FILE = RESULTS / "losses.json"


@dataclasses.dataclass(frozen=True)
class Loss:
    """What one server lost in one kind of death.

    Args:
        who: its name.
        death: which.
        acknowledged: replies that clients got.
        lost: of them, those that the server had forgotten afterwards.
        repeated: replies with a number that somebody had been told before.
    """

    who: str
    death: str
    acknowledged: int
    lost: int
    repeated: int

    def line(self) -> str:
        """Return the line of the demo."""
        counted = f"acknowledged {self.acknowledged}, lost {self.lost}, repeated {self.repeated}"
        return f"{self.who}, {self.death}: {counted}"


def by_default(losses: Sequence[Loss]) -> list[Loss]:
    """Return what is for the first screen: of taphouse only what it does unless told otherwise."""
    return [loss for loss in losses if not loss.who.startswith("taphouse,")]


def table(losses: Sequence[Loss]) -> str:
    """Return the Markdown table: a row for each server, a column for each death."""
    found = {(loss.who, loss.death): loss for loss in losses}
    rows = [
        "| server | " + " | ".join(f"{death}: acknowledged, lost" for death in DEATHS) + " |",
        "| --- |" + " ---: |" * len(DEATHS),
    ]
    for who in dict.fromkeys(loss.who for loss in losses):
        cells = (found[who, death] for death in DEATHS)
        row = " | ".join(f"{loss.acknowledged:,}, **{loss.lost:,}**" for loss in cells)
        rows.append(f"| {who} | {row} |")
    return "\n".join(rows) + "\n"


def write_documents(losses: Sequence[Loss], top: Path = HERE.parent) -> list[Path]:
    """Put the tables in place of those in README.md and docs/durability.md; return the files."""
    tables = {top / "README.md": table(by_default(losses)), top / "docs" / "durability.md": table(losses)}
    for document, new in tables.items():
        text = document.read_text()
        head = re.escape(new.splitlines()[0])
        old = re.findall(rf"^{head}\n(?:\|.*\n)+", text, re.MULTILINE)
        assert len(old) == 1, f"{document} has {len(old)} tables of losses"
        document.write_text(text.replace(old[0], new))
    return list(tables)


def keep(losses: Sequence[Loss], folder: Path) -> Path:
    """Write the figures and the machine they were counted on; return the file."""
    content = {"machine": describe_machine(folder), "losses": [dataclasses.asdict(loss) for loss in losses]}
    _FILE.write_text(json.dumps(content, indent=1) + "\n")
    return _FILE


def kept() -> list[Loss]:
    """Return the figures of the last full run."""
    return [Loss(**loss) for loss in json.loads(_FILE.read_text())["losses"]]
