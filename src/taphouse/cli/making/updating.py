"""`mktap --update`: a tap is rebuilt with changed options, and its state is merged in.

Servers are built anew, all of them and in their order; what became of them since
the last build is found out, decided and told by ``threeway``.  The old tap or the
whole new one, never half; the old one is kept beside it.  This module must never
read a command line.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from taphouse.app import Application, check_application, make_plan, unsavable
from taphouse.cli.making.keptsecrets import fill_secrets
from taphouse.cli.making.placing import check_findable, make_private, modules_to_allow, place_seed
from taphouse.cli.making.reporting import CHANGED, CONFLICT, Finding, Report, shorten
from taphouse.cli.making.servers import build_application, find_server, holds_secrets, specs_from_plan
from taphouse.cli.making.threeway import Merge, merge_builds
from taphouse.cli.starting.choosing import Choice
from taphouse.cli.starting.loading import ModuleLoader
from taphouse.cli.starting.owning import owned
from taphouse.cli.starting.thawing import KEPT_IN_PLAN, import_plan, thaw_tap
from taphouse.daemon import check_trusted
from taphouse.durable import attach, oid_of
from taphouse.errors import ClassIdentityError, NotDurableError, TapError
from taphouse.persist import (
    Freezer,
    NullStore,
    Renewal,
    Store,
    TapInfo,
    Thawed,
    read_info,
    rehearse_state,
    renew_state,
    thaw,
)
from taphouse.plugins import find_makers
from taphouse.value import Value

__all__ = ["rebuild_tap", "update_tap"]

Build = Callable[[TapInfo], tuple[Application, list[dict[str, Any]]]]
"""Makes of a tap's plan the application anew, and the plan's ``servers`` as they shall be."""


def update_tap(
    path: str,
    server: str | None,
    options: Any,
    *,
    dry_run: bool = False,
    drop: Iterable[str] = (),
    allow_modules: Iterable[str] = (),
) -> Report:
    """Build the servers of a tap anew, one of them with other options, and merge the state in.

    Args:
        path: a seed, or a state tap on which no server runs.
        server: whose options change; may be ``None`` if there is one.
        options: all options of that server, as they shall be.
        dry_run: only say what would happen; not one byte is written, and a server may run.
        drop: labels of stored objects to be forgotten.
        allow_modules: modules, as by ``--allow-module``.

    Raises:
        AlreadyRunningError: a server runs on the tap.
        ConfigurationError: a type is not installed any more, or the new build has no place for what
            changed while the server ran.
        TapError: the tap is damaged, or was not made by `mktap`.
        UsageError: there is no such server, or the options contradict those of another.
        StorageError, CannotCreateError, NotPermittedError: it cannot be written; the tap is as it was.
    """

    def find(info: TapInfo) -> Mapping[str, Any] | None:
        return find_server(info.plan, server, path)

    def build(info: TapInfo) -> tuple[Application, list[dict[str, Any]]]:
        entry = find(info)
        assert entry is not None, "the caller knows whose options it has"
        changed = {str(entry["name"]): options}
        specs = specs_from_plan(info.plan, find_makers(), path=path, changed=changed)
        app = build_application(
            specs,
            info.name,
            uid=info.plan.get("uid"),
            gid=info.plan.get("gid"),
            durability=info.plan.get("durability") or "gate",
        )
        return app, [spec.as_plan() for spec in specs]

    return rebuild_tap(path, build, check=find, dry_run=dry_run, drop=drop, allow_modules=allow_modules)


def rebuild_tap(
    path: str,
    build: Build,
    *,
    check: Callable[[TapInfo], object] = lambda _info: None,
    dry_run: bool = False,
    drop: Iterable[str] = (),
    allow_modules: Iterable[str] = (),
) -> Report:
    """Merge what ``build`` makes with what a tap holds; see `update_tap`.

    Args:
        build: called when the modules of the tap are imported.
        check: called before; raises if the tap is none that can be updated.
    """
    with _opened(path, check, dry_run=dry_run, allowed=tuple(allow_modules)) as tap:
        app, servers = build(tap.info)
        check_application(app)
        for problem in unsavable(app):
            raise NotDurableError(problem)
        return _Update(tap, app, servers, frozenset(drop), dry_run=dry_run).run()


class _Opened(Value):
    """A tap that is being updated.

    Args:
        path: as the operator wrote it.
        info: what it says.
        source: where its content is read.
        loader: finds its code.
        modules: the ones its plan names, imported.
        renewal: makes its next epoch; ``None`` of a seed, and if nothing is to be written.
        allowed: modules that the operator allows.
    """

    path: str
    info: TapInfo
    source: str
    loader: ModuleLoader
    modules: dict[str, Any]
    renewal: Renewal | None
    allowed: tuple[str, ...]


@contextmanager
def _opened(
    path: str, check: Callable[[TapInfo], object], *, dry_run: bool, allowed: tuple[str, ...]
) -> Iterator[_Opened]:
    real = os.path.realpath(path)
    if not os.path.exists(real):
        raise TapError("does not exist", path=path, cure="check the name")
    with ExitStack() as undo:
        if not dry_run:
            undo.enter_context(owned(real))
        info = read_info(path)
        check(info)
        if os.geteuid() == 0:
            check_trusted(real, "tap", trusted=frozenset([os.stat(real).st_uid]))
        source, renewal = real, None
        if info.role == "state" and dry_run:
            source = str(undo.enter_context(rehearse_state(real)).path)
        elif info.role == "state":
            renewal = undo.enter_context(renew_state(real))
            source = str(renewal.store.path)
        loader = ModuleLoader(
            path,
            run_directory=os.getcwd(),
            script_folder=(info.plan.get("script") or {}).get("folder", ""),
            allowed=allowed,
        )
        yield _Opened(path, info, source, loader, import_plan(loader, info), renewal, allowed)


class _Update:
    """One update."""

    def __init__(
        self,
        tap: _Opened,
        app: Application,
        servers: list[dict[str, Any]],
        drop: frozenset[str],
        *,
        dry_run: bool,
    ) -> None:
        self._tap, self._new, self._servers = tap, app, servers
        self._drop, self._dry_run = drop, dry_run

    def run(self) -> Report:
        """Do it.

        Raises:
            TaphouseError: it cannot be done; the tap is as it was.
        """
        tap = self._tap
        merge, notes = self._decide()
        findings = (*self._changed_options(), *merge.listening, *merge.findings)
        if not self._has_changes(merge, findings):
            refused = tuple(found for found in findings if found.kind == CONFLICT)
            return Report(tap.path, refused, (*notes, *self._notes()))
        merge.release()
        thawed = thaw(NullStore(tap.source), self._resolve, existing=merge.existing)
        notes += merge.finish()
        kept_as = ""
        if not self._dry_run:
            kept_as, allow = self._write(merge, thawed)
            new = [name for name in allow if name not in tap.allowed]
            notes += [f"start it with --allow-module {name}" for name in new]
        return Report(
            tap.path,
            findings,
            (*notes, *self._notes()),
            is_rehearsal=self._dry_run,
            kept_as=kept_as,
            is_written=not self._dry_run,
        )

    def _decide(self) -> tuple[Merge, list[str]]:
        tap = self._tap
        store: Store = tap.renewal.store if tap.renewal is not None else NullStore(tap.source)
        loaded = thaw_tap(store, Choice(tap.path, tap.info), tap.loader, tap.modules, {})
        if tap.info.role == "seed" and loaded.notes:
            # A seed is written anew from what is alive; of what is not, nothing would be left.
            raise ClassIdentityError(
                "holds objects of classes that are not installed any more",
                path=tap.path,
                cure="install the code that made it, or make it anew with mktap --force",
            )
        fill_secrets(self._new, loaded.application)
        merge = merge_builds(loaded.application, self._new, tap.info.plan, drop=self._drop, path=tap.path)
        return merge, loaded.notes

    def _resolve(self, record: Any) -> Any:
        return self._tap.loader.resolve(record, self._tap.modules)

    def _changed_options(self) -> Iterator[Finding]:
        before = {entry["name"]: entry for entry in self._tap.info.plan["servers"]}
        for entry in self._servers:
            old = before[entry["name"]]["options"]
            for name, value in _flat(entry["options"]):
                was = dict(_flat(old)).get(name)
                if was != value:
                    text = f"--{name.replace('_', '-')} {shorten(was)} -> {shorten(value)}"
                    yield Finding(CHANGED, str(entry["name"]), text)

    def _has_changes(self, merge: Merge, findings: Iterable[Finding]) -> bool:
        plan = self._tap.info.plan
        return (
            any(found.kind == CHANGED for found in findings)
            or self._servers != plan["servers"]
            or merge.differs_from(plan.get("as_built") or {})
        )

    def _notes(self) -> Iterator[str]:
        info = self._tap.info
        if info.role == "seed":
            state = os.path.join(os.path.dirname(self._tap.path), f"{info.name}-shutdown.tap")
            if os.path.exists(state):
                yield f"{state} is not changed: its options are its own (mktap --update {state})"
        elif info.is_open and self._dry_run:
            yield f"{self._tap.path} is open: a server runs on it (stop it first: tap stop), or was killed"

    # --- writing ------------------------------------------------------------------------------

    def _write(self, merge: Merge, thawed: Thawed) -> tuple[str, tuple[str, ...]]:
        tap = self._tap
        if tap.renewal is None:
            placed = place_seed(
                self._new,
                tap.path,
                lambda oid_of: self._plan(merge, oid_of),
                lineage=tap.info.lineage,
                is_private=holds_secrets(self._servers),
            )
            return placed.kept, placed.allow
        store, ledger = tap.renewal.store, thawed.ledger
        # What nothing leads to any more is in circles, often; its rows go with this epoch.
        gc.collect()
        for obj in merge.without_rows():
            attach(obj, ledger, ledger.new_oid())
            ledger.mark(obj)
        plan = self._plan(merge, oid_of)
        turn = Freezer(ledger, store, thawed.chunk_bytes).freeze(plan)
        assert turn is not None
        new = list(turn.epoch.classes.values())
        check_findable(tap.path, new)
        allow = modules_to_allow(tap.path, plan, (record.module for record in new))
        if holds_secrets(self._servers):
            make_private(str(tap.renewal.path))  # what takes its place has its mode
        kept = tap.renewal.commit(turn)
        return _beside(tap.path, kept), allow

    def _plan(self, merge: Merge, rows: Any) -> dict[str, Any]:
        before = self._tap.info.plan
        return {
            **make_plan(self._new, rows),
            **{name: before[name] for name in KEPT_IN_PLAN if name in before},
            "servers": self._servers,
            "built": merge.built,
            "as_built": merge.as_built(rows),
        }


def _flat(options: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield options by name, those of a sub-command as ``command.option``."""
    for name, value in options.items():
        if name == "sub_options" and isinstance(value, Mapping):
            yield from _flat(value, f"{before}{options.get('sub_command')}.")
        elif name != "sub_options":
            yield before + name, value


def _beside(path: str, kept: Path) -> str:
    """Return ``kept`` in the words of an operator who wrote ``path``; through a link it lies elsewhere."""
    name = os.path.join(os.path.dirname(path), kept.name)
    return name if os.path.exists(name) else os.fspath(kept)
