"""Cache: where what was fetched or made stays from one package to the next.

All of it may be removed at any time.  This module must never know what is kept.
"""

from __future__ import annotations

import os

from taphouse.errors import CannotCreateError

__all__ = ["cache_folder"]


def cache_folder(kind: str) -> str:
    """Return ``~/.cache/taphouse/KIND``, and make it.

    Raises:
        CannotCreateError: it cannot be made, or not be written.
    """
    above = os.environ.get("XDG_CACHE_HOME", "")
    if not above.startswith("/"):
        above = os.path.join(os.path.expanduser("~"), ".cache")
    folder = os.path.join(above, "taphouse", kind)
    try:
        os.makedirs(folder, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        raise CannotCreateError(
            f"{folder}: {error.strerror}", cure="set XDG_CACHE_HOME to a folder that you may write"
        ) from error
    return folder
