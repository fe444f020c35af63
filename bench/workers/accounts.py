"""The state that is frozen and thawed: a bank of accounts, the same for every way to keep it.

Each account has six attributes: two numbers, a text, a time, a short list and a reference to another account
(an earlier one, so that pickle, which walks depth first, does not run out of stack).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

COUNT = 200_000


def fill(make: Callable[[], Any]) -> list[Any]:
    """Return ``COUNT`` accounts made by ``make()`` and filled."""
    accounts: list[Any] = []
    for number in range(COUNT):
        account = make()
        account.number = number
        account.owner = f"owner {number * 7919 % COUNT}"
        account.balance = number * 1_000_003 % 5_000_000
        account.opened_s = 1_700_000_000.25 + number
        account.latest = [number % 97, number % 89, number % 83]
        account.partner = accounts[number // 2] if accounts else None
        accounts.append(account)
    return accounts


def check(accounts: list[Any]) -> None:
    """End the program if ``accounts`` are not those of :func:`fill`."""
    if len(accounts) != COUNT:
        sys.exit(f"{len(accounts)} accounts instead of {COUNT}")
    for number in range(0, COUNT, 37):
        account = accounts[number]
        seen = (account.number, account.owner, account.balance, account.opened_s, list(account.latest))
        wanted = (
            number,
            f"owner {number * 7919 % COUNT}",
            number * 1_000_003 % 5_000_000,
            1_700_000_000.25 + number,
            [number % 97, number % 89, number % 83],
        )
        if seen != wanted or (number and account.partner is not accounts[number // 2]):
            sys.exit(f"account {number} is not what was frozen: {seen}")
