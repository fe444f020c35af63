"""What can be named of a tap that is named on a command line.

It must never import what the tap names, nor change it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from taphouse.errors import TaphouseError
from taphouse.persist import read_info, read_objects

__all__ = ["servers_in", "values_in"]

_MOST_BYTES = 16 << 20
"""Of a bigger tap nobody wants to wait for what is in it, with a finger on the key."""


def servers_in(tap: str) -> dict[str, str]:
    """Return the servers that a tap says it was made of, each with its type."""
    servers: Any = _plan_of(tap).get("servers") or ()
    return {str(server["name"]): str(server["type"]) for server in servers}


def _plan_of(tap: str) -> Any:
    path = os.path.expanduser(tap)
    try:
        return read_info(path).plan if os.path.getsize(path) <= _MOST_BYTES else {}
    except (OSError, TaphouseError):
        return {}


def values_in(tap: str) -> Iterator[str]:
    """Yield the attributes of the objects in a tap that have names."""
    names = {number: name for name, number in (_plan_of(tap).get("objects") or {}).items()}
    if not names:
        return
    for found in read_objects(os.path.expanduser(tap)):
        name = names.get(found.oid)
        if name is not None and isinstance(found.state, dict):
            for attribute in found.state:
                yield f"{name}.{attribute}"
