"""Which kind of store a choice of state means.

It must never know what is stored.
"""

from __future__ import annotations

from taphouse.cli.starting.choosing import Choice
from taphouse.persist import NullStore, RenewedStore, Store, create_state, open_state

__all__ = ["open_chosen"]


def open_chosen(choice: Choice) -> Store:
    """Open the state that was chosen, or prepare the one that begins; nothing is written yet.

    Args:
        choice: what to open; its lock is held.

    Raises:
        TapError: it is damaged, foreign or newer.
        NotPermittedError: it may not be read or written.
    """
    seed = choice.seed or None
    if not choice.state:
        return NullStore(seed)
    if choice.new_seed is not None and not choice.new_seed.is_known:
        return RenewedStore(choice.state)
    if choice.exists:
        return open_state(choice.state)
    return create_state(choice.state, seed=seed, fresh=choice.sets_aside)
