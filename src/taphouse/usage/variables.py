"""Variables: the names of options in the environment.

It must never read one.
"""

from __future__ import annotations

from taphouse.usage.fields import Field

__all__ = ["command_prefix", "variable_name", "variable_prefix"]


def variable_prefix(name: str) -> str:
    """Return what the names of environment variables begin with, ``TAPHOUSE_QUOTES_``."""
    return f"TAPHOUSE_{_capitals(name)}_"


def command_prefix(prefix: str, word: str) -> str:
    """Return what the variables of a sub-command begin with."""
    return f"{prefix}{_capitals(word)}_"


def variable_name(prefix: str, field: Field) -> str:
    """Return the environment variable of an option."""
    return prefix + _capitals(field.name)


def _capitals(name: str) -> str:
    return "".join(letter if letter.isalnum() and letter.isascii() else "_" for letter in name).upper()
