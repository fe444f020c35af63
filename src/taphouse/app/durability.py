"""Durability: when what an application remembers goes to the disk, and whether replies wait for it.

The words and what they mean.  It must not know how any of it is done.
"""

from __future__ import annotations

__all__ = ["DURABILITIES", "check_durability"]

DURABILITIES = {
    "gate": "committed in the turn that changed it, and output waits for the commit",
    "interval": "committed within a second; output does not wait",
    "exit": "committed at an orderly stop only, as in 2002; output does not wait",
}
"""Mode -> what becomes of a change."""


def check_durability(mode: object) -> str:
    """Return ``mode`` if it is one of `DURABILITIES`.

    Raises:
        ValueError: if it is not; names those there are.
    """
    if not isinstance(mode, str) or mode not in DURABILITIES:
        raise ValueError(f"durability {mode!r:.80} is not known; use gate, interval or exit")
    return mode
