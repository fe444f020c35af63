"""Addresses: ports, interfaces and paths, checked at the statement and put into words.

Nothing is looked up or opened here.
"""

from __future__ import annotations

import os

__all__ = ["address_label", "check_host", "check_interface", "check_path", "check_port"]

# sun_path of unix(7) holds 108 bytes with its final NUL.
_LONGEST_UNIX_PATH = 107


def check_port(port: object, *, ephemeral: bool) -> int:
    """Return ``port`` if it is a port number.

    Args:
        ephemeral: whether 0, "the system chooses", is allowed.

    Raises:
        TypeError: if it is not an int.
        ValueError: if it is out of range.
    """
    if isinstance(port, bool) or not isinstance(port, int):
        hint = "; listenUNIX takes a path" if isinstance(port, str | os.PathLike) else ""
        raise TypeError(f"port must be an int, got {port!r:.80}{hint}")
    lowest = 0 if ephemeral else 1
    if not lowest <= port <= 65535:
        raise ValueError(f"port {port} is out of range; use {lowest} to 65535")
    return port


def check_interface(interface: object) -> str:
    """Return ``interface``, an address of this machine; ``""`` is all, brackets of IPv6 are taken off."""
    if not isinstance(interface, str):
        raise TypeError(f"interface must be a str, got {interface!r:.80}")
    if interface.startswith("[") and interface.endswith("]"):
        interface = interface[1:-1]
    _refuse_blanks(interface, "interface")
    return interface


def check_host(host: object) -> str:
    """Return ``host``, a name or address to connect to."""
    host = check_interface(host)
    if not host:
        raise ValueError("host is empty; give a name or an address")
    return host


def check_path(path: object, *, what: str = "path", socket: bool = False) -> str:
    """Return ``path`` as text.

    Args:
        what: how a message calls it.
        socket: whether the limit of a UNIX socket's path applies.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"{what} must be a path, got {path!r:.80}")
    text = os.fspath(path)
    if not isinstance(text, str):
        raise TypeError(f"{what} must be text, got {path!r:.80}")
    if not text or "\0" in text:
        raise ValueError(f"{what} {text!r:.80} is no file name")
    if socket and len(os.fsencode(text)) > _LONGEST_UNIX_PATH:
        raise ValueError(f"{what} {text!r:.120} is too long; a socket takes {_LONGEST_UNIX_PATH} bytes")
    return text


def address_label(kind: str, host: str, port: int | None, path: str | None) -> str:
    """Return an address for logs: ``tcp:8123``, ``udp:127.0.0.1:53``, ``tls:[::1]:443``, ``unix:/run/x``."""
    if path is not None:
        return f"{kind}:{path}"
    shown = f"[{host}]" if ":" in host else host
    return f"{kind}:{shown}:{port}" if shown else f"{kind}:{port}"


def _refuse_blanks(text: str, what: str) -> None:
    if any(char.isspace() or char < " " or char == "/" for char in text):
        raise ValueError(f"{what} {text!r:.80} is neither a name nor an address")
