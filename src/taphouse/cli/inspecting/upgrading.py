"""Could the code that is installed now, with its seed, go on from a state?  Tried on a private copy.

A server of an older version may run on the state meanwhile.  This module must
never write beside a tap, nor start anything that the application defines.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from taphouse.app import Application, make_plan
from taphouse.cli.carrying.carrying import Carried, carry_over, newer_classes
from taphouse.cli.inspecting.copying import private_folder
from taphouse.cli.inspecting.findings import Finding, problem
from taphouse.cli.inspecting.surroundings import look_around, own_server
from taphouse.cli.starting.choosing import Choice
from taphouse.cli.starting.loading import ModuleLoader
from taphouse.cli.starting.planshape import check_plan_shape
from taphouse.cli.starting.reseeding import find_new_seed
from taphouse.cli.starting.thawing import import_plan, thaw_tap
from taphouse.durable import oid_of
from taphouse.errors import ConfigurationError, TaphouseError
from taphouse.persist import Freezer, NullStore, TapInfo, check_integrity, copy_tap_files, read_info
from taphouse.value import replace

__all__ = ["check_upgrade"]


def check_upgrade(
    state: str,
    seed: str,
    *,
    run_directory: str,
    allowed: tuple[str, ...] = (),
    drop: tuple[str, ...] = (),
    shown: str = "",
    looks_around: bool = True,
) -> Iterator[Finding]:
    """Rehearse the start of ``seed`` that goes on from ``state``, telling of each thing.

    Args:
        state: a state tap; a server may run on it.
        seed: of the new version.
        run_directory: where it would run.
        allowed: modules, as by ``--allow-module``.
        drop: labels of stored objects to be forgotten, as by ``--drop``.
        shown: what messages call the state, if it is a copy.
        looks_around: whether what the start needs outside of the taps is looked at, too.

    Raises:
        TaphouseError: a tap cannot be read at all.
    """
    run_directory = os.path.abspath(run_directory)
    check_integrity(seed)
    if read_info(seed).role != "seed":
        raise ConfigurationError(f"{seed} is a state tap of its own", cure="name the seed of the new version")
    with private_folder() as folder:
        copy = copy_tap_files(Path(state), folder)
        rehearsal = _Rehearsal(shown or state, seed, str(copy), run_directory, allowed, drop)
        try:
            yield from rehearsal.run()
            if looks_around:
                yield from rehearsal.look_around()
        except TaphouseError as error:
            error.message = error.message.replace(str(copy), shown or state)
            yield problem(error)


class _Rehearsal:
    def __init__(
        self,
        state: str,
        seed: str,
        copy: str,
        run_directory: str,
        allowed: tuple[str, ...],
        drop: tuple[str, ...],
    ) -> None:
        self._state, self._seed, self._copy = state, seed, copy
        self._run_directory, self._allowed, self._drop = run_directory, allowed, drop
        self._wanted: tuple[TapInfo, Application, Mapping[str, Any]] | None = None

    def run(self) -> Iterator[Finding]:
        check_integrity(self._copy)
        first, last = NullStore(self._copy), NullStore(self._copy)
        info = first.info
        assert info is not None
        check_plan_shape(info.plan, self._state)
        if info.role != "state":
            raise ConfigurationError(f"{self._state} is a seed", cure="name the state of the old version")
        new = find_new_seed(self._seed, info)
        info = replace(info, path=Path(self._state))
        counted = f"epoch {info.epoch}, {info.counts['objects']} objects"
        yield Finding(f"{self._state}: state of application {info.name}, {counted}; a copy is tried")
        if new is None or new.is_known:
            yield Finding(f"{self._seed}: the seed that it came of")
            loader = self._loader(info.plan)
            modules = import_plan(loader, info)
            loaded = thaw_tap(first, Choice(self._state, info), loader, modules, {})
            app, plan = loaded.application, dict(info.plan)
            notes = loaded.notes
            for record, version in newer_classes(info, lambda record: loader.resolve(record, modules)):
                text = f"from version {record.version} to {version}"
                yield Finding(f"class {record.name} is upgraded {text}")
        else:
            yield Finding(f"{self._seed}: another seed than it came of")
            loader = self._loader(new.info.plan)
            carried = carry_over(info, new, [first, last], loader, drop=self._drop)
            app = carried.application
            plan = {**make_plan(app, oid_of), **carried.plan}
            notes = [*carried.notes, *carried.warnings]
            yield from _told(carried)
            # What would be written has to be what a tap can hold.
            Freezer(carried.thawed.ledger, last, carried.thawed.chunk_bytes).freeze(plan)
        for note in notes:
            yield Finding(note)
        self._wanted = info, app, plan

    def _loader(self, plan: Mapping[str, Any]) -> ModuleLoader:
        return ModuleLoader(
            self._state,
            run_directory=self._run_directory,
            script_folder=(plan.get("script") or {}).get("folder", ""),
            allowed=self._allowed,
        )

    def look_around(self) -> Iterator[Finding]:
        """Look at what the plan needs; at ports only if the old version does not listen there already."""
        assert self._wanted is not None
        info, app, plan = self._wanted
        before = {entry.get("label") for entry in info.plan.get("listeners") or ()}
        new = [entry for entry in make_plan(app)["listeners"] if entry["label"] not in before]
        wanted = replace(info, plan={**plan, "listeners": new, "connectors": make_plan(app)["connectors"]})
        yield from look_around(wanted, self._run_directory, own_server(self._state, info))


def _told(carried: Carried) -> Iterator[Finding]:
    if not carried.has_changes:
        yield Finding("nothing in the state would change")
    for found in carried.findings:
        yield Finding(found.line())
