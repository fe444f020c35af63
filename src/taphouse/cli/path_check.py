"""Whether typing `twistd` would start ours.

Another distribution has had a command of that name for twenty years, and both
may be installed.  This module must only look, never run what it finds.
"""

from __future__ import annotations

import os
import shutil

__all__ = ["foreign_twistd"]

_HEAD_BYTES = 4096


def foreign_twistd(search_path: str | None = None) -> str:
    """Return a note if the `twistd` that the shell would find is not ours, else ``""``.

    Args:
        search_path: where to look, as ``PATH``; default: the process's.
    """
    found = shutil.which("twistd", path=search_path)
    if found is None:
        return ""
    try:
        with open(found, "rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return ""
    if b"taphouse" in head:
        return ""
    owner = "Twisted" if b"twisted" in head.lower() else "another distribution"
    return (
        f"note: the twistd on your PATH ({os.path.abspath(found)}) belongs to {owner};"
        " use tap run and tap start instead"
    )
