"""Target: the Python and the machine that a package is made for, and which wheels fit them.

Tags as the platform compatibility tags of Python packaging have them:
https://packaging.python.org/en/latest/specifications/platform-compatibility-tags/
This module must never look at the running Python, but to be told what it is.
"""

from __future__ import annotations

import platform as running
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Final

from taphouse.errors import UsageError
from taphouse.packaging.markers import counts
from taphouse.value import Value

__all__ = ["Target", "make_target"]

# What the releases with a Python bring, since that is what an interpreter of the package's ``Depends`` is:
# its whole version, which markers may ask for, and the C library.  Debian 12, Ubuntu 24.04, Debian 13.
_RELEASES: Final = {
    (3, 11): ("3.11.2", (2, 36)),
    (3, 12): ("3.12.3", (2, 39)),
    (3, 13): ("3.13.5", (2, 41)),
}
_NEWEST: Final = (2, 41)
_MACHINES: Final = {  # of Debian and of others -> of Python
    "amd64": "x86_64",
    "arm64": "aarch64",
    "armhf": "armv7l",
    "i386": "i686",
    "ppc64el": "ppc64le",
    "riscv64": "riscv64",
    "s390x": "s390x",
}
_LEGACY: Final = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
_OLDEST: Final = {"x86_64": (2, 5), "i686": (2, 5), "riscv64": (2, 31)}
_OLDEST_OTHER: Final = (2, 17)
_PLATFORM: Final = re.compile(
    r"(?:(?P<old>manylinux(?:1|2010|2014))|manylinux_(?P<major>\d{1,3})_(?P<minor>\d{1,3})|linux)_(?P<machine>\w+)"
)
_PYTHON: Final = re.compile(r"(?P<kind>cp|py)(?P<major>\d)(?P<minor>\d*)")


class Target(Value):
    """What wheels have to fit.

    Args:
        python: major and minor of a CPython.
        machine: as Python calls it, ``x86_64``.
        glibc: major and minor of the oldest C library that has to do.
    """

    python: tuple[int, int]
    machine: str
    glibc: tuple[int, int]

    @property
    def interpreter(self) -> str:
        """Debian's name of the command, ``python3.11``."""
        return f"python{self.python[0]}.{self.python[1]}"

    def __str__(self) -> str:
        return f"CPython {_dotted(self.python)} on {self.machine} with glibc {_dotted(self.glibc)}"

    def platforms(self) -> list[str]:
        """Return every platform tag whose wheels fit, the best first; pip derives none of another."""
        found: list[str] = []
        oldest = _OLDEST.get(self.machine, _OLDEST_OTHER)
        names = {version: name for name, version in _LEGACY.items()}
        for minor in range(self.glibc[1], oldest[1] - 1, -1):
            version = (self.glibc[0], minor)
            found.append(f"manylinux_{version[0]}_{minor}_{self.machine}")
            if version in names and self.machine != "riscv64":
                found.append(f"{names[version]}_{self.machine}")
        return [*found, f"linux_{self.machine}"]

    def rank(self, tag: str) -> tuple[int, ...] | None:
        """Return how well wheels for a tag fit, the smallest best, ``None`` if they do not."""
        python, abi, platform = (*tag.split("-"), "", "")[:3]
        code, place = self._rank_code(python, abi), self._rank_platform(platform)
        return None if code is None or place is None else (*code, *place)

    def misfit(self, tags: Iterable[str]) -> str:
        """Return what wheels with these tags are for, ``musl, not glibc``, to be told when none fits."""
        reasons = dict.fromkeys(reason for tag in tags for reason in self._misfits(tag))
        return ", ".join(reasons) or "something else"

    def markers(self) -> dict[str, str]:
        """Return what markers may ask, as it will be where the package is installed."""
        full = _RELEASES.get(self.python, ("", ()))[0]
        if not full:
            same = self.python == sys.version_info[:2]
            full = running.python_version() if same else f"{_dotted(self.python)}.0"
        return {
            "implementation_name": "cpython",
            "implementation_version": full,
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": full,
            "python_version": _dotted(self.python),
            "sys_platform": "linux",
        }

    def has_python(self, requires: str) -> bool:
        """Say whether its Python is one of a ``Requires-Python``: ``>=3.8, !=3.9.*``.

        Raises:
            ConfigurationError: it cannot be understood.
        """
        values = self.markers()
        for wanted in requires.split(","):
            match = re.fullmatch(r"\s*(===|~=|==|!=|<=|>=|<|>)\s*([^\s\"']+)\s*", wanted)
            if not match and not wanted.strip():
                continue
            sign, version = match.groups() if match else ("", wanted.strip())
            if not counts(f'python_full_version {sign} "{version}"', "", values):
                return False
        return True

    def _rank_code(self, python: str, abi: str) -> tuple[int, int] | None:
        match = _PYTHON.fullmatch(python)
        if match is None or int(match["major"]) != self.python[0]:
            return None
        minor = int(match["minor"] or 0)
        age = self.python[1] - minor
        exact = f"cp{self.python[0]}{self.python[1]}"
        if match["kind"] == "cp":
            if python == exact and abi in {exact, "none"}:
                return (0, 0) if abi == exact else (2, 0)
            return (1, age) if abi == "abi3" and age >= 0 and minor >= 2 else None
        return (3, age) if abi == "none" and age >= 0 else None

    def _rank_platform(self, platform: str) -> tuple[int, int] | None:
        if platform == "any":
            return (2, 0)
        match = _PLATFORM.fullmatch(platform)
        if match is None or match["machine"] != self.machine:
            return None
        needs = _glibc_of(match)
        if needs is None:
            return (1, 0)  # built on a machine like ours, for itself
        return (0, self.glibc[1] - needs[1]) if needs[0] == self.glibc[0] and needs <= self.glibc else None

    def _misfits(self, tag: str) -> Iterator[str]:
        python, abi, platform = (*tag.split("-"), "", "")[:3]
        if self._rank_platform(platform) is None:
            match = _PLATFORM.fullmatch(platform)
            if match is None:
                yield "musl, not glibc" if platform.startswith("musllinux") else platform
            elif match["machine"] != self.machine:
                yield match["machine"]
            else:
                yield f"glibc {_dotted(_glibc_of(match) or ())} or newer"
        elif self._rank_code(python, abi) is None:
            yield f"{python}-{abi}"


