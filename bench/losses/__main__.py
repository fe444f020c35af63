"""The command line: who, how often, how long.

usage: python -m bench.losses [--rounds N] [--seconds S] [--work DIR] [--only NAME]

A full run keeps its figures in bench/results/losses.json and writes them into README.md and
docs/durability.md; a run with less effort only prints. Exit: 0 counted, 1 a server or a tool failed,
2 taphouse has lost something.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import time
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from bench.contestant import BenchError, Unavailable
from bench.losses.clients import Count, Hammering, Tally, take_one
from bench.losses.contenders import CONTENDERS, Contender, new_place
from bench.losses.powercut import DEATHS, build_shim
from bench.losses.table import Loss, keep, table, write_documents
from bench.workshop import HERE, Workshop

ROUNDS = 4
SECONDS = 2.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for and return the exit status."""
    options = _parser().parse_args(arguments)
    workshop = Workshop(folder=options.work.resolve())
    workshop.folder.mkdir(parents=True, exist_ok=True)
    losses: list[Loss] = []
    try:
        shim = build_shim(workshop.folder)
        for contender in CONTENDERS:
            if not fnmatch(contender.name, options.only):
                continue
            for death in DEATHS:
                count = count_losses(contender, death, workshop, shim, options.rounds, options.seconds)
                losses.append(Loss(contender.name, death, **vars(count)))
                print(losses[-1].line(), flush=True)
    except (BenchError, Unavailable) as error:
        print(f"losses: {error}", file=sys.stderr)
        return 1
    if (options.rounds, options.seconds, options.only) == (ROUNDS, SECONDS, "*"):
        print(f"\n{table(losses)}\nkept: {keep(losses, workshop.folder)}")
        print("written:", *write_documents(losses))
    ours = [loss for loss in losses if loss.who == "taphouse"]
    return 2 if any(loss.lost or loss.repeated for loss in ours) else 0


def count_losses(
    contender: Contender, death: str, workshop: Workshop, shim: Path, rounds: int, seconds: float
) -> Count:
    """Let clients count while one server dies ``rounds`` times in the same way.

    Raises:
        Unavailable: if it cannot take part.
        BenchError: if it does not start.
    """
    tally = Tally()
    with workshop.run_folder() as folder:
        place = new_place(workshop, folder, shim)
        contender.prepare(place)
        place.disk.settle()
        for number in range(rounds + 1):
            with place.serving(contender.command(place)) as end:
                try:
                    tally.begin_again(take_one(place.port, contender.language))
                except OSError as error:
                    raise BenchError(f"{contender.name}: {error}\n{place.output.read_text()}") from None
                if number == rounds:
                    break
                with Hammering(place.port, contender.language, tally):
                    # Somewhere in the middle of the work: no death falls on the same step twice.
                    time.sleep(seconds * random.uniform(0.5, 1.5))
                    end(signal.SIGKILL)
            if death == "power cut":
                place.disk.cut()
    return tally.count


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "bench.losses", description="Count what is lost, by whom, in which death."
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N", help="deaths of each server")
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, metavar="S", help="life of each, on average"
    )
    parser.add_argument(
        "--only", default="*", metavar="NAME", help="only servers of this name; * stands for any text"
    )
    parser.add_argument(
        "--work", type=Path, default=HERE.parent / ".run" / "bench", metavar="DIR", help="folder"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
