"""Debian systems as folders, to boot or to run a command in: made once for a checkout, never written into.

mmdebstrap makes them from the machine's own archive of packages.  What the network, the kernel or the
machine refuses is a loud skip; it is nobody's fault here.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from playground import why_no_mounts

_ROOTS = Path(sys.prefix) / "roots"
_TRIES = 3
_MAKING_S = 480.0  # in all; a test that takes 1200 is ended
_REFUSED_FOR_S = 1800.0
_PATIENCE_S = 600.0
_SYSTEM = (
    *("systemd-sysv", "systemd", "dbus", "init-system-helpers", "libpam-systemd"),
    *("procps", "iproute2", "python3", "netcat-openbsd"),
)
_RECIPES = {
    # name of the root -> Debian's name of the release, packages
    "bookworm": ("bookworm", _SYSTEM),
    "trixie": ("trixie", (*_SYSTEM, "python3-venv")),
    "trixie-lintian": ("trixie", ("lintian", "python3-minimal")),
}


def not_run(reason: str) -> None:
    """Skip a proof so that nobody can take it for one that was had."""
    pytest.skip(f"NOT RUN: {reason}")


@functools.cache
def why_no_roots() -> str:
    """Return why no system can be made and entered here; empty if it can."""
    if os.geteuid() != 0:
        return "only root may make and boot a Debian system"
    for tool, package in (("mmdebstrap", "mmdebstrap"), ("systemd-nspawn", "systemd-container")):
        if not shutil.which(tool):
            return f"there is no {tool}: apt-get install {package}"
    return why_no_mounts()


@functools.cache
def debian_root(name: str) -> Path:
    """Return the folder of ``bookworm``, ``trixie`` or ``trixie-lintian``; skip if it cannot be made."""
    if reason := why_no_roots():
        not_run(reason)
    release, packages = _RECIPES[name]
    recipe = hashlib.sha256(" ".join((release, *packages)).encode()).hexdigest()[:8]
    _ROOTS.mkdir(exist_ok=True)
    with (_ROOTS / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = _ROOTS / f"{name}-{recipe}"
        refusal = _ROOTS / f"{name}.refused"
        if not folder.exists():
            if refusal.exists() and time.time() - refusal.stat().st_mtime < _REFUSED_FOR_S:
                not_run(refusal.read_text())
            for old in (*_ROOTS.glob(f"{name}-????????"), *_ROOTS.glob(f"{name}.part*")):
                shutil.rmtree(old)
            part = _ROOTS / f"{name}.part-{os.getpid()}"
            if reason := _why_not_made(release, packages, part):
                # The next test need not wait as long for the same answer.
                refusal.write_text(reason)
                not_run(reason)
            part.rename(folder)
    return folder


def _why_not_made(release: str, packages: Sequence[str], folder: Path) -> str:
    """Make a system; return why it could not be made, if so."""
    command = ["mmdebstrap", "--quiet", "--variant=apt", "--mode=root", f"--include={','.join(packages)}"]
    said, began = "", time.monotonic()
    for _ in range(_TRIES):
        # A folder that failed cannot be gone on with.
        shutil.rmtree(folder, ignore_errors=True)
        left_s = began + _MAKING_S - time.monotonic()
        if left_s < 1:
            break
        # Told to end rather than killed, it takes what it has started along.
        done = subprocess.run(
            ["timeout", "--kill-after=10", f"{left_s:.0f}", *command, release, str(folder)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if done.returncode == 0:
            return ""
        said = done.stderr.strip() or f"no end after {left_s:.0f} s"
    shutil.rmtree(folder, ignore_errors=True)
    return f"mmdebstrap makes no {release} here: {said[-500:]}"


_OVER = """
    set -e
    layer=$1 root=$2; shift 2
    mount -t tmpfs -o mode=755 tmpfs "$layer"
    mkdir "$layer/up" "$layer/work" "$layer/root"
    mount -t overlay overlay -o "lowerdir=$root,upperdir=$layer/up,workdir=$layer/work" "$layer/root"
    exec sh -c "$ENTER" sh "$layer/root" "$@"
"""
_ENTER = """
    set -e
    root=$1 files=$2; shift 2
    mkdir -p "$root/files"
    mount --bind "$files" "$root/files"
    mount -t proc proc "$root/proc"
    exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \\
        DEBFULLNAME="Ann Author" DEBEMAIL=ann@example.org \\
        sh -c 'cd /files && exec "$@"' sh "$@"
"""


def run_in_root(
    root: Path, files: Path, *command: str, change: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run a command in a system that is not booted and has no network.

    Args:
        root: from `debian_root`.
        files: the folder that is its ``/files``, where it runs.
        command: its words.
        change: let it write into the system, a copy of a root then; else all but ``files`` is as before.
    """
    with tempfile.TemporaryDirectory(prefix="taphouse-layer-") as layer:
        script = ("sh", "-c", _ENTER, "sh") if change else ("sh", "-c", _OVER, "sh", layer)
        return subprocess.run(
            [
                *("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", *script),
                *(str(root), str(files), *command),
            ],
            env={**os.environ, "ENTER": _ENTER},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
        )
