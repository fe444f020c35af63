"""The table: kept results as Markdown for docs/benchmarks.md, and as short lines for a terminal.

Missed rows stand in bold with the word; nothing is rounded to the better side. Knows kept results only.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.comparison import Row
from bench.results import Kept
from bench.workshop import HERE

PAGE = HERE.parent / "docs" / "benchmarks.md"

INTRODUCTION = """\
# Benchmarks

Written by `./run bench` (the house `bench/`); figures by hand have no place here. Each row compares two
programs that ran in turns on the machine named with the row. The ratio is the median of the paired ratios,
the interval encloses that median with at least 95 % whatever the noise looks like (order statistics).
**Bold rows missed their goal.** A row *reached* its goal when only the interval touches a goal that lies
within the noise. Every sample is in `bench/results/`.

`./run bench GROUP ...` measures again and writes this page (`./run bench --list` names the groups, each
takes two or three minutes; `--quick` only prints). Under a table stands who ran, with the medians of
everything that was sampled. Where something has to be on a disk, the syncs that each side asked for are
counted in another run, by strace, because counting costs time; the lines of configuration that are not the
program's defaults are named. "taphouse kv" is `examples/08-kv` under `twistd -n`.

Figures of two cores of a virtual machine say which of two programs is faster and about how much; they do
not say what your machine will do.
"""

HEADER = (
    "| what | taphouse | peer | ratio | 95 % interval | pairs | goal | |",
    "| --- | --- | --- | --- | --- | --- | --- | --- |",
)


def render_page(results: Sequence[Kept]) -> str:
    """Return the whole page for ``results``."""
    sections = [_section(kept) for kept in results] or ["Nothing is kept yet: `./run bench` measures.\n"]
    return "\n".join([INTRODUCTION, *sections])


def row_line(row: Row) -> str:
    """Return one row for a terminal."""
    return (
        f"{row.verdict.upper():9} {row.title}: {row.subject} {_figure(row.subject_median)} "
        f"beside {row.peer} {_figure(row.peer_median)} {row.unit}: "
        f"{_compared(row.median, row)} [{_interval(row)}] goal {_goal(row)}"
    )


def _section(kept: Kept) -> str:
    lines = [f"## {kept.title}", "", kept.method, ""]
    if kept.rows:
        lines += [*HEADER, *(_table_row(row) for row in kept.rows), ""]
    lines += _medians(kept)
    lines += [f"Not measured: {reason}." for reason in kept.absent]
    facts = "; ".join(f"{name}: {fact}" for name, fact in kept.machine.items())
    lines += [f"Measured {kept.measured}; {kept.cores}; {facts}.", ""]
    return "\n".join(lines)


def _table_row(row: Row) -> str:
    cells = [
        f"{row.title} ({row.unit}, {row.better} is better)",
        _named(row.subject, row.subject_median),
        _named(row.peer, row.peer_median),
        _compared(row.median, row),
        _interval(row),
        str(row.pairs),
        _goal(row),
        _verdict(row),
    ]
    if row.verdict == "missed":
        cells = [f"**{cell}**" for cell in cells]
    return f"| {' | '.join(cells)} |"


def _named(name: str, median: float) -> str:
    return f"{_figure(median)} ({name})"


def _compared(value: float, row: Row) -> str:
    return f"{value:.3f}x" if row.kind == "ratio" else f"{value:+.1f} {row.unit}"


def _interval(row: Row) -> str:
    if row.low is None or row.high is None:
        return "too few pairs"
    return f"{_compared(row.low, row)} to {_compared(row.high, row)}"


def _goal(row: Row) -> str:
    if row.goal is None:
        return "none"
    sign = ">=" if row.better == "higher" else "<="
    unit = "x" if row.kind == "ratio" else f" {row.unit}"
    beyond = "" if row.stretch is None else f", stretch {row.stretch:g}{unit}"
    return f"{sign} {row.goal:g}{unit}{beyond}"


def _verdict(row: Row) -> str:
    if row.verdict == "reported":
        return ""
    return f"{row.verdict}, stretch too" if row.is_stretch_kept else row.verdict


def _figure(value: float) -> str:
    """Three significant digits and more where the number is large."""
    if abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.3g}"


def _medians(kept: Kept) -> Iterable[str]:
    """Everything else that was sampled, as medians: who ran, and the figures no comparison names."""

    for name, samples in kept.samples.items():
        keys = samples[0] if samples else {}
        figures = ", ".join(
            f"{key} {_figure(statistics.median(each[key] for each in samples))}" for key in keys
        )
        detail = f" ({kept.details[name]})" if kept.details.get(name) else ""
        yield f"- {name}{detail}: {figures}"
    yield ""


def write_page(results: Sequence[Kept], page: Path = PAGE) -> Path:
    """Write the page and return its path."""
    page.write_text(render_page(results))
    return page
