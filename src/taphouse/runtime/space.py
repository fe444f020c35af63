"""Watch the free space of the disk that the state lies on.

Below the first mark it warns, below the second nobody new is let in, so that
the commits of those who are in still have room.  It must never know what is
written.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

from taphouse.runtime.clock import Clock, Timer
from taphouse.runtime.limits import Gatekeeper, Limits

__all__ = ["SpaceWatch"]

_log = logging.getLogger("taphouse.runtime")
_EVERY_S = 5.0


class SpaceWatch:
    """Looks at the free space every few seconds.

    Args:
        directory: on the disk in question.
        limits: the two marks.
        gatekeeper: is closed below the second one.
        clock: for the timer.
        on_change: called when letting in begins or ends.
    """

    def __init__(
        self,
        directory: str,
        limits: Limits,
        gatekeeper: Gatekeeper,
        clock: Clock,
        on_change: Callable[[], None],
        free_bytes: Callable[[str], int] | None = None,
    ) -> None:
        self._directory = directory
        self._warn = limits.free_space_warn_bytes
        self._stop = limits.free_space_stop_bytes
        self._gatekeeper = gatekeeper
        self._clock = clock
        self._on_change = on_change
        self._free_bytes = free_bytes or _free_bytes
        self._warned = False
        self._timer: Timer | None = None

    @property
    def is_short(self) -> bool:
        """Whether nobody new is let in."""
        return bool(self._gatekeeper.closed_because)

    def look(self) -> None:
        """Look now, and again every few seconds."""
        free = self._free_bytes(self._directory)
        low = free < self._warn
        if low and not self._warned:
            _log.warning("%s: only %d MB free for the state", self._directory, free // 1_000_000)
        self._warned = low
        short = free < self._stop
        if short != self.is_short:
            self._gatekeeper.closed_because = (
                f"only {free // 1000} kB are free in {self._directory}" if short else ""
            )
            (_log.error if short else _log.info)(
                "%s: %d kB free, new connections are %s",
                self._directory,
                free // 1000,
                "turned away" if short else "let in",
            )
            self._on_change()
        self._timer = self._clock.call_later(_EVERY_S, self.look)

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _free_bytes(directory: str) -> int:
    try:
        found = os.statvfs(directory)
    except OSError:
        return 1 << 62  # out of reach after a chroot: no reason to turn anybody away
    return found.f_bavail * found.f_frsize
