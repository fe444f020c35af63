"""Names: of packages, their accounts, their maintainers and their licences' fields.

This module must never know which packages there are.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from taphouse.errors import UsageError

__all__ = ["account_name", "check_maintainer", "check_package_name", "package_name"]

# Debian policy 5.6.7 also allows "+", which no unit of systemd can have in its name.
_PACKAGE: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,63}")
_MAINTAINER: Final = re.compile(
    r"(?P<name>[^<>@,\x00-\x1f\x7f]+) <(?P<address>[^<>@\s,]+@[^<>@\s,]+\.[^<>@\s,.]+)>"
)
_LONGEST_ACCOUNT: Final = 31  # systemd.io/USER_NAMES


def check_package_name(name: str) -> str:
    """Return ``name`` if a package can have it.

    Raises:
        UsageError: it is not 2 to 64 of ``a-z 0-9 . -``, beginning with a letter or digit.
    """
    if not _PACKAGE.fullmatch(name) or name.endswith((".", "-")):
        raise UsageError(
            f"{name!r:.100} cannot name a package",
            cure="use 2 to 64 small letters, digits, '-' and '.' (--name)",
        )
    return name


def package_name(application: str) -> str:
    """Return the package name that is nearest to the name of an application.

    Raises:
        UsageError: there is none.
    """
    return check_package_name(application.lower().replace("_", "-").rstrip(".-"))


def account_name(package: str) -> str:
    """Return the account that a package's server runs as: one of its own, that no person has.

    Debian policy 9.2.1 wants an underscore first; names that are too long or have
    characters that no account has end in a piece of a sum.
    """
    name = "_" + package.replace(".", "-")
    if name[1:] == package and len(name) <= _LONGEST_ACCOUNT:
        return name
    return f"{name[: _LONGEST_ACCOUNT - 9]}-{hashlib.sha256(package.encode()).hexdigest()[:8]}"


def check_maintainer(text: str) -> str:
    """Return ``text`` if it is ``Name <address>``.

    Raises:
        UsageError: it is not, or the address is one of nobody.
    """
    match = _MAINTAINER.fullmatch(text)
    if match is None or match["name"] != match["name"].strip():
        raise UsageError(
            f"maintainer {text!r:.100} is not of the form 'Name <name@example.org>'", cure="give one (-m)"
        )
    if match["address"].rpartition("@")[2].rpartition(".")[2] in {"localdomain", "localhost", "local"}:
        raise UsageError(
            f"maintainer {text!r:.100} has an address of this machine only", cure="give another (-m)"
        )
    return text
