"""Secrets that only the state of a tap holds: a rebuild gets them from there, not from the operator.

A plan says no more of such a secret than that there is one.  The new build has a
stand-in where the stored application has the secret, and that is where it is
taken from.  This module must never show one, or put one anywhere else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from taphouse.app import Application
from taphouse.cli.making.asbuilt import is_declared, locate
from taphouse.durable import Durable, raw_state
from taphouse.errors import ConfigurationError
from taphouse.persist import instance_state
from taphouse.usage import Secret

__all__ = ["fill_secrets", "secrets_in"]

_DEPTH: Final = 20


def fill_secrets(new: Application, stored: Application) -> None:
    """Give each stand-in for a secret in ``new`` the secret that is in the same place of ``stored``.

    Raises:
        ConfigurationError: naming the place where there is none.
    """
    before = locate(stored)
    for label, obj in locate(new).items():
        old = raw_state(before[label]) if label in before else {}
        for name, value in raw_state(obj).items():
            if not name.startswith("_v_") and not is_declared(obj, name):
                _fill(value, old.get(name), f"{label}.{name}")


def secrets_in(value: Any) -> list[tuple[str, Secret]]:
    """Return the secrets in an attribute's value, each with the steps that lead to it, sorted by these."""
    return sorted(
        ((place, part) for place, part, _ in _walk(value, None, "") if isinstance(part, Secret)),
        key=lambda found: found[0],
    )


def _fill(value: Any, old: Any, place: str) -> None:
    if all(secret.is_known for _, secret in secrets_in(value)):
        return  # what is stored may be big: only for a secret it is looked through
    for where, part, before in _walk(value, old, place):
        if isinstance(part, Secret) and not part.is_known:
            if not isinstance(before, Secret) or not before.is_known or before.kind != "tap":
                raise ConfigurationError(
                    f"{where}: the secret that belongs here is nowhere in the tap", cure="give it anew"
                )
            part._text = before._text


def _walk(value: Any, old: Any, place: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield every part of a value: where it is, itself, and what is in the same place of another value."""
    waiting = [(value, old, place, 0)]
    seen: set[int] = set()
    while waiting:
        value, old, place, depth = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        yield place, value, old
        if depth < _DEPTH and not isinstance(value, Secret):
            before = dict(_parts(old))
            waiting += [(part, before.get(step), f"{place}{step}", depth + 1) for step, part in _parts(value)]


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield what is in a value, each with the step that leads to it."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield f"[{key!r:.40}]", part
    elif isinstance(value, (list, tuple)):
        for index, part in enumerate(value):
            yield f"[{index}]", part
    elif type(value).__module__ != "builtins" and not isinstance(value, (Durable, type)):
        for name, part in instance_state(value).items():
            yield f".{name}", part
