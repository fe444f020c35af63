"""Stored state meets code: every attribute that was stored keeps its value, new ones come from the code.

The objects that the code built are the ones that run: the stored state is
thawed *into* them, so a global in a script is the server's own object.  What
says how to serve rather than what to remember (listeners, protocols, names,
attributes a class declares ``config``) is always the code's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from taphouse.app import (
    Application,
    Factory,
    MultiService,
    Service,
    config_attributes,
    iter_services,
    label_objects,
)
from taphouse.cli.starting.planshape import check_plan_shape
from taphouse.durable import Durable, raw_state
from taphouse.errors import ConfigurationError, UsageError
from taphouse.persist import Store, TapInfo, Thawed, thaw

__all__ = ["LateAdditions", "built_by_code", "join_calls", "merge", "scheduled_calls"]

_ROOT_OID = 1


def built_by_code(app: Application) -> dict[str, list[str]]:
    """Return what code has built, by labels, for the plan.

    The next start compares: what was built then and is not now is missing from
    the code; what was there and never built was added while the server ran.
    """
    return {
        "objects": list(label_objects(app)),
        "listeners": [listener.label for listener in app.listeners],
        "connectors": [connector.label for connector in app.connectors],
        "calls": list(scheduled_calls(app)),
    }


def merge(
    app: Application,
    store: Store,
    info: TapInfo,
    resolve: Callable[[Any], Any],
    *,
    drop: Iterable[str] = (),
) -> tuple[Thawed, list[str]]:
    """Thaw ``store`` into ``app`` and what it holds.

    Args:
        app: just built by code.
        store: the state, opened.
        info: what it says about itself.
        resolve: finds classes, see `taphouse.persist.thaw`.
        drop: labels of stored objects to be forgotten.

    Returns:
        What was thawed, and lines for the log.

    Raises:
        ConfigurationError: objects are stored that the code no longer builds.
        UsageError: ``drop`` names one that is not stored.
    """
    check_plan_shape(info.plan, str(info.path))
    stored: Mapping[str, int] = info.plan.get("objects", {})
    recorded: Mapping[str, Any] = info.plan.get("built") or _all_of(info)
    labels = label_objects(app)
    dropped = frozenset(drop)
    _check_labels(info, stored, labels, recorded, dropped)
    existing: dict[int, Durable] = {_ROOT_OID: app}
    existing.update(
        (oid, labels[label]) for label, oid in stored.items() if label in labels and label not in dropped
    )
    code = {oid: dict(raw_state(target)) for oid, target in existing.items()}
    calls = scheduled_calls(app)
    thawed = thaw(store, resolve, existing=existing)
    late = LateAdditions(app, recorded, dropped)
    for oid, target in existing.items():
        _join(target, code[oid])
    late.add_back(app)
    notes = [f"Going on from {info.path.name}, epoch {info.epoch}."]
    notes += [f"Stored object {label} is forgotten (--drop)." for label in sorted(dropped)]
    notes += join_calls(app, calls, recorded.get("calls", calls))
    return thawed, notes


def _check_labels(
    info: TapInfo,
    stored: Mapping[str, int],
    labels: Mapping[str, Any],
    recorded: Mapping[str, Any],
    dropped: frozenset[str],
) -> None:
    for label in sorted(dropped):
        if label not in stored:
            raise UsageError(
                f"--drop {label}: {info.path.name} holds no such object",
                cure=f"it holds {', '.join(stored) or 'none'}",
            )
    gone = [
        label
        for label in stored
        if label not in labels and label not in dropped and label in recorded.get("objects", ())
    ]
    if gone:
        drops = " ".join(f"--drop {label}" for label in gone)
        raise ConfigurationError(
            f"{info.path} holds {', '.join(gone)}, which the code no longer builds",
            cure=f"bring it back into the code, or forget it with {drops}",
        )


def _all_of(info: TapInfo) -> dict[str, Any]:
    """Return what a plan without ``built`` holds: state begun from a seed, all of it counts as built."""
    plan = info.plan
    return {
        "objects": list(plan.get("objects", ())),
        "listeners": [entry.get("label") for entry in plan.get("listeners", ())],
        "connectors": [entry.get("label") for entry in plan.get("connectors", ())],
    }


class LateAdditions:
    """What was added while the server ran: it is state, though of the kind that code decides."""

    def __init__(self, app: Application, recorded: Mapping[str, Any], dropped: frozenset[str]) -> None:
        self._listeners = [x for x in app.listeners if x.label not in recorded.get("listeners", ())]
        self._connectors = [x for x in app.connectors if x.label not in recorded.get("connectors", ())]
        known = {*recorded.get("objects", ()), *dropped}
        holders = [app, *(service for service in iter_services(app) if isinstance(service, MultiService))]
        self._services = [
            (holder, name, service)
            for holder in holders
            for name, service in holder.services.items()
            if not {service.path, f"/{service.path}"} & known
        ]

    def add_back(self, app: Application) -> None:
        """Add to what the code has built what it does not build."""
        listening = {listener.label for listener in app.listeners}
        app.listeners.extend(x for x in self._listeners if x.label not in listening)
        connecting = {connector.label for connector in app.connectors}
        app.connectors.extend(x for x in self._connectors if x.label not in connecting)
        for holder, name, service in self._services:
            if name not in holder.services:
                holder.services[name] = service


def _join(target: Durable, code: Mapping[str, Any]) -> None:
    """Give an object that holds its stored attributes those that the code decides, and new ones."""
    decides = config_attributes(type(target))
    stored = raw_state(target)
    for name in [name for name in stored if name in decides and name not in code]:
        # Stored on the object once, and left to its class by now.
        Durable.__delattr__(target, name)
    for name, value in code.items():
        if name in decides or name not in stored:
            Durable.__setattr__(target, name, value)


def scheduled_calls(app: Application) -> dict[str, Any]:
    """Return the scheduled calls by a signature that two runs of the same code share."""
    owners = {id(target): label for label, target in label_objects(app).items()}
    counts: Counter[str] = Counter()
    found = {}
    for call in app.schedule.values():
        owner = getattr(call.method, "__self__", None)
        place = owners.get(id(owner), type(owner).__name__) if owner is not None else ""
        what = f"{type(call).__name__} {call.seconds:g} {place}.{call.method.__name__} {len(call.args)}"
        counts[what] += 1
        found[f"{what} #{counts[what]}"] = call
    return found


def join_calls(app: Application, code: Mapping[str, Any], recorded: Iterable[str]) -> list[str]:
    """Let the stored schedule follow the code: what it calls anew is added, what it no longer calls ends.

    Calls that were made while the server ran stay; those of objects that are gone end.

    Returns:
        Lines for the log.
    """
    known = set(recorded)
    present = {id(target) for target in label_objects(app).values()}
    notes = []
    for signature, call in scheduled_calls(app).items():
        owner = getattr(call.method, "__self__", None)
        orphan = isinstance(owner, (Factory, Service)) and id(owner) not in present
        if orphan or (signature in known and signature not in code):
            call.cancel()
            notes.append(f"Scheduled call {signature.rpartition(' ')[0]} ends: the code no longer makes it.")
    for signature, call in code.items():
        if signature not in known:
            number = app.calls_made + 1
            call.number = number
            call.schedule = app.schedule
            app.schedule[number] = call
            app.calls_made = number
    return notes
