"""What makers have built: every object under a label, every attribute as a digest.

The plan of a tap keeps it, so that at an update what was changed while the server
ran can be told from what is as it was built.  Objects have the labels of the
plan, ``Quotes#1`` or ``pool/worker``; what hangs on them by attributes alone has
its path, ``Quotes#1.counter``.  This module must never know makers or files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from taphouse.app import (
    Application,
    Connector,
    Listener,
    MultiService,
    ScheduledCall,
    Service,
    config_attributes,
    label_objects,
)
from taphouse.cli.starting.merging import built_by_code, scheduled_calls
from taphouse.durable import Durable, raw_state
from taphouse.persist import digest_states
from taphouse.usage import Secret

__all__ = [
    "OID",
    "ROOT",
    "Additions",
    "as_built",
    "built_entries",
    "digests_of",
    "is_declared",
    "locate",
    "parent_of",
]

ROOT: Final = "the application"
"""Label of the application itself; no factory or service can have a name with a blank."""
OID: Final = "#"
"""Stands among the attributes of a label for the row of the object: ordinals may move, rows never."""
_DEPTH: Final = 8
"""Attributes in one path; what hangs deeper counts as a part of the attribute that leads to it."""

_DECLARED: Final = {
    Application: {"listeners", "connectors", "services", "schedule", "calls_made"},
    MultiService: {"services"},
    Service: {"name", "parent"},
}


def is_declared(obj: Durable, attribute: str) -> bool:
    """Say whether an attribute is what statements of the application made: it is merged by statement."""
    return any(isinstance(obj, kind) and attribute in names for kind, names in _DECLARED.items())


def as_built(
    app: Application,
    oid_of: Callable[[object], int] | None = None,
    *,
    only: Mapping[str, Durable] | None = None,
) -> dict[str, dict[str, Any]]:
    """Return ``label -> attribute -> digest`` of an application that was just built, for the plan.

    Args:
        app: does not run.
        oid_of: object -> its row in the tap (0: none yet); it is noted as ``#``.
        only: what is wanted, by labels; default all.
    """
    located = locate(app)
    digests = digests_of(app, located)
    built: dict[str, dict[str, Any]] = {}
    for label in located if only is None else only:
        oid = oid_of(located[label]) if oid_of is not None else 0
        built[label] = {**({OID: oid} if oid else {}), **digests[label]}
    return built


def built_entries(app: Application, oid_of: Callable[[object], int] | None = None) -> dict[str, Any]:
    """Return ``built`` and ``as_built`` of a new application: the plan says what makers have built."""
    return {"built": built_by_code(app), "as_built": as_built(app, oid_of)}


class Additions:
    """What is added to an application that a plan describes already; made before anything is added.

    Args:
        app: as it is now, with what was added while it ran.
        plan: of the tap that it comes from.
    """

    def __init__(self, app: Application, plan: Mapping[str, Any]) -> None:
        self._app = app
        self._plan = plan
        self._labels = set(locate(app))
        self._built = built_by_code(app)

    def entries(self, oid_of: Callable[[object], int] | None = None) -> dict[str, Any]:
        """Return ``built`` and ``as_built`` with what is there now and was not: that is built, too."""
        now = built_by_code(self._app)
        before = self._plan.get("built") or {}
        new = {label: obj for label, obj in locate(self._app).items() if label not in self._labels}
        return {
            "built": {
                kind: [*before.get(kind, ()), *(label for label in labels if label not in self._built[kind])]
                for kind, labels in now.items()
            },
            "as_built": {**self._renumbered(oid_of), **as_built(self._app, oid_of, only=new)},
        }

    def _renumbered(self, oid_of: Callable[[object], int] | None) -> dict[str, dict[str, Any]]:
        """Return what was built before, with the rows that it has where it is saved now."""
        before: Mapping[str, dict[str, Any]] = self._plan.get("as_built") or {}
        located = locate(self._app)
        return {
            label: {**entry, OID: oid_of(located[label])}
            if oid_of is not None and OID in entry and label in located
            else entry
            for label, entry in before.items()
        }


def digests_of(app: Application, located: Mapping[str, Durable]) -> dict[str, dict[str, str]]:
    """Return ``label -> attribute -> digest`` of what `locate` has found; all secrets look alike."""
    statements: dict[str, object] = {f"listens {x.label}": x for x in app.listeners}
    statements.update({f"connects {x.label}": x for x in app.connectors})
    statements.update({f"call {signature}": call for signature, call in scheduled_calls(app).items()})
    return digest_states(
        located,
        statements,
        words={Secret: lambda secret: f"secret {secret.kind} {secret.name}"},
        wanted=lambda obj, attribute: not is_declared(obj, attribute),
    )


def locate(app: Application, known: Mapping[str, Durable] | None = None) -> dict[str, Durable]:
    """Return the objects of ``app`` by labels: itself, factories, services, and what hangs on them.

    Args:
        app: does not run.
        known: objects whose labels are certain; others do not get those.
    """
    located: dict[str, Durable] = dict(known or {})
    labels = {id(obj): label for label, obj in located.items()}

    def put(label: str, obj: Durable) -> None:
        if id(obj) not in labels:
            while label in located:
                label += "'"
            located[label] = obj
            labels[id(obj)] = label

    put(ROOT, app)
    for label, labelled in label_objects(app).items():
        put(label, labelled)
    level = [(label, located[label]) for label in sorted(located)]
    for _ in range(_DEPTH):
        below = []
        for label, obj in level:
            config = config_attributes(type(obj))
            for attribute, value in sorted(raw_state(obj).items()):
                if _hangs(value) and not (
                    attribute.startswith("_v_")
                    or attribute in config
                    or is_declared(obj, attribute)
                    or id(value) in labels
                ):
                    put(f"{label}.{attribute}", value)
                    below.append((labels[id(value)], value))
        level = below
    return located


def _hangs(value: object) -> bool:
    """Say whether ``value`` is an object of its own: durable, known, and no statement."""
    return (
        isinstance(value, Durable)
        and not isinstance(value, (Listener, Connector, ScheduledCall))
        and not getattr(type(value), "_tap_is_unknown", False)
    )


def parent_of(label: str, located: Mapping[str, Durable]) -> str:
    """Return the label on which ``label`` hangs by an attribute, or ``""``."""
    above, dot, _ = label.rpartition(".")
    return above if dot and above in located else ""
