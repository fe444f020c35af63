"""Seed: the tap as it is shipped, without the names of folders of the machine where it was made.

Its code lies elsewhere from now on, and nobody else has to know where it lay.
This module must never know what a package is.
"""

from __future__ import annotations

import copy
import os
import tempfile
from typing import Any

from taphouse.persist import read_document, write_document

__all__ = ["shipped_seed"]


def shipped_seed(tap: str) -> bytes:
    """Return a seed's bytes; as they are if it names no folder.

    Raises:
        TapError: it is damaged.
    """
    document = read_document(tap)
    plan = copy.deepcopy(document["plan"])
    _forget_folders(plan)
    if plan == document["plan"]:
        with open(tap, "rb") as file:
            return file.read()
    document["plan"] = plan
    with tempfile.TemporaryDirectory(prefix="taphouse-") as folder:
        path = os.path.join(folder, "server.tap")
        write_document(document, path, name=tap)
        with open(path, "rb") as file:
            return file.read()


def _forget_folders(plan: dict[str, Any]) -> None:
    script = plan.get("script")
    if script:
        script["folder"] = ""
    plan.pop("folders", None)
    for server in plan.get("servers") or ():
        server.pop("folder", None)
