"""Watch the place where the state lies: its free space, and whether the files are still there.

Free space has three marks.  Below the first it warns; below the second nobody
new is let in, so that the commits of those who are in still have room; below
the third the server stops in an orderly way while the final commit still fits.
The lower it gets, the closer it looks.  A disk without inodes is as good as
below the second mark, but never below the third: commits need none.

A disk that has become read-only, or files that somebody took away, leave no
commit to be made: that is reported as lost.  It must never know what is written.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any, Final

from taphouse.errors import StorageError
from taphouse.runtime.clock import Clock, Timer
from taphouse.runtime.limits import Gatekeeper, Limits

__all__ = ["SpaceWatch"]

_log = logging.getLogger("taphouse.runtime")
_EVERY_S: Final = 1.0
"""A look takes 10 microseconds; what is committed to a file that was taken away is told until the next."""
_EVERY_WHEN_LOW_S: Final = 0.25
_INODES_WARN: Final = 100


class SpaceWatch:
    """Looks at the place every second.

    Args:
        path: of the state; "" if there is none to look after.
        limits: the three marks.
        gatekeeper: is closed below the second one.
        clock: for the timer.
        on_change: called when letting in begins or ends.
        on_spent: called with the error when the server has to stop while it can.
        on_lost: called with the error when nothing can be committed any more.
        names: its ``check()`` raises OSError if the state's files are not the ones that were opened.
        statvfs: for tests.
    """

    def __init__(
        self,
        path: str,
        limits: Limits,
        gatekeeper: Gatekeeper,
        clock: Clock,
        on_change: Callable[[], None],
        on_spent: Callable[[StorageError], None],
        on_lost: Callable[[StorageError], None],
        names: Any = None,
        statvfs: Callable[[str], Any] = os.statvfs,
    ) -> None:
        self._path = path
        self._directory = os.path.dirname(os.path.abspath(path)) if path else ""
        self._limits = limits
        self._gatekeeper = gatekeeper
        self._clock = clock
        self._on_change = on_change
        self._on_spent = on_spent
        self._on_lost = on_lost
        self._names = names
        self._statvfs = statvfs
        self._warned = False
        self._timer: Timer | None = None

    @property
    def is_short(self) -> bool:
        """Whether nobody new is let in."""
        return bool(self._gatekeeper.closed_because)

    def refuse_if_spent(self) -> None:
        """See that there is room to begin with.

        Raises:
            StorageError: below the third mark.
        """
        if self._path and (error := self._spent(self._measure()[0])) is not None:
            raise error

    def look(self) -> None:
        """Look now, and again every second."""
        if not self._path:
            return
        free_bytes, inodes, is_read_only = self._measure()
        if (lost := self._lost(is_read_only)) is not None:
            self._on_lost(lost)
            return
        if (spent := self._spent(free_bytes)) is not None:
            self._on_spent(spent)
            return
        low = free_bytes < self._limits.free_space_warn_bytes or inodes < _INODES_WARN
        if low and not self._warned:
            few = f", and inodes for {inodes} files" if inodes < _INODES_WARN else ""
            _log.warning("%s: only %d MB free for the state%s", self._directory, free_bytes // 1_000_000, few)
        self._warned = low
        short = free_bytes < self._limits.free_space_stop_bytes or not inodes
        if short != self.is_short:
            self._let_in(not short, free_bytes, inodes)
        every_s = _EVERY_WHEN_LOW_S if low else _EVERY_S
        self._timer = self._clock.call_later(every_s, self.look)

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _let_in(self, yes: bool, free_bytes: int, inodes: int) -> None:
        left = f"{free_bytes // 1000} kB free" if inodes else "no inode free"
        self._gatekeeper.closed_because = "" if yes else f"{self._directory}: {left}"
        (_log.info if yes else _log.error)(
            "%s: %s, new connections are %s", self._directory, left, "let in" if yes else "turned away"
        )
        self._on_change()

    def _spent(self, free_bytes: int) -> StorageError | None:
        if free_bytes >= self._limits.free_space_fail_bytes:
            return None
        return StorageError(
            f"{self._path}: only {free_bytes // 1000} kB are free on its disk",
            cure="free some; --free-space-fail says how much is too little",
        )

    def _lost(self, is_read_only: bool) -> StorageError | None:
        if is_read_only:
            return StorageError(
                f"{self._path}: its disk is mounted read-only by now",
                cure="mount it for writing again; the kernel's log says why it is not",
            )
        try:
            if self._names is not None:
                self._names.check()
        except OSError as error:
            return StorageError(
                f"{self._path}: {error.strerror}",
                cure="bring its files back under their names, and leave those of a running server alone",
            )
        return None

    def _measure(self) -> tuple[int, int, bool]:
        """Return bytes and inodes that are free, and whether nothing can be written."""
        try:
            found = self._statvfs(self._directory)
        except OSError:
            return 1 << 62, 1 << 62, False  # out of reach after a chroot: no reason to turn anybody away
        inodes = found.f_favail if found.f_files else 1 << 62  # file systems that make inodes as needed
        return found.f_bavail * found.f_frsize, inodes, bool(found.f_flag & os.ST_RDONLY)
