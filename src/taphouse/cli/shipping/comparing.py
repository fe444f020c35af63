"""Comparing: what a new package meets: a file of its name, an installed version, a package of Debian's.

It asks dpkg and apt where they are, and what they know without a network.  This
module must never change what it finds.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from typing import Self

from taphouse.errors import TaphouseError, UsageError
from taphouse.packaging import compare_versions, control_text

__all__ = ["AptQuestion", "compare_with_file", "compare_with_installed"]

_PATIENCE_S = 60.0  # on a busy machine; what was not answered would not be told


class AptQuestion:
    """Whether apt knows a package of somebody else's by this name; asked while other work is done.

    Args:
        name: of the package.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._asked: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        with suppress(OSError):
            self._asked = subprocess.Popen(
                ["apt-cache", "show", "--no-all-versions", self._name],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env={**os.environ, "LC_ALL": "C.UTF-8"},
            )
        return self

    def __exit__(self, *_error: object) -> None:
        if self._asked is not None:
            with self._asked as asked:
                asked.kill()

    def warning(self, maintainer: str) -> str:
        """Return a line if it does, "" if not or if nobody could be asked; ``maintainer`` is ours."""
        if self._asked is None:
            return ""
        try:
            text, _ = self._asked.communicate(timeout=_PATIENCE_S)
        except subprocess.TimeoutExpired:
            return ""
        found = _fields(text)
        if not found or found.get("Maintainer") == maintainer:
            return ""
        return (
            f"apt knows another package {self._name} ({found.get('Version', '?')}), and one takes the place"
            " of the other; choose another name with --name"
        )


def compare_with_installed(name: str, version: str) -> str:
    """Return a line if the same version is installed here, "" if not or if there is no dpkg.

    Raises:
        UsageError: a newer one is installed.
    """
    try:
        done = subprocess.run(
            ["dpkg-query", "-W", "-f", "${db:Status-Abbrev} ${Version}", name],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_PATIENCE_S,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    status, _, installed = done.stdout.strip().partition(" ")
    if done.returncode or not status.startswith("ii"):
        return ""
    return _compared(name, version, installed.strip(), "is installed here")


def compare_with_file(path: str, name: str, version: str) -> str:
    """Return a line if the file is there and holds the same version, which is going to be replaced.

    Raises:
        UsageError: it holds a newer one.
    """
    if not os.path.isfile(path):
        return ""
    try:
        found = _fields(control_text(path))
    except (TaphouseError, OSError):
        return ""
    if found.get("Package") != name:
        return ""
    return _compared(name, version, found.get("Version", ""), f"is in {path}")


def _compared(name: str, version: str, other: str, where: str) -> str:
    try:
        order = compare_versions(version, other)
    except TaphouseError:
        return ""
    if order < 0:
        raise UsageError(
            f"{name} {other} {where}, which is newer than {version}",
            cure=f"give a higher version, such as --set-version {_next(other)}; or another name with --name,"
            " if that is another program",
        )
    if order == 0:
        return f"{name} {other} {where}: machines that have it see no upgrade in this one; see --set-version"
    return ""


def _next(version: str) -> str:
    """Return a version that is a little higher."""
    head, dot, last = version.rpartition(".")
    return f"{head}.{int(last) + 1}" if dot and last.isdecimal() else f"{version}.1"


def _fields(text: str) -> dict[str, str]:
    return {
        key: value.strip()
        for key, colon, value in (line.partition(":") for line in text.splitlines())
        if colon and not key.startswith(" ")
    }
