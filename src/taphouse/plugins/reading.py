"""The first bytes of a file that anybody may have put there.

It must never wait for a file, nor read more of it than was asked for.
"""

from __future__ import annotations

import os
import stat

__all__ = ["read_start"]

_NOT_THERE = (FileNotFoundError, NotADirectoryError)


def read_start(path: str, most_bytes: int) -> bytes | None:
    """Return up to ``most_bytes`` of the file at ``path``; ``None`` if no regular file is there.

    Raises:
        OSError: it is there and cannot be read.
    """
    try:
        # Opening a FIFO that nobody writes would wait for ever; opening a terminal might make it ours.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except _NOT_THERE:
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        return os.read(descriptor, most_bytes)
    finally:
        os.close(descriptor)
