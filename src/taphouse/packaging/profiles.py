"""Profiles: how much of the machine a server may see and do under systemd.

From the plan of a tap, which says what it listens on and connects to.  The
lines are systemd.exec(5)'s.  This module must never know how a unit is laid out.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any, Final

from taphouse.errors import UsageError

__all__ = ["PROFILES", "choose_profile", "is_local", "sandbox"]

PROFILES: Final = ("auto", "lowport", "highport", "local", "sealed")
_FIRST_FREE_PORT: Final = 1024

_ALWAYS: Final = """\
NoNewPrivileges=yes
RestrictSUIDSGID=yes
LockPersonality=yes
KeyringMode=private
RemoveIPC=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
PrivateMounts=yes
DevicePolicy=closed
ProtectProc=invisible
ProcSubset=pid
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
RestrictNamespaces=yes
RestrictRealtime=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
"""

_NO_CAPABILITY: Final = "CapabilityBoundingSet=\nAmbientCapabilities=\nPrivateUsers=yes\n"
_INTERNET: Final = "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX\n"

_LINES: Final = {
    # A user namespace of its own would take the capability's power away.
    "lowport": "CapabilityBoundingSet=CAP_NET_BIND_SERVICE\nAmbientCapabilities=CAP_NET_BIND_SERVICE\n"
    + _INTERNET,
    "highport": _NO_CAPABILITY + _INTERNET,
    "local": _NO_CAPABILITY + _INTERNET + "IPAddressDeny=any\nIPAddressAllow=localhost\n",
    # Its sockets come from systemd: it needs no network to accept from them.
    "sealed": _NO_CAPABILITY + "RestrictAddressFamilies=AF_UNIX\nPrivateNetwork=yes\nIPAddressDeny=any\n",
}


def choose_profile(wanted: str, plan: Mapping[str, Any], opened: Sequence[str]) -> str:
    """Return the profile that a server can live with; ``auto`` is the strictest that needs no promise.

    Args:
        wanted: one of `PROFILES`.
        plan: of the tap.
        opened: labels of the listeners that systemd opens.

    Raises:
        UsageError: the server could not listen or connect as its tap says.
    """
    if wanted not in PROFILES:
        raise UsageError(f"there is no profile {wanted!r:.50}", cure=f"use one of {', '.join(PROFILES)}")
    listeners = [entry for entry in plan.get("listeners") or () if entry["label"] not in opened]
    low = [entry["label"] for entry in listeners if 0 < (entry.get("port") or 0) < _FIRST_FREE_PORT]
    if wanted == "auto":
        return "lowport" if low else "highport"
    if low and wanted != "lowport":
        raise UsageError(
            f"with profile {wanted} the server could not open {low[0]}",
            cure="let systemd open it (without --no-socket), or use profile lowport",
        )
    connectors = [entry for entry in plan.get("connectors") or () if not is_local(entry)]
    if wanted == "sealed":
        for entry in [*listeners, *(plan.get("connectors") or ())]:
            raise UsageError(
                f"with profile sealed the server would have no network for {entry['label']}",
                cure="use profile highport",
            )
    if wanted == "local":
        for entry in [*(entry for entry in plan.get("listeners") or () if not is_local(entry)), *connectors]:
            raise UsageError(
                f"with profile local the server could not use {entry['label']}, which is not on this machine",
                cure="use profile highport",
            )
    return wanted


def sandbox(profile: str, *, allow_jit: bool = False) -> str:
    """Return the lines of ``[Service]`` that keep a server in.

    Args:
        profile: one that `choose_profile` returned.
        allow_jit: let it make memory executable that it has written, as code that compiles itself does.
    """
    jit = "" if allow_jit else "MemoryDenyWriteExecute=yes\n"
    return _ALWAYS + jit + _LINES[profile]


def is_local(entry: Mapping[str, Any]) -> bool:
    """Say whether only this machine can be at the other end of a listener or connector."""
    if entry.get("path") is not None:
        return True
    host = str(entry.get("interface") or entry.get("host") or "")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
