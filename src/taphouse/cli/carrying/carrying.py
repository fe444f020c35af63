"""A state meets a new seed: what nobody has touched is new, what was learnt stays.

The rules are those of `mktap --update`: what was built last, what is stored, what
is built now.  What is built now is what the seed holds; or, where an operator has
changed options in the state, what makers build of the options of both.  This
module must never write, nor know whether it is a start or a rehearsal.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from taphouse.app import Application, make_plan
from taphouse.cli.carrying.options import merge_servers
from taphouse.cli.making.keptsecrets import fill_secrets
from taphouse.cli.making.planned import planned_servers
from taphouse.cli.making.reporting import CHANGED, CONFLICT, KEPT, Finding
from taphouse.cli.making.threeway import Merge, merge_builds
from taphouse.cli.starting.choosing import Choice
from taphouse.cli.starting.loading import ModuleLoader
from taphouse.cli.starting.reseeding import NewSeed, foresee_plan, merge_listeners
from taphouse.cli.starting.thawing import KEPT_IN_PLAN, import_named, import_plan, thaw_tap
from taphouse.durable import ClassRecord, attach, class_record, find_registered, oid_of
from taphouse.errors import ClassIdentityError, ConfigurationError, ModuleRefusedError
from taphouse.persist import Store, TapInfo, Thawed, thaw, thaw_loose
from taphouse.value import Value

__all__ = ["Carried", "carry_over", "newer_classes"]

_UNKNOWN = (
    "{path} does not say what it was built of (an older version has begun it): what it holds is kept,"
    " and only what is new is taken from the seed."
)


class Carried(Value, frozen=False):
    """A state that was carried over, in memory.

    Args:
        application: what is to run.
        thawed: its ledger, and what a freezer needs.
        plan: entries that a plan of it must keep.
        has_changes: whether anything but a note of the seed is to be written.
        findings: what becomes of what.
        notes: other lines for the log.
        warnings: lines that somebody should read.
    """

    application: Application
    thawed: Thawed
    plan: dict[str, Any]
    has_changes: bool
    findings: list[Finding]
    notes: list[str]
    warnings: list[str]


def carry_over(
    info: TapInfo, new: NewSeed, stores: Sequence[Store], loader: ModuleLoader, *, drop: Iterable[str] = ()
) -> Carried:
    """Merge a new seed with a state.

    Args:
        info: of the state.
        new: the seed.
        stores: two, each with the content of the state, not thawed yet; what is returned belongs to the last.
        loader: finds the code.
        drop: labels of stored objects to be forgotten.

    Raises:
        ConfigurationError: the state has learnt what has no place in what is built now, or a type is not
            installed that options in the state are for.
        ModuleRefusedError, ClassIdentityError, UpgradeError: the code that is installed does not fit.
        UsageError: ``drop`` names what is not there.
    """
    return _Carrying(info, new, loader, frozenset(drop)).run(*stores)


def newer_classes(info: TapInfo, resolve: Callable[[ClassRecord], Any]) -> Iterator[tuple[ClassRecord, int]]:
    """Yield the classes of a tap that go on in a newer version, with it: there is no way back from that.

    Args:
        info: of the tap.
        resolve: record -> the installed class, ``None`` if there is none.
    """
    for record in info.classes:
        installed = resolve(record)
        if installed is not None and class_record(installed).version > record.version:
            yield record, class_record(installed).version


class _Carrying:
    def __init__(self, info: TapInfo, new: NewSeed, loader: ModuleLoader, drop: frozenset[str]) -> None:
        self._info, self._new, self._loader, self._drop = info, new, loader, drop
        self._path = str(info.path)
        self._modules = {**import_plan(loader, new.info), **_import_late(loader, info, new.info)}

    def run(self, first: Store, last: Store) -> Carried:
        servers, findings = self._merge_options()
        findings += [
            Finding(CHANGED, f"class {record.name}", f"version {record.version} -> {version}")
            for record, version in newer_classes(self._info, self._resolve)
        ]
        app = self._build(servers)
        foreseen = foresee_plan(self._info.plan, self._new.info.plan)
        app.uid, app.gid = foreseen.get("uid"), foreseen.get("gid")
        import_named(app, self._loader)
        loaded = thaw_tap(first, Choice(self._path, self._info), self._loader, self._modules, {})
        fill_secrets(app, loaded.application)
        merge = merge_builds(loaded.application, app, self._info.plan, drop=self._drop, path=self._path)
        if app not in merge.existing.values():
            raise ConfigurationError(
                f"{self._path} holds an application of another class than {type(app).__qualname__}",
                cure="give the new class the old one's name, or begin anew with --fresh",
            )
        entries = self._listeners(app)
        findings += self._findings(merge, app, entries)
        kept = self._kept_entries()
        if not self._has_changes(merge, findings, servers):
            again = thaw(last, self._resolve)
            return self._carried(again.root, again, kept, False, findings, [*loaded.notes])
        del loaded
        merge.release()
        thawed = thaw(last, self._resolve, existing=merge.existing)
        notes = merge.finish()
        labels = {entry["label"] for entry in entries}
        for listener in [listener for listener in app.listeners if listener.label not in labels]:
            app.listeners.remove(listener)
        gc.collect()  # what nothing leads to any more is in circles, often; its rows go with this epoch
        for obj in merge.without_rows():
            attach(obj, thawed.ledger, thawed.ledger.new_oid())
            thawed.ledger.mark(obj)
        plan = {**kept, "built": merge.built, "as_built": merge.as_built(oid_of)}
        plan.pop("servers", None)
        if servers:
            plan["servers"] = servers
        return self._carried(app, thawed, plan, True, findings, notes)

    def _carried(
        self,
        app: Application,
        thawed: Thawed,
        plan: dict[str, Any],
        has_changes: bool,
        findings: list[Finding],
        notes: list[str],
    ) -> Carried:
        notes += [
            f"Objects of class {name}, which the code does not have, are kept as they are."
            for name in dict.fromkeys(thawed.unknown)
        ]
        knows = self._info.plan.get("as_built") or not self._new.info.plan.get("as_built")
        warnings = [] if knows else [_UNKNOWN.format(path=self._path)]
        return Carried(app, thawed, plan, has_changes, findings, list(dict.fromkeys(notes)), warnings)

    def _resolve(self, record: Any) -> Any:
        return self._loader.resolve(record, self._modules)

    # --- what is built now ------------------------------------------------------------------------

    def _merge_options(self) -> tuple[list[dict[str, Any]], list[Finding]]:
        stored = planned_servers(self._info.plan, self._path)
        new = planned_servers(self._new.info.plan, str(self._new.info.path))
        if not new:
            return [], []  # what code has built has no options
        return merge_servers((self._info.plan.get("seed") or {}).get("servers"), stored, new)

    def _build(self, servers: Sequence[Mapping[str, Any]]) -> Application:
        """Return what the seed holds if that is what these options build, else let the makers build."""
        seed = self._new.info
        if [*map(_essence, servers)] == [*map(_essence, seed.plan.get("servers") or ())]:
            thawed = thaw_loose(self._new.store, self._resolve)
            if thawed.unknown or not isinstance(thawed.root, Application):
                gone = ", ".join(thawed.unknown) or "its application"
                raise ClassIdentityError(
                    f"holds what is not in the installed code: {gone}",
                    path=str(seed.path),
                    cure="install the code that made the seed",
                )
            return thawed.root
        from taphouse.cli.making.servers import build_application, specs_from_plan
        from taphouse.plugins import find_makers

        specs = specs_from_plan({**seed.plan, "servers": list(servers)}, find_makers(), path=self._path)
        return build_application(
            specs,
            seed.name,
            uid=seed.plan.get("uid"),
            gid=seed.plan.get("gid"),
            durability=seed.plan.get("durability") or "gate",
        )

    def _listeners(self, app: Application) -> list[Mapping[str, Any]]:
        """Return the listeners that are to be: moved or closed by hand, they stay so."""
        stored = self._info.plan.get("listeners") or []
        new = make_plan(app)["listeners"]
        recorded = (self._info.plan.get("seed") or {}).get("listeners") or {}
        factories = {**recorded, **{x["label"]: x["factory"] for x in (*new, *stored)}}
        built = (self._info.plan.get("built") or {}).get("listeners")
        labels = [x["label"] for x in stored] if built is None else built
        base = {label: factories[label] for label in labels if label in factories}
        return merge_listeners(base, stored, new)

    # --- what is said, and written ----------------------------------------------------------------

    def _findings(
        self, merge: Merge, app: Application, entries: Iterable[Mapping[str, Any]]
    ) -> list[Finding]:
        """Return what the merge found, with what becomes of listeners as it will be."""
        findings = [*merge.findings]
        is_old = {str(x["label"]): str(x["factory"]) for x in self._info.plan.get("listeners") or ()}
        is_new = {x["label"]: x["factory"] for x in make_plan(app)["listeners"]}
        will_be = {str(x["label"]): str(x["factory"]) for x in entries}
        for factory in dict.fromkeys((*is_old.values(), *will_be.values(), *is_new.values())):
            was, becomes, wanted = (
                [label for label, owner in labels.items() if owner == factory]
                for labels in (is_old, will_be, is_new)
            )
            gone, added = _without(was, becomes), _without(becomes, was)
            if gone or added:
                text = f"listens on {_joined(was)} -> {_joined(becomes)}"
                findings.append(Finding(CHANGED, factory, text))
            refused = _without(wanted, becomes)
            built = (self._info.plan.get("built") or {}).get("listeners") or ()
            if refused:
                kind = KEPT if set(refused) <= set(built) else CONFLICT
                text = f"listens on {_joined(becomes)}" + (
                    "" if kind == KEPT else f", not {_joined(refused)}"
                )
                findings.append(Finding(kind, factory, text))
        return findings

    def _has_changes(
        self, merge: Merge, findings: Iterable[Finding], servers: Sequence[Mapping[str, Any]]
    ) -> bool:
        plan = self._info.plan
        return (
            any(found.kind == CHANGED for found in findings)
            or [*servers] != (plan.get("servers") or [])
            or merge.differs_from(plan.get("as_built") or {})
        )

    def _kept_entries(self) -> dict[str, Any]:
        plan = self._info.plan
        kept = {name: plan[name] for name in KEPT_IN_PLAN if name in plan}
        return {**kept, "script": self._new.info.plan.get("script"), "seed": self._new.record}


def _import_late(loader: ModuleLoader, state: TapInfo, seed: TapInfo) -> dict[str, Any]:
    """Import what only the state names, if it is there; objects of what is gone are unknown."""
    wanted = dict.fromkeys([*state.plan.get("modules", ()), *(record.module for record in state.classes)])
    modules: dict[str, Any] = {}
    known = {*seed.plan.get("modules", ()), *(record.module for record in seed.classes)}
    for name in wanted:
        registered = all(find_registered(r.name) for r in state.classes if r.module == name)
        if name in known or not loader.is_there(name):
            continue
        if registered and name not in state.plan.get("modules", ()):
            continue
        try:
            modules.update(loader.import_modules([name]))
        except ModuleRefusedError as error:
            if not isinstance(error.__cause__, ModuleNotFoundError):
                raise
    return modules


def _essence(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    return entry.get("name"), entry.get("type"), entry.get("options")


def _without(labels: Iterable[str], others: Iterable[str]) -> list[str]:
    there = set(others)
    return [label for label in labels if label not in there]


def _joined(labels: Iterable[str]) -> str:
    return ", ".join(labels) or "nothing"
