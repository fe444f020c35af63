"""Is the seed that a start is given the one that the state came of?

The plan of a state has the digest of its seed's file, and what of that seed's
plan an operator may have changed since.  Here it is only found out, and foreseen
which ports a merge will want; reads taps as data.  This module must never merge,
nor import application code.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from typing import Any

from taphouse.cli.starting.planshape import check_plan_shape
from taphouse.errors import NotPermittedError, TapError
from taphouse.persist import NullStore, TapInfo
from taphouse.value import Value

__all__ = ["NewSeed", "came_of", "find_new_seed", "foresee_plan", "merge_listeners", "record_seed"]

Entry = Mapping[str, Any]


class NewSeed(Value, frozen=False):
    """A seed other than the one that a state came of.

    Args:
        store: its content, to be thawed once.
        info: what it says.
        record: for the plan of the state once the seed is merged.
        is_known: it only was not noted yet: the state has its lineage.  Nothing is to be merged.
    """

    store: NullStore
    info: TapInfo
    record: dict[str, Any]
    is_known: bool = False


def record_seed(path: str, plan: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the plan of a state says of the seed that it came of.

    Args:
        path: of the seed.
        plan: of the seed.

    Raises:
        NotPermittedError: it cannot be read.
    """
    servers = plan.get("servers") or []
    return {
        "digest": _digest_file(path),
        "listeners": _labels(plan.get("listeners") or ()),
        "servers": {str(entry["name"]): entry["options"] for entry in servers if "options" in entry},
        "uid": plan.get("uid"),
        "gid": plan.get("gid"),
    }


def came_of(state: TapInfo, path: str) -> bool:
    """Say whether ``state`` says that it came of the seed at ``path``."""
    before = state.plan.get("seed")
    return isinstance(before, Mapping) and before.get("digest") == _digest_file(path)


def find_new_seed(path: str, state: TapInfo) -> NewSeed | None:
    """Return the seed at ``path`` if it is another one than ``state`` came of, else None.

    A state goes on without a seed that is gone, and beside another state.

    Raises:
        TapError: it is damaged, or holds another application.
        NotPermittedError: it cannot be read.
    """
    if not os.path.exists(path) or os.path.samefile(path, state.path):
        return None
    if came_of(state, path):
        return None
    before = state.plan.get("seed")
    store = NullStore(path)
    info = store.info
    assert info is not None
    if info.role != "seed":
        return None
    check_plan_shape(info.plan, path)
    if info.name != state.name:
        raise TapError(
            f"is the state of application {state.name}, but {path} holds {info.name}",
            path=str(state.path),
            cure="name the state that belongs to it",
        )
    # Older versions did not note the seed.  What code has saved gets a lineage of its own each time.
    is_known = not before and not state.plan.get("as_built") and info.lineage == state.lineage
    return NewSeed(store, info, record_seed(path, info.plan), is_known)


def foresee_plan(state: Mapping[str, Any], seed: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plan of a state as far as a start needs it before anything can be merged.

    Args:
        state: its plan.
        seed: the plan of the seed that is to be merged.
    """
    before = state.get("seed") or {}
    base = before.get("listeners", _labels(state.get("listeners") or ()))
    listeners = merge_listeners(base, state.get("listeners") or (), seed.get("listeners") or ())
    owner = {key: seed.get(key) for key in ("uid", "gid") if before.get(key) == state.get(key)}
    return {**state, **owner, "script": seed.get("script"), "listeners": listeners}


def merge_listeners(
    base: Mapping[str, str], stored: Iterable[Entry], new: Iterable[Entry]
) -> list[Mapping[str, Any]]:
    """Merge the listeners of each factory three ways, as the values of its attributes are.

    Args:
        base: label -> factory, as it was built.
        stored: entries of the plan of a state.
        new: of the plan of a new build.

    Returns:
        The entries that are to be, those of the new build as it has them.
    """
    before, mine, theirs = _by_factory(base), _group(stored), _group(new)
    merged: list[Mapping[str, Any]] = []
    for factory in dict.fromkeys((*theirs, *mine)):
        built, old, now = before.get(factory, {}), mine.get(factory, {}), theirs.get(factory, {})
        if built and old and built.keys().isdisjoint(old):
            merged += old.values()  # moved by hand
            continue
        closed = built.keys() - old.keys()
        merged += [entry for label, entry in now.items() if label not in closed]
        merged += [entry for label, entry in old.items() if label not in built and label not in now]
    return merged


def _labels(entries: Iterable[Entry]) -> dict[str, str]:
    return {str(entry.get("label")): str(entry.get("factory")) for entry in entries}


def _by_factory(labels: Mapping[str, str]) -> dict[str, dict[str, None]]:
    found: dict[str, dict[str, None]] = {}
    for label, factory in labels.items():
        found.setdefault(factory, {})[label] = None
    return found


def _group(entries: Iterable[Entry]) -> dict[str, dict[str, Entry]]:
    found: dict[str, dict[str, Entry]] = {}
    for entry in entries:
        found.setdefault(str(entry.get("factory")), {})[str(entry.get("label"))] = entry
    return found


def _digest_file(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError as error:
        raise NotPermittedError(f"{path}: {error.strerror}", cure="run as a user who may read it") from error
