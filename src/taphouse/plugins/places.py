"""Where makers may lie, and whom such a place must belong to.

It must never look into a file.
"""

from __future__ import annotations

import os
import stat
import sys

__all__ = ["plugins_folder", "search_folders", "why_refused"]


def plugins_folder() -> str:
    """Return the user's folder for dropped makers, ``""`` if the user has no home; it need not exist.

    ``$XDG_DATA_HOME/taphouse/plugins``, by default ``~/.local/share/taphouse/plugins`` (XDG Base Directory
    Specification 0.8; it says that a relative path is to be ignored).
    """
    base = os.environ.get("XDG_DATA_HOME", "")
    if not os.path.isabs(base):
        base = os.path.expanduser("~/.local/share")
    return os.path.join(base, "taphouse", "plugins") if os.path.isabs(base) else ""


def search_folders() -> list[str]:
    """Return the folders on ``sys.path`` that may hold makers, then the user's own, each once.

    Python's own modules make no servers, and what is in a zip file cannot be judged by its owner.
    """
    own = os.path.realpath(os.path.dirname(os.__file__))
    seen = {own, os.path.join(own, "lib-dynload")}
    found = []
    for entry in (*sys.path, plugins_folder()):
        folder = os.path.abspath(entry)
        real = os.path.realpath(folder)
        if real in seen or not os.path.isdir(folder):
            continue
        seen.add(real)
        found.append(folder)
    return found


def why_refused(path: str) -> str:
    """Return why code in ``path`` must not be run, in one phrase; ``""`` if it may.

    The file itself and the folder it is taken from may be changed by root and by us alone; for a package that
    is its folder and the one around it too.

    Args:
        path: a module's file, ``__init__.py`` for a package, or the folder of a package without one.
    """
    real = os.path.realpath(path)
    judged = [real, os.path.dirname(real), os.path.dirname(os.path.abspath(path))]
    if os.path.basename(path) == "__init__.py":
        judged += [os.path.dirname(place) for place in judged[1:]]
    for place in dict.fromkeys(judged):
        try:
            status = os.stat(place)
        except OSError as error:
            return f"{place} cannot be judged: {error.strerror}"
        if status.st_uid not in (0, os.geteuid()):
            return f"{place} belongs to user {status.st_uid}, who could replace what is run from there"
        if status.st_mode & stat.S_IWOTH:
            return f"{place} may be written by anybody, who could replace what is run from there"
    return ""
