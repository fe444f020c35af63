"""Pace: when what changed is committed, and whether output waits for that.

Three paces an operator may choose, and one for an application that keeps no
state.  `taphouse.runtime.epochs` tells its pace that something has changed or
that somebody waits, and the pace rings when it is time.  It must never know
what a commit is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import ClassVar, Protocol

from taphouse.errors import ConfigurationError
from taphouse.runtime.clock import Clock, Timer

__all__ = ["AtExit", "EverySecond", "EveryTurn", "Pace", "Unkept", "find_pace"]

_INTERVAL_S = 1.0


class Pace(Protocol):
    """When to commit.

    Args:
        loop: whose turns are meant.
        clock: for the timer.
        ring: called when it is time.
    """

    mode: ClassVar[str]
    """What the operator calls it."""
    keeps: ClassVar[bool]
    """Whether anything is kept at all; if not, nobody waits for it."""
    closes_gate: ClassVar[bool]
    """Whether output waits for the commit."""
    is_prompt: ClassVar[bool]
    """Whether ``arm`` rings at the end of the turn."""
    commits_on: ClassVar[str]
    """"thread" if the loop is not to wait for the disk, for no reply does; "" if that depends on the disk."""
    compare_after_s: ClassVar[float | None]
    """Seconds after a commit at which values that change unseen count as changed; None: never."""
    notice: ClassVar[str]
    """What the log has to say about it at the start; empty if nothing."""

    arm: Callable[[], object]
    """Something has changed, and it is the first since it rang last."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock, ring: Callable[[], None]) -> None: ...

    def hurry(self) -> None:
        """Ring at the end of this turn: somebody waits.  It is armed."""

    def stop(self) -> None:
        """Ring no more, unless armed again."""


class EveryTurn:
    """``gate``: commit at the end of the turn that changed something; output waits."""

    mode: ClassVar[str] = "gate"
    keeps: ClassVar[bool] = True
    closes_gate: ClassVar[bool] = True
    is_prompt: ClassVar[bool] = True
    commits_on: ClassVar[str] = ""
    compare_after_s: ClassVar[float | None] = 0.1
    notice: ClassVar[str] = ""

    arm: Callable[[], object]

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock, ring: Callable[[], None]) -> None:
        self.arm = partial(loop.call_soon, ring)

    def hurry(self) -> None:
        """Do nothing: what was armed rings at the end of the turn."""

    def stop(self) -> None:
        """Do nothing: there is no timer."""


class Unkept(EveryTurn):
    """``off``: go through the motions each turn, so that what cannot be saved fails; nobody waits."""

    mode = "off"
    keeps = False
    closes_gate = False


class AtExit:
    """``exit``: commit when somebody waits for it, at the latest the one who ends the run."""

    mode: ClassVar[str] = "exit"
    keeps: ClassVar[bool] = True
    closes_gate: ClassVar[bool] = False
    is_prompt: ClassVar[bool] = False
    commits_on: ClassVar[str] = "thread"
    compare_after_s: ClassVar[float | None] = None
    notice: ClassVar[str] = "what changes is saved at an orderly stop; a crash goes back to the last one"

    arm: Callable[[], object]

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock, ring: Callable[[], None]) -> None:
        self.arm = self._wait
        self._loop = loop
        self._clock = clock
        self._ring = ring
        self._timer: Timer | None = None
        self._is_hurried = False

    def _wait(self) -> None:
        """Wait for somebody to hurry."""

    def hurry(self) -> None:
        """Ring at the end of this turn, once."""
        if not self._is_hurried:
            self._is_hurried = True
            self.stop()
            self._loop.call_soon(self._rung)

    def stop(self) -> None:
        """Ring no more by the clock."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _rung(self) -> None:
        self._timer = None
        self._is_hurried = False
        self._ring()


class EverySecond(AtExit):
    """``interval``: commit within a second of the first change."""

    mode = "interval"
    compare_after_s = 0.0  # at once, as a change: what changes unseen may do so right after a commit
    notice = f"a reply may be up to {_INTERVAL_S:g} s ahead of the disk"

    def _wait(self) -> None:
        self._timer = self._clock.call_later(_INTERVAL_S, self._rung)


_PACES: dict[str, type[Pace]] = {pace.mode: pace for pace in (EveryTurn, EverySecond, AtExit)}


def find_pace(mode: str) -> type[Pace]:
    """Return the pace of a durability.

    Raises:
        ConfigurationError: if there is none of that name; a tap may hold any word.
    """
    if mode not in _PACES:
        raise ConfigurationError(
            f"durability {mode!r:.80} is not known", cure="use --durability gate, interval or exit"
        )
    return _PACES[mode]
