"""Freeze or thaw the bank with plain pickle, as carefully as a file must be replaced.

usage: freezing_pickle.py freeze|thaw      in a folder of its own; prints JSON
"""

from __future__ import annotations

import json
import os
import pickle
import sys
import time

from accounts import check, fill


class Account:
    """A plain object."""


def freeze() -> float:
    """Write bank.pickle by temporary name, fsync, rename and folder fsync; return the seconds."""
    accounts = fill(Account)
    begin = time.perf_counter()
    with open("bank.new", "wb") as file:
        pickle.dump(accounts, file, protocol=pickle.HIGHEST_PROTOCOL)
        file.flush()
        os.fsync(file.fileno())
    os.rename("bank.new", "bank.pickle")
    folder = os.open(".", os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
    return time.perf_counter() - begin


def thaw() -> float:
    """Read the accounts back and return the seconds."""
    begin = time.perf_counter()
    with open("bank.pickle", "rb") as file:
        accounts = pickle.load(file)
    seconds = time.perf_counter() - begin
    check(accounts)
    return seconds


if __name__ == "__main__":
    print(json.dumps({"seconds": freeze() if sys.argv[1] == "freeze" else thaw()}))