def make_target(python: str | None = None, platform: str | None = None) -> Target:
    """Return what is asked for; what is not is as the running Python is.

    Args:
        python: ``3.13``.
        platform: a machine, as Debian or Python calls it (``arm64``, ``aarch64``), with the oldest C library
            that has to do if it is not that of the Debian with this Python: ``manylinux_2_28_x86_64`` or
            ``x86_64-manylinux_2_28``.

    Raises:
        UsageError: there is no such Python or platform.
    """
    version = sys.version_info[:2]
    if python is not None:
        match = re.fullmatch(r"(?:python|cp)?3\.?(\d{1,2})", python)
        if match is None or int(match[1]) < 11:
            raise UsageError(
                f"--python {python!r:.50} is no Python that servers run on", cure="say 3.11 or newer"
            )
        version = (3, int(match[1]))
    glibc = _RELEASES.get(version, ("", _NEWEST))[1]
    if platform is None:
        return Target(version, running.machine(), glibc)
    name = platform.strip().replace(".", "_")
    swapped = re.fullmatch(r"(?P<machine>\w+?)-(?P<rest>\w+)", name)
    if swapped:
        name = f"{swapped['rest']}_{swapped['machine']}"
    match = _PLATFORM.fullmatch(name)
    if match and _machine(match["machine"]):
        return Target(version, _machine(match["machine"]), _glibc_of(match) or glibc)
    if _machine(name):
        return Target(version, _machine(name), glibc)
    raise UsageError(
        f"--platform {platform!r:.60} is none that Debian has",
        cure="say a machine (arm64), or one with the oldest C library (manylinux_2_36_aarch64)",
    )


def _machine(name: str) -> str:
    return _MACHINES.get(name, name if name in _MACHINES.values() else "")


def _glibc_of(match: re.Match[str]) -> tuple[int, int] | None:
    if match["old"]:
        return _LEGACY[match["old"]]
    return (int(match["major"]), int(match["minor"])) if match["major"] else None


def _dotted(version: Iterable[int]) -> str:
    return ".".join(map(str, version))
