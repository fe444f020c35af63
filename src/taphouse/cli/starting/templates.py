"""What a script's module-level code builds while its tap is thawed: templates, not the server.

``app = Application(...)`` runs again when the module is imported, but the
server is the thawed one.  A handler that changes the global would change
nothing that is remembered; it is told so at the statement.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import Any

from taphouse.app import Application, Declared
from taphouse.durable import Ledger, attach, oid_of, raw_state

__all__ = ["close_templates"]


def close_templates(modules: Iterable[ModuleType]) -> int:
    """Let every write to an application built by ``modules``, and what it holds, raise from now on.

    Returns:
        How many objects there were.
    """
    closed = Ledger()
    closed.close(
        "it was built by the module when that was imported, and is not the server's",
        cure="use self.factory, or a service's getServiceNamed(), instead of the global",
    )
    seen: dict[int, Declared] = {}
    pending: list[Any] = [
        value for module in modules for value in vars(module).values() if isinstance(value, Application)
    ]
    while pending:
        value = pending.pop()
        if isinstance(value, (list, tuple, set, frozenset)):
            pending.extend(value)
        elif isinstance(value, dict):
            pending.extend(value.values())
        elif hasattr(type(value), "_tap_is_durable") and id(value) not in seen:
            if isinstance(value, Declared) and not oid_of(value):
                seen[id(value)] = value
            elif isinstance(value, Declared):
                continue  # somebody's: attached to the ledger of a server
            seen.setdefault(id(value), value)
            pending.extend(raw_state(value).values())
    oid = 0
    for value in seen.values():
        if isinstance(value, Declared):
            oid += 1
            attach(value, closed, oid)
    return oid
