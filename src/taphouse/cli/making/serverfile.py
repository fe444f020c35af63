"""The file that describes several servers: read by `mktap --from`, written by `tap show --toml`.

    appname = "site"

    [server.quotes]
    type = "quotes"
    port = 1717

This module must never know what an option means: that is the type's.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from taphouse import usage
from taphouse.app import DURABILITIES
from taphouse.cli.making.building import ServerSpec, blaming
from taphouse.cli.making.newtap import Wish
from taphouse.cli.making.planned import planned_servers
from taphouse.cli.making.servers import check_server_name
from taphouse.errors import ConfigurationError, UsageError
from taphouse.names import check_application_name
from taphouse.plugins import Makers
from taphouse.value import Value

__all__ = ["ServerFile", "read_server_file", "refuse_server_file", "write_server_file"]

_ABOUT_THE_APPLICATION = ("appname", "uid", "gid", "durability")
_HEAD = """\
# What mktap --from builds; tap show --toml has written it.
"""


class ServerFile(Value):
    """What such a file says."""

    path: str
    about: Wish
    """What it says about the application."""
    servers: dict[str, dict[str, Any]]
    """Name of each server, and its table without ``type``."""
    types: dict[str, str]
    """Name of each server, and its type."""

    def default_name(self) -> str:
        """Return the application's name if nobody says one: the file's.

        Raises:
            UsageError: it is none that an application may have.
        """
        stem = os.path.splitext(os.path.basename(self.path))[0]
        try:
            return check_application_name(stem)
        except ConfigurationError:
            raise UsageError(
                f"{self.path}: appname is missing, and {stem!r:.80} is none", cure='write appname = "..."'
            ) from None

    def parse(self, makers: Makers) -> Iterator[tuple[ServerSpec, usage.Parsed[Any]]]:
        """Yield each server with what its options are, and where they come from.

        Raises:
            UsageError: naming the file, the table and the key.
        """
        for name, table in self.servers.items():
            where = f"{self.path} [server.{name}]"
            try:
                entry = makers.get(self.types[name])
            except UsageError as error:
                raise UsageError(f"{where}: {error.message}", cure=error.cure) from None
            maker = entry.load()
            with blaming(entry):
                parsed = usage.parse(
                    maker.Options, [], name=name, prog=f"mktap {entry.name}", config=table, config_name=where
                )
            yield ServerSpec(name, maker, parsed.options), parsed


def read_server_file(path: str) -> ServerFile:
    """Read the file at ``path``.

    Raises:
        UsageError: it is no such file; with line and column, or table and key.
    """
    content = usage.read_toml(path)
    known = (*_ABOUT_THE_APPLICATION, "server")
    for key in content:
        if key not in known:
            raise UsageError(f"{path}: unknown key {key!r}", cure=_nearest(key, known))
    tables = content.get("server")
    if not isinstance(tables, Mapping) or not tables:
        raise UsageError(f"{path}: describes no server", cure="write a table, such as [server.echo]")
    servers: dict[str, dict[str, Any]] = {}
    types: dict[str, str] = {}
    for name, table in tables.items():
        where = f"{path} [server.{name}]"
        if not isinstance(table, Mapping):
            raise UsageError(f"{path}: server.{name} is no table", cure=f"write [server.{name}]")
        try:
            check_server_name(name)
        except UsageError as error:
            raise UsageError(f"{where}: {error.message}", cure=error.cure) from None
        if "type" not in table:
            raise UsageError(f"{where}: type is missing", cure='write type = "..."; mktap alone lists them')
        types[name] = _text(table["type"], f"{where}: type")
        servers[name] = {key: value for key, value in table.items() if key != "type"}
    return ServerFile(
        path,
        Wish(
            appname=_application_name(content, path),
            uid=_account(content, path, "uid"),
            gid=_account(content, path, "gid"),
            durability=_durability(content, path),
        ),
        servers,
        types,
    )


def refuse_server_file(content: Mapping[str, Any], path: str) -> None:
    """Refuse a file that describes servers where the options of one are wanted.

    Raises:
        UsageError: it is such a file.
    """
    tables = content.get("server")
    if isinstance(tables, Mapping) and all(isinstance(table, Mapping) for table in tables.values()):
        raise UsageError(f"{path} describes whole servers", cure=f"mktap --from {path} builds them")


def write_server_file(plan: Mapping[str, Any], path: str) -> str:
    """Return the text that builds the servers of a plan again.

    Args:
        plan: of a tap.
        path: of the tap, for messages.

    Raises:
        ConfigurationError: the tap was not made by `mktap`.
    """
    servers = planned_servers(plan, path)
    if not servers:
        raise ConfigurationError(
            f"{path}: was built by code, not by mktap, so there are no options to show",
            cure="tap show without --toml shows what it holds",
        )
    content: dict[str, Any] = {"appname": plan["name"]}
    for key in ("uid", "gid"):
        if plan.get(key) is not None:
            content[key] = plan[key]
    if plan.get("durability", "gate") != "gate":
        content["durability"] = plan["durability"]
    kept = []
    tables = content["server"] = {}
    for entry in servers:
        options = dict(entry["options"])
        for key, value in entry["options"].items():
            if isinstance(value, Mapping) and value.get("secret") == "tap":
                kept.append(f"{entry['name']}.{key}")
                del options[key]
        tables[entry["name"]] = {"type": entry["type"], **options}
    notes = "".join(f"# The secret {name} is in the tap only; say where to find it.\n" for name in kept)
    return f"{_HEAD}{notes}\n{usage.write_toml(content)}"


def _application_name(content: Mapping[str, Any], path: str) -> str | None:
    if "appname" not in content:
        return None
    try:
        return check_application_name(content["appname"])
    except ConfigurationError as error:
        raise UsageError(f"{path}: appname: {error.message}", cure=error.cure) from None


def _account(content: Mapping[str, Any], path: str, key: str) -> int | str | None:
    value = content.get(key)
    if value is None or (isinstance(value, int | str) and not isinstance(value, bool)):
        return value
    raise UsageError(f"{path}: {key} is {value!r:.80}", cure="give a name or a number")


def _durability(content: Mapping[str, Any], path: str) -> str | None:
    value = content.get("durability")
    if value is None or value in DURABILITIES:
        return value
    raise UsageError(f"{path}: durability is {value!r:.80}", cure=f"use one of {', '.join(DURABILITIES)}")


def _text(value: object, where: str) -> str:
    if isinstance(value, str):
        return value
    raise UsageError(f"{where} is {value!r:.80}", cure="give a name in quotes")


def _nearest(word: str, known: tuple[str, ...]) -> str:
    import difflib

    near = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {near[0]}?" if near else f"use {', '.join(known)}"
