"""Socket units of systemd: which of them holds an address for a server of ours.

Unit files are read as text; systemd is not asked.  It must never decide what
becomes of an address that is held.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any, Final

from taphouse.names import descriptor_name

__all__ = ["find_socket_unit", "is_systemds"]

_FOLDERS: Final = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
"""Where systemd looks for units, the first that has one wins; see systemd.unit(5)."""


def is_systemds(holder: str) -> bool:
    """Say whether systemd may hold what is held, as far as we may see: another user's processes hide it."""
    return "by pid " not in holder or "by pid 1 (systemd)" in holder


def find_socket_unit(listener: Mapping[str, Any], folders: tuple[str, ...] = _FOLDERS) -> str:
    """Return the name of the unit that listens for a listener of a plan, by its name and address; else "".

    Args:
        listener: an entry of a plan's ``listeners``.
        folders: where units lie.
    """
    wanted = {descriptor_name(str(listener.get("label")))}
    if listener.get("name"):
        wanted.add(str(listener["name"]))
    path, port = listener.get("path"), listener.get("port")
    ending = os.path.basename(str(path)) if path is not None else str(port)
    seen: set[str] = set()
    for name, file in _units(folders):
        if name in seen:
            continue
        seen.add(name)
        settings = list(_settings(file))
        listens = [value for key, value in settings if key in ("ListenStream", "ListenDatagram")]
        names = {value for key, value in settings if key == "FileDescriptorName"}
        if names & wanted and any(value.replace("/", ":").split(":")[-1] == ending for value in listens):
            return name
    return ""


def _units(folders: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for folder in folders:
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            continue
        yield from ((name, os.path.join(folder, name)) for name in names if name.endswith(".socket"))


def _settings(file: str) -> Iterator[tuple[str, str]]:
    try:
        with open(file, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                key, separator, value = line.partition("=")
                if separator and not key.startswith(("#", ";")):
                    yield key.strip(), value.strip()
    except OSError:
        return
