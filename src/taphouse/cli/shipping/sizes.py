"""Sizes of files as people read them.

This module must never look at a file.
"""

from __future__ import annotations

__all__ = ["megabytes"]

_KILOBYTES_BELOW = 100_000


def megabytes(size: int) -> str:
    """Return a number of bytes as ``4.3 MB``, or as ``4.3 kB`` if it is small."""
    return f"{size / 1e6:.1f} MB" if size >= _KILOBYTES_BELOW else f"{size / 1e3:.1f} kB"
