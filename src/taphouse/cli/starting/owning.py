"""Owning a tap: its lock, for which one who is about to end is waited, and nobody else.

``kill; twistd`` must not fail because the old server needs another moment; a
server that runs is refused at once.  This module must never touch a tap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from taphouse.errors import AlreadyRunningError, TaphouseError
from taphouse.persist import TapLock

__all__ = ["owned", "take_lock"]

_HOLDER_WAIT_S = 5.0
_HOLDER_STEP_S = 0.5
_ANSWER_S = 1.0


def take_lock(path: str, *, on_wait: Callable[[str], None] | None = None) -> TapLock:
    """Return the lock of the tap at ``path``, held.

    Args:
        path: of the tap; it need not exist.
        on_wait: is told, each time, that its holder is waited for.

    Raises:
        AlreadyRunningError: a server runs on it, or its holder does not end in time.
        CannotCreateError, NotPermittedError: there is no place for the lock.
    """
    lock = TapLock(path)
    waited_s = 0.0
    while True:
        try:
            lock.acquire(wait_s=_HOLDER_STEP_S if waited_s else 0)
        except AlreadyRunningError:
            if waited_s >= _HOLDER_WAIT_S or _is_served(path):
                raise
        else:
            return lock
        # Whoever holds it is just starting, or about to end.
        if on_wait is not None:
            on_wait(f"waiting for the server that holds {path} to end")
        waited_s += _HOLDER_STEP_S


@contextmanager
def owned(path: str) -> Iterator[None]:
    """Own the tap at ``path`` for the length of a block; errors as of `take_lock`."""
    lock = take_lock(path)
    try:
        yield
    finally:
        lock.release()


def _is_served(path: str) -> bool:
    """Say whether a server answers that it runs on the tap at ``path``, and is not about to stop."""
    from taphouse.control import ask, list_servers

    try:
        for entry in list_servers():
            if entry.runs_on(path):
                return ask(entry, "status", timeout=_ANSWER_S)["state"] != "stopping"
    except TaphouseError:
        pass
    return False
