"""Which kind of store a choice of state means.

It must never know what is stored.
"""

from __future__ import annotations

from collections.abc import Callable

from taphouse.cli.choosing import Choice
from taphouse.persist import NullStore, Store, create_state, open_state

__all__ = ["open_chosen"]


def open_chosen(choice: Choice, *, inside: Callable[[str], str] = str) -> Store:
    """Open the state that was chosen, or prepare the one that begins; nothing is written yet.

    Args:
        choice: what to open; its lock is held.
        inside: turns a path into what it is called inside of the chroot.

    Raises:
        TapError: it is damaged, foreign or newer.
        NotPermittedError: it may not be read or written.
    """
    seed = inside(choice.seed) if choice.seed else None
    if not choice.state:
        return NullStore(seed)
    path = inside(choice.state)
    if choice.exists:
        return open_state(path)
    return create_state(path, seed=seed, fresh=choice.sets_aside)
