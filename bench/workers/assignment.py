"""What one attribute assignment costs, in nanoseconds: one process, one kind of object.

usage: assignment.py plain|durable

Prints JSON: ``assign_ns`` is ``o.n = value`` in a loop (the loop included: it cancels in the difference),
with the object already dirty; ``add_ns`` is ``o.n += 1``. A durable object is attached to a ledger as in a
running application. ``tracker`` says which twin ran.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

LOOPS = 200_000
TRIES = 9


class Plain:
    """An object nobody watches."""

    n = 0


def durable_object() -> tuple[Any, str]:
    """Return an attached durable object and the name of the tracker that watches it."""
    from taphouse.durable import TRACKER, Durable, Ledger, attach

    class Watched(Durable):
        n = 0

    ledger = Ledger()
    watched = Watched()
    ledger.begin(watched)
    attach(watched, ledger, ledger.new_oid())
    watched.n = 1
    if not ledger.is_dirty:
        raise SystemExit("the durable object is not tracked: this would measure something else")
    keep.append(ledger)
    return watched, TRACKER


keep: list[Any] = []


def assign(target: Any) -> None:
    """Assign ``LOOPS`` times."""
    for value in range(LOOPS):
        target.n = value


def add(target: Any) -> None:
    """Add one ``LOOPS`` times."""
    for _ in range(LOOPS):
        target.n += 1


def best_ns(work: Callable[[Any], None], target: Any) -> float:
    """Return the time of one loop turn: the best of some tries, the one that was least disturbed."""
    best = float("inf")
    for _ in range(TRIES):
        begin = time.perf_counter_ns()
        work(target)
        best = min(best, time.perf_counter_ns() - begin)
    return best / LOOPS


def main(kind: str) -> None:
    """Measure one kind and print the figures."""
    target, tracker = durable_object() if kind == "durable" else (Plain(), "none")
    target.n = 0
    figures = {"assign_ns": best_ns(assign, target), "add_ns": best_ns(add, target), "tracker": tracker}
    print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1])
