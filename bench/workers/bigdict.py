"""A dictionary of many entries: change one and commit; or build it again from its file.

usage: bigdict.py commit COUNT     as often as a line comes on standard input: 300 changes, each committed
       bigdict.py build COUNT      write dictionary-shutdown.tap and dictionary.pickle into this folder
       bigdict.py thaw COUNT       build it from the tap
       bigdict.py unpickle COUNT   build it from the pickle

Prints JSON, a line for each answer. The entries are the same everywhere: text to a number.
"""

from __future__ import annotations

import asyncio
import json
import pickle
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import uvloop
from durable_bank import Bank

from taphouse import Application, durable
from taphouse.durable import ClassRecord, find_registered
from taphouse.persist import open_state, thaw

CHANGES = 300
# Longer than the pause before anything is folded.
REST_S, REST_SHARE = 0.4, 0.03
TAP, PICKLE = Path("dictionary-shutdown.tap"), Path("dictionary.pickle")
STRIDE = 7919


def key(number: int) -> str:
    """Return the name of one entry."""
    return f"key {number:07d}"


def entries(count: int) -> dict[str, int]:
    """Return the entries."""
    return {key(number): number * 1_000_003 % 5_000_000 for number in range(count)}


def application(count: int) -> tuple[Application, Bank]:
    """Return an application that remembers the entries."""
    bank = Bank()
    bank.accounts = entries(count)
    app = Application("dictionary")
    app.listenTCP(0, bank, interface="127.0.0.1")
    return app, bank


async def change(bank: Any, count: int, turn: int) -> list[float]:
    """Change one entry and commit, many times; return the seconds of each."""
    took = []
    accounts = bank.accounts
    for number in range(turn * CHANGES, (turn + 1) * CHANGES):
        name = key(number * STRIDE % count)
        begin = time.perf_counter()
        accounts[name] = number
        await durable.committed()
        took.append(time.perf_counter() - begin)
    return took


async def rest() -> None:
    """Return when everything is folded: when this process, left alone, uses next to nothing any more."""
    used_s = -1.0
    while time.process_time() - used_s > REST_S * REST_SHARE:
        used_s = time.process_time()
        await asyncio.sleep(REST_S)


async def commit(count: int) -> None:
    """Answer every line with the times of some commits, and with what they cost with their folding."""
    app, bank = application(count)
    loop = asyncio.get_running_loop()
    async with app.running(run_directory="."):
        await durable.committed()
        await change(bank, count, 0)
        await rest()
        print(json.dumps({"entries": len(bank.accounts)}), flush=True)
        turn = 0
        while await loop.run_in_executor(None, sys.stdin.readline):
            turn += 1
            cpu_s = time.process_time()
            took = sorted(await change(bank, count, turn))
            await rest()
            cpu_s = time.process_time() - cpu_s
            figures = {
                "commit_us": statistics.median(took) * 1e6,
                "mean_us": statistics.fmean(took) * 1e6,
                "p99_us": took[len(took) * 99 // 100] * 1e6,
                "cpu_us": cpu_s / CHANGES * 1e6,
            }
            print(json.dumps(figures), flush=True)


async def build(count: int) -> None:
    """Write both files, the tap as a server leaves it after some changes."""
    app, bank = application(count)
    async with app.running(run_directory="."):
        await change(bank, count, 0)
        plain = dict(bank.accounts)
    PICKLE.write_bytes(pickle.dumps(plain, protocol=pickle.HIGHEST_PROTOCOL))
    print(json.dumps({"tap_mb": TAP.stat().st_size / 1e6, "pickle_mb": PICKLE.stat().st_size / 1e6}))


def timed_thaw() -> tuple[float, Any]:
    """Build the application from its tap, ready to be changed; return the seconds and the entries."""
    begin = time.perf_counter()
    store = open_state(TAP)
    accounts = thaw(store, resolve).root.listeners[0].factory.accounts
    found = accounts[key(0)], len(accounts)
    seconds = time.perf_counter() - begin
    assert found
    return seconds, accounts


def timed_unpickle() -> tuple[float, Any]:
    """Build the dictionary from the pickle; return the seconds and the entries."""
    begin = time.perf_counter()
    with PICKLE.open("rb") as file:
        accounts = pickle.load(file)
    found = accounts[key(0)], len(accounts)
    seconds = time.perf_counter() - begin
    assert found
    return seconds, accounts


def check(accounts: Any, count: int) -> None:
    """End the program if the entries are not those that were written."""
    wanted = entries(count)
    for number in range(CHANGES):
        wanted[key(number * STRIDE % count)] = number
    if accounts != wanted:
        sys.exit("the entries are not what was written")


def resolve(record: ClassRecord) -> Any:
    """Find a class by its registered name."""
    return find_registered(record.name)


def main(what: str, count: int) -> None:
    """Do what is asked for."""
    if what == "commit":
        uvloop.run(commit(count))
    elif what == "build":
        uvloop.run(build(count))
    else:
        seconds, accounts = timed_thaw() if what == "thaw" else timed_unpickle()
        check(accounts, count)
        print(json.dumps({"load_s": seconds}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
