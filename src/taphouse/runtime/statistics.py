"""Statistics: a running application in numbers.

What is told to operators and to the application itself.  Nothing here is
counted for each change or each write: durations once an epoch, bytes that are
held when somebody asks, and in every sixteenth epoch.  It must never know why
a number is what it is.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from taphouse.runtime.gate import Gathering, Kept, size_of
from taphouse.value import Value

__all__ = ["EpochMeter", "EpochStatistics", "RuntimeStatistics"]

_LAST = 1000


class EpochStatistics(Value):
    """How commits went.

    Attributes:
        commits: epochs committed since the start.
        p50_s: median seconds of the last thousand, from freezing what changed to having it on disk.
        p99_s: 99th percentile of the last thousand.
        max_s: the longest of the last thousand.
        mode: when commits are made: "gate", "interval", "exit", or "off" if nothing is kept.
        path: where they are made: "inline" on the loop, or on a "thread" while the disk is slow; at a pace
            that lets no reply wait, always there.
        sync_p50_s: median seconds of the disk's part: writing the WAL and syncing it.
        held_bytes: output that waits for a commit at this moment.
        held_most_bytes: the most that was held, as seen in every sixteenth epoch and whenever somebody asked.
        journal_bytes: what the journal holds and is not folded yet.
        wal_bytes: size of the ``-wal`` file.
    """

    commits: int = 0
    p50_s: float = 0.0
    p99_s: float = 0.0
    max_s: float = 0.0
    mode: str = "off"
    path: str = "inline"
    sync_p50_s: float = 0.0
    held_bytes: int = 0
    held_most_bytes: int = 0
    journal_bytes: int = 0
    wal_bytes: int = 0

    def summary(self) -> str:
        """Return the numbers of a whole run on one line, for the log."""
        return (
            f"{self.commits} commit{'s'[: self.commits != 1]} ({self.mode}, {self.path}):"
            f" median {_ms(self.p50_s)}, 99 % within {_ms(self.p99_s)}, longest {_ms(self.max_s)};"
            f" disk {_ms(self.sync_p50_s)}; at most {self.held_most_bytes} bytes held back"
        )


class RuntimeStatistics(Value):
    """A running application in numbers.

    Attributes:
        connections: accepted ones that live now.
        accepted: connections since the start, all factories.
        refused: connections turned away because of a limit.
        epochs: how commits went.
    """

    connections: int
    accepted: int
    refused: int
    epochs: EpochStatistics


class EpochMeter:
    """Measures the epochs of one run.

    Attributes:
        durations: seconds of the last commits.
    """

    def __init__(self) -> None:
        self.durations: deque[float] = deque(maxlen=_LAST)
        self._held_most_bytes = 0

    def sample(self, kept: Kept) -> None:
        """Look at what an epoch holds back."""
        self._held_most_bytes = max(self._held_most_bytes, size_of(kept))

    def statistics(self, gathering: Gathering, in_flight: Kept, **more: Any) -> EpochStatistics:
        """Return how commits went until now.

        Args:
            gathering: what is kept for the next commit.
            in_flight: what the commit under way holds back.
            more: the fields that others know.
        """
        held_bytes = gathering.size_bytes() + size_of(in_flight)
        self._held_most_bytes = max(self._held_most_bytes, held_bytes)
        ordered = sorted(self.durations) or [0.0]
        count = len(ordered)
        return EpochStatistics(
            p50_s=ordered[(count - 1) // 2],
            p99_s=ordered[(count * 99 + 99) // 100 - 1],
            max_s=ordered[-1],
            held_bytes=held_bytes,
            held_most_bytes=self._held_most_bytes,
            **more,
        )


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.3g} ms"
