"""Traffic: all passages of a running forwarder, counted once a second.

What passes is not kept back for a commit, so counting must not cost one for each
segment: bytes are added up where they pass, and once a second, as long as
anything is open or has ended since, the sums are handed to whoever keeps them.
The same second finds passages that are silent for too long.  It must never know
what becomes of the sums.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from taphouse.makers.forwarding.passage import Passage
from taphouse.makers.forwarding.target import Target, reason_of
from taphouse.value import Value

__all__ = ["Sums", "Traffic"]

_log = logging.getLogger("taphouse.portforward")
_TICK_S = 1.0
_FAILURES_LOGGED_EVERY_S = 10.0
_ENDINGS_LOGGED_AFTER_S = 0.1  # a line costs a fifth of its passage alone, and little among others


class Sums(Value, frozen=False):
    """What has been since the last time.

    Attributes:
        connections: clients that came.
        failures: clients whose target could not be connected to.
        to_target_bytes: from clients to the target.
        to_client_bytes: from the target to clients.
    """

    connections: int = 0
    failures: int = 0
    to_target_bytes: int = 0
    to_client_bytes: int = 0


class Traffic:
    """The passages of one forwarder; satisfies `taphouse.makers.forwarding.passage.Passages`.

    Args:
        target: where they lead.
        connect_timeout_s: how long connecting to it may take, with look-up and TLS; up to a second more.
        idle_timeout_s: a passage in which nothing passes for so long is ended; 0 means never.
        count: called with new `Sums`, at most once a second.
    """

    def __init__(
        self,
        target: Target,
        connect_timeout_s: float,
        idle_timeout_s: float,
        count: Callable[[Sums], None],
    ) -> None:
        self.target = target
        self.connect_timeout_s = connect_timeout_s
        self.idle_timeout_s = idle_timeout_s
        self._count = count
        self._live: dict[Passage, None] = {}
        self._sums = Sums()
        self._timer: asyncio.TimerHandle | None = None
        self._unlogged: dict[str, int] = {}
        self._logged_at = -_FAILURES_LOGGED_EVERY_S
        self._endings: list[tuple[float, str, float, int, int]] = []

    # -- told by passages

    def began(self, passage: Passage) -> None:
        """A client has come."""
        self._live[passage] = None
        self._sums.connections += 1
        if self._timer is None:
            self._arm()

    def unreachable(self, passage: Passage, error: OSError) -> None:
        """Count it, and say so, though not for each client of a flood."""
        self._sums.failures += 1
        reason = reason_of(error)
        self._unlogged[reason] = self._unlogged.get(reason, 0) + 1
        now = time.monotonic()
        if now - self._logged_at >= _FAILURES_LOGGED_EVERY_S:
            self._logged_at = now
            self._log_failures()

    def ended(self, passage: Passage) -> None:
        """Count what passed last, and log all that did."""
        del self._live[passage]
        self._add(passage)
        if passage.target is not None and _log.isEnabledFor(logging.INFO):
            if not self._endings:
                asyncio.get_running_loop().call_later(_ENDINGS_LOGGED_AFTER_S, self._log_endings)
            lasted_s = time.monotonic() - passage.began_at
            passed = passage.client.passed_bytes, passage.target.passed_bytes
            self._endings.append((time.time(), passage.label(), lasted_s, *passed))

    # -- every second

    def _arm(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_TICK_S, self._tick)

    def _tick(self) -> None:
        now = time.monotonic()
        for passage in list(self._live):
            passage.look(self._add(passage), now)
        self._hand_over()
        if self._unlogged and now - self._logged_at >= _FAILURES_LOGGED_EVERY_S:
            self._logged_at = now
            self._log_failures()
        self._timer = None
        if self._live or self._unlogged:
            self._arm()

    def close(self) -> None:
        """Hand over the last sums; what is still on its way to a target whose client has gone is lost."""
        for passage in list(self._live):
            self._add(passage)
            if passage.client.is_lost:
                passage.close()
        self._log_failures()
        self._log_endings()
        self._hand_over()
        if not self._live and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _add(self, passage: Passage) -> bool:
        """Count what passed in ``passage`` since the last time, and say whether anything did."""
        there, back = passage.new_bytes()
        self._sums.to_target_bytes += there
        self._sums.to_client_bytes += back
        return bool(there or back)

    def _hand_over(self) -> None:
        if any(self._sums.as_dict().values()):
            sums, self._sums = self._sums, Sums()
            self._count(sums)

    def _log_failures(self) -> None:
        for reason, count in self._unlogged.items():
            _log.warning("%d client%s turned away: %s: %s", count, "s"[: count > 1], self.target, reason)
        self._unlogged.clear()

    def _log_endings(self) -> None:
        endings, self._endings = self._endings, []
        text = f"forwarded to {self.target} for %.3f s: %d bytes there, %d bytes back"
        # Filling in a record from nothing takes longer than to copy one and to write it.
        filled = logging.LogRecord(_log.name, logging.INFO, "", 0, text, None, None).__dict__
        for ended_at, label, *figures in endings:
            record = logging.LogRecord.__new__(logging.LogRecord)
            record.__dict__.update(filled, args=tuple(figures), created=ended_at, context=label)
            _log.handle(record)
