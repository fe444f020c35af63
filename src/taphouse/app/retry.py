"""Retry: when to try again, as a value.

Pure arithmetic: the random source is an argument, nobody sleeps here.  It must
not know what is being retried.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, Self

from taphouse.durable import register

__all__ = ["Retry"]


class _RetryFields(NamedTuple):
    initial_s: float
    factor: float
    max_s: float
    jitter: float
    max_attempts: int | None
    reset_after_s: float


@register
class Retry(_RetryFields):
    """An exponential backoff with jitter, in an immutable and durable value.

    Args:
        initial_s: seconds before the first repetition, above 0.
        factor: each wait is this many times the one before, at least 1.
        max_s: no wait is longer than this many seconds.
        jitter: share of each wait that is random, 0 to 1; 0.5 means "between half of it and all of it",
            so that a thousand clients of a server that came back do not come back at once.
        max_attempts: failures in a row after which :meth:`gives_up` says so; ``None`` is never.
        reset_after_s: what held for this many seconds counts as a success and the count starts anew.

    Raises:
        ValueError: if a number is out of its range.
    """

    __slots__ = ()

    def __new__(
        cls,
        initial_s: float = 0.5,
        factor: float = 2.0,
        max_s: float = 60.0,
        jitter: float = 0.5,
        max_attempts: int | None = None,
        reset_after_s: float = 30.0,
    ) -> Self:
        if not (0 < initial_s < math.inf and initial_s <= max_s < math.inf):
            raise ValueError(f"need 0 < initial_s <= max_s, got {initial_s!r} and {max_s!r}")
        if not 1 <= factor < math.inf:
            raise ValueError(f"factor must be at least 1, got {factor!r}")
        if not 0 <= jitter <= 1:
            raise ValueError(f"jitter must be between 0 and 1, got {jitter!r}")
        if max_attempts is not None and max_attempts < 1:
            raise ValueError(f"max_attempts must be at least 1 or None, got {max_attempts!r}")
        if not 0 <= reset_after_s < math.inf:
            raise ValueError(f"reset_after_s must be at least 0, got {reset_after_s!r}")
        return super().__new__(cls, initial_s, factor, max_s, jitter, max_attempts, reset_after_s)

    def delay_s(self, failures: int, random: Callable[[], float]) -> float:
        """Return the seconds to wait after ``failures`` failures in a row.

        Args:
            failures: 1 after the first failure.
            random: returns a float in [0, 1), ``random.random`` outside of tests.
        """
        # factor ** failures overflows a float after some thousand failures of a
        # peer that stays away; past max_s the exponent does not matter.
        steps = max(0, failures - 1)
        longest = math.log(self.max_s / self.initial_s, self.factor) if self.factor > 1 else 0.0
        if self.factor > 1 and steps >= longest:
            delay = self.max_s
        else:
            delay = min(self.max_s, self.initial_s * self.factor**steps)
        return delay * (1.0 - self.jitter + self.jitter * random())

    def gives_up(self, failures: int) -> bool:
        """Say whether ``failures`` failures in a row are enough."""
        return self.max_attempts is not None and failures >= self.max_attempts
