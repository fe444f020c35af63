"""Versions: which strings are versions of a package, and which of two is newer.

As deb-version(7) has it.  This module must never ask dpkg, which is not on every
machine that packages are made on.
"""

from __future__ import annotations

import re
from typing import Final

from taphouse.errors import UsageError

__all__ = ["check_version", "compare_versions", "is_native", "without_epoch"]

_VERSION: Final = re.compile(
    # Without a revision there is no hyphen; with one, the last hyphen stands before it.
    r"(?:(?P<epoch>[0-9]{1,9}):)?(?P<upstream>[0-9][A-Za-z0-9.+~-]*(?=-)|[0-9][A-Za-z0-9.+~]*)"
    r"(?:-(?P<revision>[A-Za-z0-9.+~]+))?"
)
_LONGEST: Final = 128


def check_version(version: str) -> str:
    """Return ``version`` if a package can have it.

    Raises:
        UsageError: it is not ``[epoch:]upstream[-revision]``.
    """
    if len(version) > _LONGEST or _match(version) is None:
        raise UsageError(
            f"{version!r:.100} cannot be the version of a package",
            cure="begin with a digit, go on with letters, digits and . + ~ - (--set-version)",
        )
    return version


def is_native(version: str) -> bool:
    """Say whether a version has no Debian revision."""
    match = _match(version)
    return match is None or match["revision"] is None


def without_epoch(version: str) -> str:
    """Return a version as it stands in the name of a file."""
    return version.partition(":")[2] or version


def compare_versions(one: str, other: str) -> int:
    """Return what is less than, equal to or greater than 0 if ``one`` is older, the same or newer.

    Raises:
        UsageError: one of them is no version.
    """
    first, second = _match(check_version(one)), _match(check_version(other))
    assert first is not None
    assert second is not None
    return (
        int(first["epoch"] or 0) - int(second["epoch"] or 0)
        or _compare(first["upstream"], second["upstream"])
        or _compare(first["revision"] or "", second["revision"] or "")
    )


def _match(version: str) -> re.Match[str] | None:
    return _VERSION.fullmatch(version)


def _compare(one: str, other: str) -> int:
    """Compare turn by turn: what is no digits by the order of characters, digits as numbers."""
    first, second = re.split(r"(\d+)", one), re.split(r"(\d+)", other)
    length = max(len(first), len(second))
    first += [""] * (length - len(first))
    second += [""] * (length - len(second))
    for turn, (mine, theirs) in enumerate(zip(first, second, strict=True)):
        if turn % 2:
            order = int(mine or 0) - int(theirs or 0)
        else:
            mine_ranks, theirs_ranks = _ranks(mine), _ranks(theirs)
            order = (mine_ranks > theirs_ranks) - (mine_ranks < theirs_ranks)
        if order:
            return order
    return 0


def _ranks(text: str) -> list[int]:
    """Return numbers in the order that versions have: ``~``, the end, letters, everything else."""
    return [_rank(character) for character in text] + [0]


def _rank(character: str) -> int:
    if character == "~":
        return -1
    return ord(character) if character.isalpha() else ord(character) + 256
