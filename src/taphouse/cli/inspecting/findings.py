"""What a check finds: things in order, and problems."""

from __future__ import annotations

from taphouse.errors import TaphouseError
from taphouse.value import Value

__all__ = ["Finding", "problem"]


class Finding(Value):
    """One thing that was looked at.

    Args:
        text: one line.
        error: what a start would stop with, None if it is in order.
    """

    text: str
    error: TaphouseError | None = None

    @property
    def is_ok(self) -> bool:
        """Whether it is in order."""
        return self.error is None


def problem(error: TaphouseError) -> Finding:
    """Return what ``error`` tells as a finding."""
    return Finding(str(error), error)
