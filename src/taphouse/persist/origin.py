"""Where a tap comes from: lineage, time and versions, written into every new one.

This module must never know what a tap holds.
"""

from __future__ import annotations

import datetime
import json
import os
import sys
from typing import Any

from taphouse.persist.schema import Meta

__all__ = ["fresh_meta", "plan_text"]


def _version() -> str:
    # The package is imported already; importlib.metadata would cost every start 15 to 30 ms.
    return str(getattr(sys.modules["taphouse"], "__version__", "unknown"))


def plan_text(plan: dict[str, Any]) -> str:
    """Return a plan as JSON, the same text for the same plan.

    Raises:
        TypeError, ValueError: if it is not JSON-able.
    """
    return json.dumps(plan, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def fresh_meta(base: Meta | None, plan: str = "{}", *, role: str = "state", next_oid: int = 1) -> Meta:
    """Return the meta of a tap made now.

    Args:
        base: what it goes on from, lineage and all; None for a new lineage.
        plan: JSON text, if there is no base.
        role: ``seed`` or ``state``, if there is no base.
        next_oid: if there is no base.
    """
    created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    taphouse, python = _version(), ".".join(map(str, sys.version_info[:3]))
    if base is None:
        name = json.loads(plan).get("name", "app")
        return Meta(role, os.urandom(16).hex(), name, created, taphouse, python, plan=plan, next_oid=next_oid)
    name = json.loads(base.plan).get("name", base.name)
    return base.with_(created=created, name=name, taphouse=taphouse, python=python)
