"""From a tap to a running application's objects: import, thaw, and join with code.

The rules of design live in rooms below; here is only who is asked in which
order.  This module must never know processes, ports or loops.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from taphouse.app import Application, verbs
from taphouse.cli.choosing import Choice
from taphouse.cli.loading import ModuleLoader, require_classes
from taphouse.cli.templates import close_templates
from taphouse.durable import Ledger, find_registered
from taphouse.errors import TapError
from taphouse.persist import Freezer, Store, TapInfo, thaw

__all__ = ["Loaded", "import_plan", "join_code", "thaw_tap"]


@dataclass
class Loaded:
    """What a start runs."""

    application: Application
    ledger: Ledger
    freezer: Any
    notes: list[str] = field(default_factory=list)
    """Lines for the log."""


def import_plan(loader: ModuleLoader, info: TapInfo) -> dict[str, ModuleType]:
    """Import the modules that the tap ``info`` needs, after each was judged.

    The modules of the plan must be there; one that only objects in the state
    name may be missing: those objects are kept as they are.

    Raises:
        ModuleRefusedError: a module is missing, shadowed or not allowed.
    """
    loader.extend_path()
    with verbs.quiet():
        modules = loader.import_modules(info.plan.get("modules", ()))
        for name in dict.fromkeys(record.module for record in info.classes):
            registered = all(find_registered(r.name) for r in info.classes if r.module == name)
            if name in modules or registered or not loader.is_there(name):
                continue
            modules.update(loader.import_modules([name]))
    return modules
