"""Freeze or thaw the bank with taphouse: an application whose factory holds the accounts.

usage: freezing_taphouse.py freeze|thaw      in a folder of its own; prints JSON

Freezing is ``app.save("start")``: what a user calls, printing aside. Thawing is what a start does with the
seed: begin a state tap from it and build the objects, ready to be changed.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time
from pathlib import Path
from typing import Any

from accounts import check, fill
from durable_bank import Account, Bank

from taphouse import Application
from taphouse.durable import ClassRecord, find_registered
from taphouse.persist import create_state, thaw

SEED = Path("bank-start.tap")


def freeze() -> float:
    """Save the application and return the seconds."""
    bank = Bank()
    bank.accounts = fill(Account)
    app = Application("bank")
    app.listenTCP(8123, bank)
    with contextlib.redirect_stdout(io.StringIO()):
        begin = time.perf_counter()
        app.save("start")
        return time.perf_counter() - begin


def thaw_seed() -> float:
    """Build the application from its seed again and return the seconds."""
    begin = time.perf_counter()
    store = create_state(Path("bank-shutdown.tap"), seed=SEED)
    thawed = thaw(store, resolve)
    seconds = time.perf_counter() - begin
    check(thawed.root.listeners[0].factory.accounts)
    store.abandon()
    return seconds


def resolve(record: ClassRecord) -> Any:
    """Find a class by its registered name."""
    return find_registered(record.name)


if __name__ == "__main__":
    print(json.dumps({"seconds": freeze() if sys.argv[1] == "freeze" else thaw_seed()}))
