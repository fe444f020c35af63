"""Limits: what a server allows its clients, from its first day.

`Limits` is a value, `Gatekeeper` counts connections against it.  It must know
neither sockets nor factories.
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource

from taphouse.errors import ConfigurationError
from taphouse.runtime.clock import Clock
from taphouse.value import Value

__all__ = ["Gatekeeper", "Limits"]

_log = logging.getLogger("taphouse.runtime")
_SPARE_DESCRIPTORS = 64
_REFUSALS_LOGGED_EVERY_S = 10.0


class Limits(Value, kw_only=True):
    """What a running application allows.

    Args:
        max_connections: accepted connections at once; 0 means as many as the process has descriptors for.
        max_connections_per_client: accepted connections of one host at once; 0 means no limit.
        idle_timeout_s: a connection with nothing sent or received for so long is closed; 0 means never.
        drain_s: how long a stop waits for connections to end by themselves.
        hurried_drain_s: the same after a second request to stop.
        stop_s: how long a stop waits for one service or factory.
        tls_handshake_s: how long a client may take for the TLS handshake.
        free_space_warn_bytes: below so much free space for the state, a warning is logged; 0 means never.
        free_space_stop_bytes: below so much, new connections are turned away; 0 means never.
        free_space_fail_bytes: below so much, the server stops in order, with exit code 74; 0 means never.
        commit_deadline_s: a commit that takes longer: nobody new is let in; three times as long: the end,
            with exit code 74; 0 means never.
        schedule_gap_s: overdue delayed calls are started so far apart.

    Raises:
        ConfigurationError: naming a limit that is negative.
    """

    max_connections: int = 0
    max_connections_per_client: int = 0
    idle_timeout_s: float = 0.0
    drain_s: float = 5.0
    hurried_drain_s: float = 1.0
    stop_s: float = 30.0
    tls_handshake_s: float = 20.0
    free_space_warn_bytes: int = 256 * 1024 * 1024
    free_space_stop_bytes: int = 32 * 1024 * 1024
    free_space_fail_bytes: int = 4 * 1024 * 1024
    commit_deadline_s: float = 10.0
    schedule_gap_s: float = 0.01

    def __post_init__(self) -> None:
        for name, value in self.as_dict().items():
            if not value >= 0:  # also refuses NaN
                raise ConfigurationError(
                    f"limit {name.replace('_', '-')} is {value!r}", cure="use 0 or a positive number"
                )


class Gatekeeper:
    """Counts accepted connections, and says when one is too many.

    Attributes:
        total: connections that are in.
        refused: connections turned away since the start.
        closed_because: why nobody is let in at the moment; empty if somebody is.
        late_because: the same, as long as a commit is late.
        is_shut: nobody is let in any more, and nothing is said of those who are not.
    """

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._clock = clock
        self._per_client = limits.max_connections_per_client
        self._is_counting = not limits.max_connections
        self._most = limits.max_connections or _descriptors_left()
        self._hosts: dict[str, int] = {}
        self._unlogged: dict[str, int] = {}
        self._logged_at = -_REFUSALS_LOGGED_EVERY_S
        self.total = 0
        self.refused = 0
        self.closed_because = ""
        self.late_because = ""
        self.is_shut = False
        self._empty: asyncio.Future[None] | None = None

    def count_descriptors(self) -> None:
        """Listeners have been opened: without a limit, see again how many connections fit beside them."""
        if self._is_counting:
            self._most = _descriptors_left() + self.total

    async def wait_empty(self) -> None:
        """Return when nobody is in."""
        if self.total:
            if self._empty is None:
                self._empty = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._empty)

    def enter(self, host: str | None) -> bool:
        """Count one connection in, and say whether it may stay.

        Args:
            host: the peer's; None (a UNIX socket) is not counted per client.
        """
        if self.is_shut:
            return False
        if self.closed_because:
            return self._refuse(self.closed_because)
        if self.late_because:
            return self._refuse(self.late_because)
        if self.total >= self._most:
            return self._refuse(f"max-connections is {self._most}")
        if self._per_client and host is not None:
            count = self._hosts.get(host, 0)
            if count >= self._per_client:
                return self._refuse(f"max-connections-per-client is {self._per_client}, for {host}")
            self._hosts[host] = count + 1
        self.total += 1
        return True

    def leave(self, host: str | None) -> None:
        """Count out one connection that was let in."""
        self.total -= 1
        if not self.total and self._empty is not None:
            self._empty.set_result(None)
            self._empty = None
        if self._per_client and host is not None:
            count = self._hosts[host] - 1
            if count:
                self._hosts[host] = count
            else:
                del self._hosts[host]

    def _refuse(self, reason: str) -> bool:
        # A flood of connections must not become a flood of log lines.
        self.refused += 1
        self._unlogged[reason] = self._unlogged.get(reason, 0) + 1
        now = self._clock.monotonic()
        if now - self._logged_at >= _REFUSALS_LOGGED_EVERY_S or len(self._unlogged) > 100:
            for why, count in self._unlogged.items():
                _log.warning("turned away %d connection%s: %s", count, "s"[: count > 1], why)
            self._unlogged.clear()
            self._logged_at = now
        return False


def _descriptors_left() -> int:
    """Return how many connections fit, leaving descriptors for the state, the log and imports.

    Past this number connections are accepted and closed; running into EMFILE itself
    would make every other open() of the process fail as well.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        soft = 1 << 20
    try:
        in_use = len(os.listdir("/proc/self/fd"))
    except OSError:
        in_use = 16
    return max(1, soft - in_use - _SPARE_DESCRIPTORS)
