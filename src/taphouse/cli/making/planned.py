"""The servers that the plan of a tap names, checked: a tap may come from anyone.

It must never know what an option means.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taphouse.cli.starting.planshape import check_plan_shape
from taphouse.errors import ConfigurationError, TapError
from taphouse.names import check_application_name

__all__ = ["planned_servers"]

_CURE = "the tap was made by hand or is damaged"
_TEXTS = ("module", "distribution", "folder")


def planned_servers(plan: Mapping[str, Any], path: str) -> list[dict[str, Any]]:
    """Return the entries of a plan's ``servers``; none if code has built the tap.

    Args:
        plan: of a tap.
        path: of the tap, for messages.

    Raises:
        TapError: they are none that `mktap` writes, or the plan is none of taphouse's.
    """
    check_plan_shape(plan, path)
    found = plan.get("servers")
    if found is None:
        return []
    entries = found if isinstance(found, list) else [found]
    for number, entry in enumerate(entries, 1):
        wrong = _wrong(entry)
        if wrong:
            raise TapError(
                f"server {number} {wrong}",
                path=path,
                where="plan",
                cure=_CURE,
            )
    names = [entry["name"] for entry in entries]
    if len(set(names)) < len(names):
        raise TapError(
            "two servers have one name",
            path=path,
            where="plan",
            cure=_CURE,
        )
    return [dict(entry) for entry in entries]


def _wrong(entry: object) -> str:
    """Return what is wrong with an entry, ``""`` if nothing is."""
    if not isinstance(entry, Mapping):
        return "is no object"
    for key in ("name", "type"):
        try:
            check_application_name(entry.get(key))
        except ConfigurationError:
            return f"has no {key} that is allowed"
    if not isinstance(entry.get("options"), Mapping):
        return "has no options"
    for key in _TEXTS:
        if not isinstance(entry.get(key), str | None):
            return f"has a {key} that is no text"
    return ""
