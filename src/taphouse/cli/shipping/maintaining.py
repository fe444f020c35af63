"""Maintaining: who answers for a package, when nobody has said.

As Debian's own tools find it, by variables, and by what git was told.  This module
must never ask a network what this machine is called.
"""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Mapping
from contextlib import suppress

from taphouse.errors import UsageError
from taphouse.packaging import check_maintainer

__all__ = ["find_maintainer"]

_PATIENCE_S = 60.0  # on a busy machine; without an answer another name would be taken


def find_maintainer(given: str | None, environment: Mapping[str, str] = os.environ) -> str:
    """Return ``Name <address>``: what was given, else of the environment, of git, of this account.

    Raises:
        UsageError: what was given is none, or nothing is known.
    """
    if given:
        return check_maintainer(given)
    name = environment.get("DEBFULLNAME") or environment.get("NAME") or ""
    address = environment.get("DEBEMAIL") or environment.get("EMAIL") or ""
    if address.endswith(">"):  # "Ann Author <ann@example.org>", as dch(1) allows it
        name, address = name or address.partition("<")[0].strip(), address.partition("<")[2][:-1]
    name = name or _git("user.name") or _own_name()
    address = address or _git("user.email") or _own_address()
    try:
        return check_maintainer(f"{name} <{address}>")
    except UsageError:
        raise UsageError(
            "who maintains the package is not known here",
            cure="give -m 'Name <name@example.org>', or set DEBFULLNAME and DEBEMAIL",
        ) from None


def _git(key: str) -> str:
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            ["git", "config", "--get", key],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_PATIENCE_S,
        )
        return done.stdout.strip() if done.returncode == 0 else ""
    return ""


def _own_name() -> str:
    with suppress(KeyError):
        account = pwd.getpwuid(os.getuid())
        return account.pw_gecos.partition(",")[0].strip() or account.pw_name
    return ""


def _own_address() -> str:
    host = os.uname().nodename
    with suppress(OSError), open("/etc/mailname", encoding="utf-8") as file:
        host = file.read().strip() or host
    with suppress(KeyError):
        return f"{pwd.getpwuid(os.getuid()).pw_name}@{host}"
    return ""
