"""From a tap to a running application's objects: import, thaw, and join with code.

The rules of design live in rooms below; here is only who is asked in which
order.  This module must never know processes, ports or loops.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from taphouse.app import Application, Factory, Service, find_misshapen, verbs
from taphouse.cli.starting.choosing import Choice
from taphouse.cli.starting.loading import ModuleLoader, plugin_folders
from taphouse.cli.starting.merging import merge
from taphouse.cli.starting.templates import close_templates
from taphouse.durable import Ledger, find_registered
from taphouse.errors import ClassIdentityError, TapError
from taphouse.persist import Freezer, Store, TapInfo, Thawed, thaw
from taphouse.value import Value, field

__all__ = ["Loaded", "PlanFreezer", "import_named", "import_plan", "join_code", "thaw_tap"]

KEPT_IN_PLAN = ("script", "built", "begun", "servers", "as_built", "seed")
"""Entries of the plan that a running application does not know, and that its state must keep."""


class Loaded(Value, frozen=False):
    """What a start runs."""

    application: Application
    ledger: Ledger
    freezer: Any
    notes: list[str] = field(default_factory=list)
    """Lines for the log."""


def import_plan(loader: ModuleLoader, info: TapInfo) -> dict[str, ModuleType]:
    """Import the modules that the tap ``info`` needs, after each was judged.

    The modules of the plan must be there; one that only objects in the state
    name may be missing: those objects are kept as they are.

    Raises:
        ModuleRefusedError: a module is missing, shadowed or not allowed.
    """
    loader.add_folders(plugin_folders(info.plan))
    loader.extend_path()
    with verbs.quiet():
        modules = loader.import_modules(info.plan.get("modules", ()))
        for name in dict.fromkeys(record.module for record in info.classes):
            registered = all(find_registered(r.name) for r in info.classes if r.module == name)
            if name in modules or registered or not loader.is_there(name):
                continue
            modules.update(loader.import_modules([name]))
    return modules


def import_missing(loader: ModuleLoader, info: TapInfo) -> dict[str, ModuleType]:
    """Return the modules that the state of an application built by code names.

    What the code has imported is taken as it is: the operator chose to run that
    code.  Only what it has not imported is judged, and imported, as for a tap.
    """
    modules: dict[str, ModuleType] = {}
    with verbs.quiet():
        for name in dict.fromkeys(record.module for record in info.classes):
            if name in sys.modules:
                modules[name] = sys.modules[name]
            elif loader.is_there(name):
                loader.extend_path()
                modules.update(loader.import_modules([name]))
    return modules


def thaw_tap(
    store: Store, choice: Choice, loader: ModuleLoader, modules: dict[str, ModuleType], plan: dict[str, Any]
) -> Loaded:
    """Thaw what ``store`` was opened with.

    Raises:
        TapError: the tap holds no application, or a class of its plan is gone.
    """
    assert choice.info is not None
    thawed = thaw(store, lambda record: loader.resolve(record, modules))
    application = _require_whole(str(choice.info.path), thawed.root, thawed.unknown)
    modules = {**modules, **import_named(application, loader)}
    close_templates(modules.values())
    notes = [
        f"Objects of class {name}, which the code does not have, are kept as they are."
        for name in dict.fromkeys(thawed.unknown)
    ]
    return _loaded(application, thawed, store, plan, notes)


def import_named(application: Application, loader: ModuleLoader) -> dict[str, ModuleType]:
    """Judge and import what factories will import by name, whatever the plan says.

    Asked of their classes: an attribute of that name in the tap would answer for the object.
    """
    named = dict.fromkeys(
        pair for record in application.endpoints for pair in type(record.factory).imports(record.factory)
    )
    if not named:
        return {}
    loader.add_folders(folder for _, folder in named if folder)
    loader.extend_path()
    with verbs.quiet():
        return loader.import_modules(module for module, _ in named)


def join_code(
    application: Application,
    store: Store,
    choice: Choice,
    plan: dict[str, Any],
    *,
    loader: ModuleLoader,
    drop: Iterable[str],
) -> Loaded:
    """Give what code has built the values that were stored; everything anew if nothing was.

    Raises:
        ConfigurationError: objects are stored that the code no longer builds.
    """
    if not choice.exists:
        ledger = Ledger()
        ledger.begin(application)
        return Loaded(application, ledger, PlanFreezer(Freezer(ledger, store), plan))
    assert choice.info is not None
    modules = import_missing(loader, choice.info)
    thawed, notes = merge(
        application, store, choice.info, lambda record: loader.resolve(record, modules), drop=drop
    )
    return _loaded(application, thawed, store, plan, notes)


def _loaded(
    application: Application, thawed: Thawed, store: Store, plan: dict[str, Any], notes: list[str]
) -> Loaded:
    freezer = Freezer(thawed.ledger, store, thawed.chunk_bytes)
    return Loaded(application, thawed.ledger, PlanFreezer(freezer, plan), notes)


class PlanFreezer:
    """A freezer whose plans keep what only the start knows: where the code lies, what it built.

    The runtime makes a new plan whenever listeners or services change; it cannot
    know the script's folder, which the next thaw needs.

    Args:
        freezer: does the work.
        plan: the plan of this start.
    """

    def __init__(self, freezer: Any, plan: dict[str, Any]) -> None:
        self._freezer = freezer
        self._kept = {name: plan[name] for name in KEPT_IN_PLAN if name in plan}
        self.snapshot_start = freezer.snapshot_start

    def freeze(self, plan: dict[str, Any] | None) -> Any:
        """Freeze what changed, see `taphouse.persist.Freezer`."""
        return self._freezer.freeze(None if plan is None else {**plan, **self._kept})

    def freeze_whole(self, plan: dict[str, Any]) -> Any:
        """Freeze what changed with a plan that is made anew, and keeps nothing that it does not name."""
        return self._freezer.freeze(plan)


def _require_whole(path: str, root: object, unknown: Iterable[str]) -> Application:
    """Refuse what could not serve: a listener, connector or service whose class the code no longer has.

    Anything else of a class that is gone is kept as it is, byte for byte.

    Raises:
        ClassIdentityError: naming the classes that are gone, and who needs them.
        TapError: if the root is no Application, or one that no program has declared.
    """
    gone = ", ".join(dict.fromkeys(unknown))
    if not isinstance(root, Application):
        raise TapError("its root is no Application", path=path, cure="it was not made by app.save()")
    wrong = find_misshapen(root)
    if wrong:
        raise TapError(wrong, path=path, where="the application", cure="the tap was edited or is damaged")
    for record in root.endpoints:
        factory: object = record.factory
        kinds = (factory.protocol, factory.datagram_protocol) if isinstance(factory, Factory) else ()
        if not isinstance(factory, Factory) or any(kind is not None and not callable(kind) for kind in kinds):
            raise _gone(path, gone, record.label)
    for name, service in root.services.items():
        if not isinstance(service, Service):
            raise _gone(path, gone, f"service {name}")
    return root


def _gone(path: str, gone: str, user: str) -> ClassIdentityError:
    return ClassIdentityError(
        f"{user} needs what is not in the installed code: {gone or 'a class or function'}",
        path=path,
        cure='install the code that made the tap; for a renamed class: class New(..., name="old.Name")',
    )
