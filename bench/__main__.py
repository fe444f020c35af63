"""The command line: which groups, how much effort, and where the figures go.

usage: python -m bench [--quick] [--rounds N] [--seconds S] [--work DIR] [--list] [--table] [GROUP ...]

A full run keeps its results and rewrites docs/benchmarks.md; a quick run or one with less effort only prints,
because its figures are too few to stand there. Exit: 0 measured (missed goals included: they are results),
1 a measurement that cannot be trusted, 64 usage.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench.contestant import BenchError, Sample
from bench.group import Group, measure_group
from bench.groups import GROUPS
from bench.machine import describe_machine, require_disk
from bench.report import row_line, write_page
from bench.results import RESULTS, Kept, keep, read_result, write_result
from bench.workshop import HERE, Workshop

QUICK_ROUNDS = 3
QUICK_SECONDS = 0.3
USAGE = 64


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for and return the exit status."""
    options = _parser().parse_args(arguments)
    known = {group.name: group for group in GROUPS}
    if unknown := [name for name in options.groups if name not in known]:
        print(f"bench: no group {unknown[0]!r}; there are: {', '.join(known)}", file=sys.stderr)
        return USAGE
    if options.list:
        for group in GROUPS:
            print(f"{group.name:12} {group.title}, {len(group.comparisons)} rows, {group.rounds} rounds")
        return 0
    if options.table:
        print(f"written: {write_page(_kept_results())}")
        return 0
    workshop = Workshop(
        folder=options.work.resolve(),
        rounds=options.rounds or (QUICK_ROUNDS if options.quick else None),
        seconds=options.seconds or (QUICK_SECONDS if options.quick else None),
    )
    try:
        _run([known[name] for name in options.groups] or list(GROUPS), workshop)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


def _run(groups: Sequence[Group], workshop: Workshop) -> None:
    is_full = workshop.rounds is None and workshop.seconds is None
    workshop.folder.mkdir(parents=True, exist_ok=True)
    machine = describe_machine(workshop.folder)
    for group in groups:
        if group.needs_disk:
            require_disk(workshop.folder)
        place = f"; files on {machine['file system']}, {machine['device']}" if group.needs_disk else ""
        print(f"== {group.title}; {workshop.cores}{place}", flush=True)
        begin = time.monotonic()
        measured = measure_group(group, workshop, _tell)
        kept = keep(measured, workshop, machine)
        for row in kept.rows:
            print(row_line(row))
        for name, detail in kept.details.items():
            if detail:
                print(f"{name}: {detail}")
        for reason in kept.absent:
            print(f"NOT MEASURED: {reason}")
        print(f"-- {time.monotonic() - begin:.0f} s", flush=True)
        if is_full:
            print(f"kept: {write_result(kept)}")
    if is_full:
        print(f"written: {write_page(_kept_results())}")
    else:
        print("not kept: only a full run writes docs/benchmarks.md")


def _kept_results() -> list[Kept]:
    """The kept results in the order of the groups."""
    paths = (RESULTS / f"{group.name}.json" for group in GROUPS)
    return [read_result(path) for path in paths if path.exists()]


def _tell(number: int, name: str, sample: Sample) -> None:
    figures = ", ".join(f"{key} {value:.4g}" for key, value in sample.items())
    print(f"   {number + 1:3} {name}: {figures}", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("bench", description="Measure taphouse beside its peers.")
    parser.add_argument("groups", metavar="GROUP", nargs="*", help="only these groups (see --list)")
    parser.add_argument("--quick", action="store_true", help="a few short rounds; prints only")
    parser.add_argument("--rounds", type=int, metavar="N", help="pairs per group; prints only")
    parser.add_argument("--seconds", type=float, metavar="S", help="length of one load sample; prints only")
    parser.add_argument(
        "--work",
        type=Path,
        default=HERE.parent / ".run" / "bench",
        metavar="DIR",
        help="work folder, on a disk (default: .run/bench)",
    )
    parser.add_argument("--list", action="store_true", help="name the groups")
    parser.add_argument(
        "--table", action="store_true", help="only rewrite docs/benchmarks.md from the kept results"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
