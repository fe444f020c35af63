"""A tap on which no server runs, thawed with the installed code, to be changed and saved again.

Role, name and lineage stay what they were; the change is in the tap whole, or
not at all.  This module must never know what is changed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from taphouse.app import Application, label_objects
from taphouse.cli.making.placing import Placed, check_findable, make_private, modules_to_allow, place_seed
from taphouse.cli.starting.choosing import Choice
from taphouse.cli.starting.loading import ModuleLoader
from taphouse.cli.starting.owning import owned
from taphouse.cli.starting.planshape import check_plan_shape
from taphouse.cli.starting.thawing import KEPT_IN_PLAN, Loaded, import_plan, thaw_tap
from taphouse.daemon import check_trusted
from taphouse.durable import Durable, attach, oid_of
from taphouse.errors import ClassIdentityError, TapError
from taphouse.persist import NullStore, Renewal, Store, TapInfo, read_info, renew_state

__all__ = ["Reopened", "reopened"]

PlanMaker = Callable[[Callable[[object], int]], dict[str, Any]]
"""Makes a plan; it is given what finds the row of an object."""


class Reopened:
    """What a tap holds, alive: change it, then save it.

    Args:
        info: what the tap says about itself.
        loaded: its application.
        renewal: makes the next epoch of a state tap; ``None`` for a seed, which is written anew.
    """

    def __init__(self, info: TapInfo, loaded: Loaded, renewal: Renewal | None) -> None:
        self.info = info
        self.application: Application = loaded.application
        self._loaded, self._renewal = loaded, renewal

    def kept_plan(self) -> dict[str, Any]:
        """Return what the plan holds besides what an application knows of itself."""
        return {name: self.info.plan[name] for name in KEPT_IN_PLAN if name in self.info.plan}

    def save(self, make_plan: PlanMaker, *, is_private: bool = False) -> Placed:
        """Save the application as it is now; what the tap is for stays the same.

        Args:
            make_plan: makes the whole plan.
            is_private: let nobody else read it: secrets are in it.

        Raises:
            NotDurableError, InternalError: naming what cannot be saved; the tap is as it was.
            StorageError, CannotCreateError: it could not be written; the tap is as it was.
        """
        path = str(self.info.path)
        if self._renewal is None:
            return place_seed(
                self.application, path, make_plan, lineage=self.info.lineage, is_private=is_private
            )
        ledger = self._loaded.ledger
        # The plan names objects by their rows, so what is new gets one before it is made.
        for thing in label_objects(self.application).values():
            if isinstance(thing, Durable) and not oid_of(thing):
                attach(thing, ledger, ledger.new_oid())
                ledger.mark(thing)
        plan = make_plan(oid_of)
        turn = self._loaded.freezer.freeze_whole(plan)
        if turn is None:
            return Placed()
        new = list(turn.epoch.classes.values())
        check_findable(path, new)
        allow = modules_to_allow(path, plan, (record.module for record in new))
        if is_private:
            make_private(path)  # what takes its place has its mode
        return Placed(os.fspath(self._renewal.commit(turn)), allow)


@contextmanager
def reopened(path: str, *, run_directory: str = ".", allowed: Iterable[str] = ()) -> Iterator[Reopened]:
    """Thaw the tap at ``path`` for the length of a block; nothing is written unless it is saved.

    Args:
        path: a seed, or a state tap on which no server runs.
        run_directory: where modules may lie besides what is installed and what the plan says.
        allowed: modules, as by ``--allow-module``.

    Raises:
        AlreadyRunningError: a server runs on it, or another command changes it.
        TapError: it is damaged, foreign, or its code is gone.
        ModuleRefusedError: its code is missing or not allowed.
    """
    real = os.path.realpath(path)
    if not os.path.exists(real):
        raise TapError("does not exist", path=path, cure="check the name")
    with ExitStack() as undo:
        undo.enter_context(owned(real))
        info = read_info(real)
        check_plan_shape(info.plan, path)
        if os.geteuid() == 0:
            check_trusted(real, "tap", trusted=frozenset([os.stat(real).st_uid]))
        renewal = None if info.role == "seed" else undo.enter_context(renew_state(real))
        store: Store = NullStore(real) if renewal is None else renewal.store
        loader = ModuleLoader(
            real,
            run_directory=os.path.abspath(run_directory),
            script_folder=(info.plan.get("script") or {}).get("folder", ""),
            allowed=allowed,
        )
        modules = import_plan(loader, info)
        loaded = thaw_tap(store, Choice(real, info), loader, modules, dict(info.plan))
        if renewal is None and loaded.notes:
            # A seed is written anew from what is alive; of what is not, nothing would be left.
            raise ClassIdentityError(
                loaded.notes[0].removesuffix(", are kept as they are.") + " could not be kept",
                path=path,
                cure="install the code that made it",
            )
        yield Reopened(info, loaded, renewal)
