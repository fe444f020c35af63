"""Close connections on which nothing happens.

Only exists in a server with an idle timeout: without one, no read is watched.
It must know nothing of a connection but how to close it.
"""

from __future__ import annotations

import logging
from typing import Protocol

from taphouse.runtime.clock import Clock, Timer

__all__ = ["IdleWatch"]

_log = logging.getLogger("taphouse.runtime")
_SWEEPS_PER_TIMEOUT = 4


class _Closable(Protocol):
    def close(self) -> None: ...

    def abort(self) -> None: ...

    def get_write_buffer_size(self) -> int: ...


class IdleWatch:
    """Closes what was not touched for ``timeout_s`` seconds, at most a quarter of that late."""

    def __init__(self, timeout_s: float, clock: Clock) -> None:
        self._timeout_s = timeout_s
        self._clock = clock
        self._touched_at: dict[_Closable, float] = {}
        self._timer: Timer | None = None

    def add(self, connection: _Closable) -> None:
        """Watch ``connection`` from now on."""
        self.touch(connection)
        if self._timer is None:
            self._arm()

    def touch(self, connection: _Closable) -> None:
        """Something was sent or received."""
        self._touched_at[connection] = self._clock.monotonic()

    def forget(self, connection: _Closable) -> None:
        """Watch it no longer."""
        self._touched_at.pop(connection, None)

    def close(self) -> None:
        """Watch nothing any more."""
        self._touched_at.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        self._timer = self._clock.call_later(self._timeout_s / _SWEEPS_PER_TIMEOUT, self._sweep)

    def _sweep(self) -> None:
        oldest = self._clock.monotonic() - self._timeout_s
        for connection in [c for c, at in self._touched_at.items() if at <= oldest]:
            self.forget(connection)
            _log.info("%r: nothing happened for %g s; closed", connection, self._timeout_s)
            # What is still to be sent goes nowhere either: close() would wait for it for ever.
            if connection.get_write_buffer_size():
                connection.abort()
            else:
                connection.close()
        if self._touched_at:
            self._arm()
        else:
            self._timer = None
