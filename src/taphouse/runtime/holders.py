"""Find out who holds an address, to name the culprit in an error message.

Reads /proc only (proc(5): net/tcp, net/udp, net/unix, PID/fd), and shrugs at
everything it may not see.  It must never be needed for anything but a message.
"""

from __future__ import annotations

import os
from collections.abc import Callable

__all__ = ["describe_path_holder", "describe_port_holder"]

_PROC = "/proc"
_TCP_LISTEN = "0A"
_UDP_BOUND = "07"
_LOOKS = 10
"""Before nobody is believed to be there: /proc hands its lists out page by page, and changes shift them."""


def describe_port_holder(kind: str, port: int) -> str:
    """Return "by pid 12 (nginx)" for a local port, or "" if it cannot be found out.

    Args:
        kind: "tcp" or "udp".
        port: the port number.
    """
    wanted = _TCP_LISTEN if kind == "tcp" else _UDP_BOUND

    def is_meant(fields: list[str]) -> bool:
        return len(fields) > 9 and fields[3] == wanted and fields[1].endswith(f":{port:04X}")

    return _look(
        lambda: {
            fields[9] for table in (kind, f"{kind}6") for fields in _rows(f"net/{table}") if is_meant(fields)
        }
    )


def describe_path_holder(path: str) -> str:
    """Return "by pid 12 (nginx)" for the listener of a UNIX socket path, or ""."""
    return _look(lambda: {fields[6] for fields in _rows("net/unix") if len(fields) > 7 and fields[7] == path})


def _look(find_inodes: Callable[[], set[str]]) -> str:
    for _ in range(_LOOKS):
        if found := _describe(find_inodes()):
            return found
    return ""


def _rows(name: str) -> list[list[str]]:
    try:
        text = _read(name)
    except OSError:
        return []
    return [line.split() for line in text.splitlines()[1:]]


def _read(name: str) -> str:
    with open(f"{_PROC}/{name}", encoding="utf-8", errors="replace") as file:
        return file.read()


def _describe(inodes: set[str]) -> str:
    links = {f"socket:[{inode}]" for inode in inodes}
    if not links:
        return ""
    for pid in sorted((name for name in os.listdir(_PROC) if name.isdigit()), key=int):
        try:
            if any(_leads_to(f"{_PROC}/{pid}/fd/{fd}", links) for fd in os.listdir(f"{_PROC}/{pid}/fd")):
                return f"by pid {pid} ({_read(f'{pid}/comm').strip()})"
        except OSError:
            continue  # another user's process, or one that is just gone
    return ""


def _leads_to(descriptor: str, links: set[str]) -> bool:
    try:
        return os.readlink(descriptor) in links
    except OSError:
        return False  # closed since it was listed, as those of a busy server are all the time
