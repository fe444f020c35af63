"""What two statements both want: an address, a name.

A value to catch; this module must never know what it is about.
"""

from __future__ import annotations

__all__ = ["TakenError"]


class TakenError(ValueError):
    """An earlier statement has it.

    Args:
        message: one line that names both.
        kind: ``"address"``, or ``"name"`` of a factory or service.
        what: the address's label, or the name.
    """

    def __init__(self, message: str, *, kind: str, what: str) -> None:
        super().__init__(message)
        self.kind, self.what = kind, what
