"""Servers become an Application, and an Application's servers become its plan.

This module must never read a command line, nor write a file; nor know what a
maker does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from taphouse import usage
from taphouse.app import Application, make_plan
from taphouse.cli.making.asbuilt import built_entries
from taphouse.cli.making.building import Builder, ServerSpec, blaming
from taphouse.cli.making.planned import planned_servers
from taphouse.errors import ConfigurationError, UsageError
from taphouse.names import check_application_name
from taphouse.plugins import Maker, Makers

__all__ = [
    "Builder",
    "ServerSpec",
    "blaming",
    "build_application",
    "check_server_name",
    "find_server",
    "free_name",
    "holds_secrets",
    "installed_maker",
    "plan_of_servers",
    "specs_from_plan",
]


def build_application(
    specs: Iterable[ServerSpec],
    appname: str,
    *,
    uid: int | str | None = None,
    gid: int | str | None = None,
    durability: str = "gate",
) -> Application:
    """Build an application of servers, in order.

    Raises:
        UsageError: a maker refuses its options, or two servers want the same address.
        InternalError: a maker failed.
    """
    app = Application(appname, uid, gid, durability=durability)
    builder = Builder(app)
    for spec in specs:
        builder.add(spec)
    return app


def find_server(plan: Mapping[str, Any], name: str | None, path: str) -> Mapping[str, Any] | None:
    """Return the entry of a server in a plan: the one of that name or type, or the only one.

    Args:
        plan: of a tap.
        name: as it was typed, ``None`` if nothing was.
        path: of the tap, for messages.

    Returns:
        ``None`` if there is none of that name, but only one server.

    Raises:
        ConfigurationError: the tap was not made by `mktap`.
        UsageError: there is no such server, or no telling which is meant.
    """
    servers = planned_servers(plan, path)
    if not servers:
        raise ConfigurationError(
            f"{path}: was built by code, not by mktap, so it has no options",
            cure="change the code and start it with twistd -y",
        )
    names = [entry["name"] for entry in servers]
    if name is None:
        if len(servers) > 1:
            raise UsageError(f"{path} holds {len(servers)} servers", cure=f"name one: {', '.join(names)}")
        return servers[0]
    if name in names:
        return servers[names.index(name)]
    of_type = [entry for entry in servers if entry["type"] == name]
    if len(of_type) == 1:
        return of_type[0]
    if len(servers) == 1:
        return None
    import difflib

    near = difflib.get_close_matches(name, names, n=1)
    raise UsageError(
        f"{path} holds no server {name!r:.80}",
        cure=f"did you mean {near[0]}?" if near else f"it holds {', '.join(names)}",
    )


def free_name(wanted: str, taken: Iterable[str]) -> str:
    """Return ``wanted``, else ``wanted-2`` or the first number that is free."""
    names = set(taken)
    name, number = wanted, 1
    while name in names:
        number += 1
        name = f"{wanted}-{number}"
    return name


def plan_of_servers(
    app: Application,
    servers: Iterable[Mapping[str, Any]],
    oid_of: Callable[[object], int] | None = None,
    *,
    kept: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the plan of an application that has servers.

    Args:
        servers: entries of the plan's ``servers``.
        oid_of: object -> its row in the tap.
        kept: entries of the plan of the tap that it was in before; ``None`` if all of it was just built.
    """
    built = built_entries(app, oid_of) if kept is None else kept
    return {**make_plan(app, oid_of), **built, "servers": [dict(entry) for entry in servers]}


def specs_from_plan(
    plan: Mapping[str, Any], makers: Makers, *, path: str, changed: Mapping[str, usage.Options] | None = None
) -> list[ServerSpec]:
    """Return the servers that a plan holds, with the options that it holds.

    Args:
        plan: of a tap that `mktap` made.
        makers: the types that are installed.
        path: of the tap, for messages.
        changed: name of a server -> its options from now on.

    Raises:
        ConfigurationError: a type is not installed any more, or broken.
        UsageError: stored options are none of its options any more.
    """
    specs = []
    for entry in planned_servers(plan, path):
        name = entry["name"]
        maker = installed_maker(entry, makers, path=path)
        options = (changed or {}).get(name)
        specs.append(ServerSpec(name, maker, options or usage.from_plan(maker.Options, entry["options"])))
    return specs


def installed_maker(entry: Mapping[str, Any], makers: Makers, *, path: str) -> Maker:
    """Return the maker of a plan's server.

    Raises:
        ConfigurationError: it is not installed any more, or broken.
    """
    kind = str(entry.get("type"))
    if kind not in {known.name for known in makers}:
        source = entry.get("distribution") or f"module {entry.get('module')}"
        raise ConfigurationError(
            f"{path}: type {kind} is not installed any more",
            cure=f"install {source} to change options; without it twistd still starts the tap"
            " if its classes are there",
        )
    return makers.get(kind).load()


def holds_secrets(servers: Iterable[Mapping[str, Any]]) -> bool:
    """Say whether a secret is in the tap itself, not in a file or credential that its plan names."""

    def found(value: object) -> bool:
        if isinstance(value, Mapping):
            return value.get("secret") == "tap" or any(map(found, value.values()))
        return isinstance(value, list) and any(map(found, value))

    return any(found(entry.get("options")) for entry in servers)


def check_server_name(name: str) -> str:
    """Return ``name`` if it may name a server, by the rules of application names.

    Raises:
        UsageError: if it may not.
    """
    try:
        return check_application_name(name)
    except ConfigurationError as error:
        raise UsageError(error.message.replace("application name", "server name"), cure=error.cure) from None
