"""The machine under the figures: what it is, and whether a folder lies on a disk that can lose power.

Figures without their machine are gossip. Reads /proc and asks the kernel; changes nothing.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path

from bench.contestant import BenchError

# File systems that keep nothing: a durability figure taken there is a figure of memcpy.
MEMORY_FILE_SYSTEMS = frozenset({"tmpfs", "ramfs", "devtmpfs", "hugetlbfs"})


def describe_machine(folder: Path) -> dict[str, str]:
    """Return the machine, its software and the file system of ``folder`` as readable facts."""
    return {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": _memory(),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "libraries": ", ".join(f"{name} {_version(name)}" for name in ("uvloop", "msgspec")),
        "file system": file_system(folder),
        "device": device(folder),
        "load before": f"{os.getloadavg()[0]:.2f}",
    }


def file_system(folder: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """Return the type of the file system of ``folder``, for example ``ext4``."""
    return _mounted(folder, mounts)[0]


def device(folder: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """Return what the file system of ``folder`` lies on, for example ``/dev/vda``."""
    return _mounted(folder, mounts)[1]


def _mounted(folder: Path, mounts: Path) -> tuple[str, str]:
    """Return type and device of what holds ``folder`` (proc(5), mountinfo: the longest mount wins)."""
    target = folder.resolve()
    best, found = "", ("unknown", "unknown")
    for line in mounts.read_text().splitlines():
        head, _, tail = line.partition(" - ")
        mount = _unescaped(head.split()[4])
        # ">=": a later mount on the same point hides the earlier one.
        if target.is_relative_to(mount) and len(mount) >= len(best):
            kind, source, *_ = tail.split()
            best, found = mount, (kind, source)
    return found


def require_disk(folder: Path) -> None:
    """Raise BenchError if ``folder`` lies in memory: no durability figure is taken there."""
    kind = file_system(folder)
    if kind in MEMORY_FILE_SYSTEMS:
        raise BenchError(f"{folder} is on {kind}, which keeps nothing; name a folder on a disk with --work")


def _unescaped(path: str) -> str:
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        path = path.replace(code, char)
    return path


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory() -> str:
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
