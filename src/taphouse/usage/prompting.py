"""Prompting: asking for a secret, where somebody can answer.

It must never show what was typed.
"""

from __future__ import annotations

import sys

from taphouse.errors import UsageError
from taphouse.usage.secret import Secret

__all__ = ["ask_secret"]


def ask_secret(flag: str) -> Secret:
    """Ask for a secret twice, on the terminal.

    Raises:
        UsageError: if there is no terminal, the two differ, or nothing was typed.
    """
    if not (sys.stdin and sys.stdin.isatty()):
        raise UsageError(
            f"{flag} asks for a secret, but there is no terminal",
            cure=f"give {flag}-file or {flag}-credential",
        )
    import getpass

    try:
        first = getpass.getpass(f"{flag[2:]}: ")
        again = getpass.getpass(f"{flag[2:]} again: ")
    except (EOFError, KeyboardInterrupt):
        raise UsageError(f"{flag}: nothing was typed") from None
    if first != again:
        raise UsageError(f"{flag}: the two are not the same", cure="try again")
    if not first:
        raise UsageError(f"{flag}: nothing was typed")
    return Secret(first)
