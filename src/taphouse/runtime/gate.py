"""The output gate: output waits until the state it may depend on is on disk.

While anything durable has changed and is not committed, the gate is closed and
every transport keeps what it is told to send.  What was kept until the state
was frozen is let go when that commit has landed; what came later waits for the
next one.  So the order within a connection is kept, and a reply that may have
seen uncommitted state waits like one that changed it (external synchrony:
Nightingale et al., "Rethink the Sync", OSDI 2006).

An open gate is an object too: the one of applications without state.  It must
never know what is kept, or how a commit is made.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol

__all__ = ["OPEN", "Gate", "Gathering", "Keeper", "Kept", "size_of"]


class Keeper(Protocol):
    """A transport that keeps output while the gate is closed."""

    def take_kept(self) -> list[Any]:
        """Return what is kept, in order, and keep nothing of it any more."""

    def let_go(self, kept: list[Any]) -> None:
        """Send what was taken."""

    def forget_kept(self) -> None:
        """Drop what is kept: it will never be true."""

    def peek_kept(self) -> Sequence[Any]:
        """Return what is kept, and keep it."""


Kept = list[tuple[Keeper, list[Any]]]
"""What was taken from whom when the state was frozen."""


class Gate:
    """A gate that is always open."""

    closed = False
    """Whether output has to be kept; asked before each write."""

    def keep(self, keeper: Keeper) -> None:
        """``keeper`` has begun to keep output."""

    def end_turn(self) -> None:
        """Commit here and now, if that can be done without waiting."""

    async def wait_released(self) -> None:
        """Return when all that was kept before the call has been let go."""


_MORE_TURNS: Final = 7
"""Turns that output waits for more of its kind, at most."""

OPEN = Gate()
"""The gate of everything that no state stands behind."""


class Gathering:
    """What is kept for one commit: who keeps, and what was taken from whom when the state was frozen."""

    __slots__ = ("_counted", "_keepers", "_turns_left")

    def __init__(self) -> None:
        self._keepers: dict[Keeper, None] = {}
        self._counted = 0
        self._turns_left = _MORE_TURNS

    def __bool__(self) -> bool:
        return bool(self._keepers)

    def add(self, keeper: Keeper) -> None:
        """Count ``keeper`` in."""
        self._keepers[keeper] = None

    def is_growing(self) -> bool:
        """Say whether this turn of the loop has brought more keepers, so that the next one may too.

        Clients that are answered together ask again together, but not at the same instant: one sync for
        those of a few turns costs less than one for each turn, and nobody waits longer for it.  Without
        more of them, or after some turns, the answer is no.
        """
        brought, self._counted = len(self._keepers) - self._counted, len(self._keepers)
        if brought <= 0 or not self._turns_left:
            return False
        self._turns_left -= 1
        return True

    def take(self) -> Kept:
        """Return everything that is kept, and begin anew."""
        self._counted, self._turns_left = 0, _MORE_TURNS
        if not self._keepers:
            return []
        keepers, self._keepers = self._keepers, {}
        return [(keeper, keeper.take_kept()) for keeper in keepers]

    def drop(self) -> None:
        """Forget everything that is kept."""
        keepers, self._keepers = self._keepers, {}
        for keeper in keepers:
            keeper.forget_kept()

    def size_bytes(self) -> int:
        """Return how many bytes are kept, by looking at all of them."""
        return size_of((keeper, keeper.peek_kept()) for keeper in self._keepers)


def size_of(kept: Iterable[tuple[Keeper, Sequence[Any]]]) -> int:
    """Return how many bytes of output are in ``kept``."""
    return sum(_size(item) for _, items in kept for item in items)


def _size(item: Any) -> int:
    data = item[0] if type(item) is tuple else item  # a datagram has its address beside it
    return len(data) if type(data) is bytes else 0
