"""The clock that keys expire by: the wall's, so that they expire while the server is down, too."""

import time


def now_ms():
    """Return the milliseconds since 1970."""
    return time.time_ns() // 1_000_000
