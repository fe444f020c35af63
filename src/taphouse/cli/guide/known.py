"""What exists on this machine and can be named on a command line.

It must never change anything, nor wait for a server.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

from taphouse.errors import TaphouseError

__all__ = ["look_up", "servers_in"]

_MOST_BYTES = 16 << 20
"""Of a bigger tap nobody wants to wait for what is in it, with a finger on the key."""


def look_up(what: str, arguments: Sequence[str] = ()) -> Iterator[tuple[str, str]]:
    """Yield names with a phrase about each.

    Args:
        what: ``"servers"``, ``"users"``, ``"groups"``, ``"pages"`` of the manual, or ``"state"``: values in
            the tap that is the first argument.
        arguments: words that were typed before.
    """
    if what == "servers":
        from taphouse.control import list_servers

        yield from ((entry.name, f"PID {entry.pid} in {entry.rundir}") for entry in list_servers())
    elif what == "users":
        import pwd

        yield from ((user.pw_name, user.pw_gecos.partition(",")[0]) for user in pwd.getpwall())
    elif what == "groups":
        import grp

        yield from ((group.gr_name, "") for group in grp.getgrall())
    elif what == "pages":
        from taphouse.cli.guide.commands import command_named

        yield from ((name, command_named(name).summary) for name in ("tap", "twistd", "mktap", "tapconvert"))
        yield from command_named("mktap").children.items()
    elif what == "state" and arguments:
        yield from _values_in(arguments[0])


def servers_in(tap: str) -> dict[str, str]:
    """Return the servers that a tap says it was made of, each with its type."""
    servers: Any = _plan_of(tap).get("servers") or ()
    return {str(server["name"]): str(server["type"]) for server in servers}


def _plan_of(tap: str) -> Any:
    from taphouse.persist import read_info

    path = os.path.expanduser(tap)
    try:
        return read_info(path).plan if os.path.getsize(path) <= _MOST_BYTES else {}
    except (OSError, TaphouseError):
        return {}


def _values_in(tap: str) -> Iterator[tuple[str, str]]:
    """Yield the attributes of the objects in a tap that have names."""
    from taphouse.persist import read_objects

    names = {number: name for name, number in (_plan_of(tap).get("objects") or {}).items()}
    if not names:
        return
    for found in read_objects(os.path.expanduser(tap)):
        name = names.get(found.oid)
        if name is not None and isinstance(found.state, dict):
            for attribute in found.state:
                yield f"{name}.{attribute}", ""
