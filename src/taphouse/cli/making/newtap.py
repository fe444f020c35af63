"""A tap for servers: made anew, or an existing one that gets one more.

Nothing is written before everything is built, checked and known to be startable.
This module must never read a command line.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from taphouse.app import Application
from taphouse.cli.making.asbuilt import Additions
from taphouse.cli.making.building import Builder, ServerSpec
from taphouse.cli.making.placing import Placed, look_at, place_seed
from taphouse.cli.making.planned import planned_servers
from taphouse.cli.making.servers import (
    build_application,
    free_name,
    holds_secrets,
    plan_of_servers,
)
from taphouse.errors import UsageError
from taphouse.persist import find_info
from taphouse.value import Value, replace

__all__ = ["Wish", "append_server", "make_tap"]


class Wish(Value):
    """What was asked of the tap itself; ``None`` where nothing was said."""

    output: str | None = None
    appname: str | None = None
    uid: int | str | None = None
    gid: int | str | None = None
    durability: str | None = None
    force: bool = False


def make_tap(specs: Sequence[ServerSpec], wish: Wish) -> list[str]:
    """Make a seed of servers, and return what to say about it.

    Raises:
        TapError: what has the name is not to be replaced.
        TaphouseError: it cannot be built, or not be saved; nothing was written.
    """
    appname = wish.appname or specs[0].name
    path = wish.output or f"{appname}.tap"
    if os.path.basename(path) == f"{appname}-shutdown.tap":
        raise UsageError(f"{path} is where a start keeps the state of {appname}", cure="give another name")
    occupant = look_at(path)
    refusal = occupant.refusal(appname, [spec.type for spec in specs]) if occupant is not None else None
    if refusal is not None and not wish.force:
        raise refusal
    servers = [spec.as_plan() for spec in specs]  # before a maker could change what was asked for
    app = build_application(specs, appname, uid=wish.uid, gid=wish.gid, durability=wish.durability or "gate")
    placed = place_seed(
        app,
        path,
        lambda oid_of: plan_of_servers(app, servers, oid_of),
        is_private=holds_secrets(servers),
        keeps=refusal is not None,
    )
    return [*_about(path, app, servers, placed), *_about_state(path, app.name), _next(path, placed)]


def append_server(spec: ServerSpec, path: str, wish: Wish, *, allowed: Iterable[str] = ()) -> list[str]:
    """Add a server to a tap, made anew if it does not exist, and return what to say about it.

    Args:
        spec: the server; it gets another name if its own is taken.
        path: of the tap.
        wish: what was asked of the tap.
        allowed: modules, as by ``--allow-module``.

    Raises:
        UsageError: the tap holds an application of another name.
        AlreadyRunningError: a server runs on it.
        TaphouseError: it cannot be built, or not be saved; the tap is as it was.
    """
    if not os.path.lexists(path):
        return make_tap([spec], replace(wish, output=path))
    from taphouse.cli.making.reopening import reopened

    with reopened(path, allowed=allowed) as tap:
        app = tap.application
        if wish.appname not in (None, app.name):
            raise UsageError(
                f"--appname {wish.appname}: {path} holds application {app.name}, which keeps its name",
                cure="leave --appname out",
            )
        before = planned_servers(tap.info.plan, path)
        spec = replace(spec, name=free_name(spec.name, [entry["name"] for entry in before]))
        servers = [*before, spec.as_plan()]  # before the maker could change what was asked for
        additions = Additions(app, tap.info.plan)
        Builder(app, path).add(spec)
        for name in ("uid", "gid", "durability"):
            if getattr(wish, name) is not None:
                setattr(app, name, getattr(wish, name))
        placed = tap.save(
            lambda oid_of: plan_of_servers(
                app, servers, oid_of, kept={**tap.kept_plan(), **additions.entries(oid_of)}
            ),
            is_private=holds_secrets(servers),
        )
        return [*_about(path, app, servers, placed), _next(path, placed)]


def _about(path: str, app: Application, servers: Sequence[Mapping[str, Any]], placed: Placed) -> list[str]:
    names = [
        entry["name"] if entry["name"] == entry["type"] else f"{entry['name']} (type {entry['type']})"
        for entry in servers
    ]
    listeners = [record.label for record in app.listeners]
    connectors = [record.label for record in app.connectors]
    parts = [f"application {app.name}", f"server{'s' * (len(names) > 1)} {', '.join(names)}"]
    if listeners:
        parts.append(f"listens on {', '.join(listeners)}")
    if connectors:
        parts.append(f"connects to {', '.join(connectors)}")
    kept = []
    if placed.kept:
        name = os.path.join(os.path.dirname(path), os.path.basename(placed.kept))
        kept = [f"{name}: what {path} was before"]
    return [*kept, f"{path}: {'; '.join(parts)}"]


def _about_state(path: str, appname: str) -> list[str]:
    """Return what to say if a server of this name has run here: its state is not what was made."""
    state = os.path.join(os.path.dirname(path), f"{appname}-shutdown.tap")
    info = find_info(state)
    if info is None or info.role != "state" or info.epoch <= info.base_epoch:
        return []
    update = f"mktap --update {shlex.quote(state)} ..."
    return [f"{state} has the state of {appname}; to change its options and keep it: {update}"]


def _next(path: str, placed: Placed) -> str:
    allow = "".join(f" --allow-module {name}" for name in placed.allow)
    return f"start it: twistd -f {shlex.quote(path)}{allow}"
