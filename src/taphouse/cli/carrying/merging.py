"""What a start does when its seed is another one than its state came of.

Imported by every start, and loads what does the work only when it is wanted.
This module must never decide anything.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from taphouse.errors import InternalError

if TYPE_CHECKING:
    from taphouse.cli.starting.loading import ModuleLoader
    from taphouse.cli.starting.start import Start
    from taphouse.cli.starting.thawing import Loaded

__all__ = ["merge_seed"]

_log = logging.getLogger("taphouse")


def merge_seed(start: Start, loader: ModuleLoader, state: str, /) -> Loaded:
    """Merge the new seed of a start into its state, in memory, and tell the log what becomes of what.

    Nothing is written: the first commit replaces the state, and keeps it as it was, if there is a change.

    Raises:
        ConfigurationError: what the state has learnt has no place in what the seed makes.
        TaphouseError: it cannot be done; the state is as it was.
    """
    from taphouse.cli.carrying.carrying import carry_over
    from taphouse.cli.making.reporting import CONFLICT
    from taphouse.cli.starting.thawing import Loaded, PlanFreezer
    from taphouse.persist import Freezer, NullStore, RenewedStore

    choice, store = start.choice, start.store
    if (
        choice is None
        or choice.info is None
        or choice.new_seed is None
        or not isinstance(store, RenewedStore)
    ):
        raise InternalError(f"{state} was not opened to be renewed")
    carried = carry_over(
        choice.info,
        choice.new_seed,
        [NullStore(state), store],
        loader,
        drop=start.settings.drop,
    )
    store.renews = carried.has_changes
    what = "is merged into" if carried.has_changes else "changes nothing in"
    _log.info("Another seed, %s, %s the state.", choice.new_seed.info.path.name, what)
    for found in carried.findings:
        if not carried.has_changes and found.kind != CONFLICT:
            continue
        level = logging.WARNING if found.kind == CONFLICT else logging.INFO
        _log.log(level, "%s", found.line())
    for line in carried.warnings:
        _log.warning("%s", line)
    freezer = Freezer(carried.thawed.ledger, store, carried.thawed.chunk_bytes)
    return Loaded(
        carried.application, carried.thawed.ledger, PlanFreezer(freezer, carried.plan), carried.notes
    )
