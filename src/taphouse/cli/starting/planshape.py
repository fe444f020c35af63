"""Whether the plan of a tap has the form that taphouse gives it: a tap may come from anyone.

Values are for those who use them to judge; here is only what they may be indexed,
iterated and looked up by.  This module must never import application code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from taphouse.errors import TapError

__all__ = ["check_plan_shape", "misshapen_entry"]

Check = Callable[[Any], bool]


def _of(*kinds: type) -> Check:
    return lambda value: type(value) in kinds


def _list_of(item: Check) -> Check:
    return lambda value: type(value) is list and all(map(item, value))


def _map_of(item: Check) -> Check:
    return lambda value: type(value) is dict and all(map(item, value.values()))


def _with(**entries: Check) -> Check:
    """An object whose entries of these names, if it has them, pass."""
    return lambda value: (
        type(value) is dict and all(check(value[key]) for key, check in entries.items() if key in value)
    )


def _or_none(check: Check) -> Check:
    return lambda value: value is None or check(value)


_TEXT: Final = _of(str)
_ENDPOINT: Final = _with(
    label=_TEXT,
    kind=_TEXT,
    factory=_TEXT,
    interface=_TEXT,
    host=_or_none(_TEXT),
    port=_or_none(_of(int)),
    path=_or_none(_TEXT),
    mode=_or_none(_of(int)),
    backlog=_or_none(_of(int)),
)
_ENTRIES: Final[dict[str, Check]] = {
    "name": _TEXT,
    "uid": _of(str, int, type(None)),
    "gid": _of(str, int, type(None)),
    "durability": _TEXT,
    "script": _or_none(_with(module=_TEXT, folder=_TEXT)),
    "modules": _list_of(_TEXT),
    "folders": _list_of(_TEXT),
    "listeners": _list_of(_ENDPOINT),
    "connectors": _list_of(_ENDPOINT),
    "services": _list_of(_with(name=_TEXT)),
    "objects": _map_of(_of(int)),
    "begun": _or_none(_map_of(_TEXT)),
    "seed": _or_none(
        _with(
            digest=_TEXT,
            listeners=_map_of(_TEXT),
            servers=_map_of(_of(dict)),
            uid=_of(str, int, type(None)),
            gid=_of(str, int, type(None)),
        )
    ),
    "built": _or_none(_map_of(_list_of(_TEXT))),
    "as_built": _or_none(_map_of(_map_of(_of(str, int)))),
}


def misshapen_entry(plan: Mapping[str, Any]) -> str:
    """Return the name of the first entry of a plan that is missing or misshapen, ``""`` if all is well."""
    if "name" not in plan:
        return "name"
    return next((name for name, check in _ENTRIES.items() if name in plan and not check(plan[name])), "")


def check_plan_shape(plan: Mapping[str, Any], path: str) -> None:
    """Refuse a plan that taphouse has not written.

    Args:
        plan: of a tap.
        path: of the tap, for messages.

    Raises:
        TapError: naming the first entry that is missing or has not its form.
    """
    wrong = misshapen_entry(plan)
    if wrong:
        raise TapError(
            f"entry {wrong} has not its form",
            path=path,
            where="plan",
            cure="the tap was made by hand or is damaged",
        )
