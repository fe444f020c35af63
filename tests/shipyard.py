"""Where packages are built from: taphouse installed whole, as its users have it, not as its authors do.

Made once for a state of the sources, in the virtual environment that runs the tests, and shared by all
workers.  Nothing is fetched: taphouse's own wheel is built with the setuptools of the environment that
runs the tests, and what it depends on is copied from there, where pip has put it.
"""

from __future__ import annotations

import base64
import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import Distribution, PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import pytest

from taphouse.packaging import Environment

TOP = Path(__file__).resolve().parents[1]
_HOME = Path(sys.prefix)
_TRIES = 3
_PATIENCE_S = 600.0
_held: list[int] = []  # descriptors whose locks last as long as this process


class Shipyard(NamedTuple):
    """A virtual environment that nobody changes."""

    folder: Path

    @property
    def bin(self) -> Path:
        """Where its commands are: ``tap2deb``, ``mktap``, ``tap``."""
        return self.folder / "bin"

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.bin / "python"

    def run(
        self, *command: str, cwd: Path, status: int | None = 0, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run one of its commands to the end.

        Args:
            command: its words.
            cwd: where.
            status: the exit status it has to have; ``None`` for any.
            environment: more than a bare one.
        """
        done = subprocess.run(
            [str(self.bin / command[0]), *command[1:]],
            cwd=cwd,
            env={**bare_environment(), **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_PATIENCE_S,
        )
        if status is not None and done.returncode != status:
            raise AssertionError(
                f"{' '.join(command)}: status {done.returncode}, not {status}\n{done.stdout}{done.stderr}"
            )
        return done


def bare_environment() -> dict[str, str]:
    """Return an environment that nothing of a tester's own gets into."""
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "HOME": "/nonexistent",
        "LC_ALL": "C.UTF-8",
        "DEBFULLNAME": "Ann Author",
        "DEBEMAIL": "ann@example.org",
    }


@functools.cache
def open_shipyard(*extras: str) -> Shipyard:
    """Return taphouse as it is now, installed with some of its extras (``"web"``) and no others.

    Skips the test loudly if its wheel cannot be built: setuptools is too old here, and pip gets no other.
    """
    wanted = _sum_of_sources()
    name = "-".join(["shipyard", wanted, *sorted(extras)])
    with _locked(_HOME / "shipyard.lock", fcntl.LOCK_EX):
        folder = _HOME / name
        if not (folder / "whole").exists():
            _remove_old(wanted)
            shutil.rmtree(folder, ignore_errors=True)
            _install(folder, _build_wheel(wanted), extras)
            (folder / "whole").touch()
        _held.append(_open_locked(folder / "used.lock", fcntl.LOCK_SH))
    return Shipyard(folder)


def _install(folder: Path, wheel: Path, extras: tuple[str, ...]) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    packages = folder / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    wanted = f"taphouse[{','.join(extras)}]" if extras else "taphouse"
    for found in Environment().closure([wanted]):
        if found.metadata["Name"] != "taphouse":
            _copy(found, packages)
    _pip("--python", str(folder / "bin/python"), "install", "--no-deps", "--no-index", str(wheel))


def _copy(found: Distribution, packages: Path) -> None:
    for file in found.files or ():
        source = Path(str(found.locate_file(file)))
        if ".." not in file.parts and source.is_file():
            target = packages / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def _build_wheel(wanted: str) -> Path:
    """Return a wheel of the sources as they are; objects of C that did not change are not made again."""
    wheels = _HOME / f"shipyard-{wanted}.wheels"
    done = [path for path in wheels.glob("*.whl") if zipfile.is_zipfile(path)]
    if done:
        return done[0]
    stage, unfinished = _HOME / "shipyard.stage", _HOME / "shipyard.unfinished"
    if unfinished.exists():  # who was killed while something was compiled may have left half of it
        shutil.rmtree(stage, ignore_errors=True)
    unfinished.touch()
    stage.mkdir(exist_ok=True)
    wanted_files = {path.relative_to(TOP) for path in _sources()}
    for path in [path for path in stage.rglob("*") if path.is_file()]:
        inner = path.relative_to(stage)
        if not (inner in wanted_files or path.suffix in {".o", ".so"}):
            path.unlink()
    for inner in wanted_files:
        source, target = TOP / inner, stage / inner
        if not target.exists() or target.read_bytes() != source.read_bytes():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    shutil.rmtree(wheels, ignore_errors=True)
    alone = ["--no-index", "--no-build-isolation"] if _has_setuptools() else []
    _pip("wheel", "--no-deps", *alone, "--wheel-dir", str(wheels), str(stage))
    unfinished.unlink()
    return next(wheels.glob("*.whl"))


def _has_setuptools() -> bool:
    """Say whether this environment can build a wheel; the extra ``dev`` brings what that takes."""
    try:
        return int(version("setuptools").partition(".")[0]) >= 77
    except (PackageNotFoundError, ValueError):
        return False


def _pip(*words: str) -> None:
    # Without an index of another's choice it is asked up to three times; an outage is nobody's fault here.
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", *words]
    for _ in range(_TRIES):
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PATIENCE_S)
        if done.returncode == 0:
            return
    said = f"{done.stdout}{done.stderr}".strip()
    if "No matching distribution found for setuptools" in said or "Connection" in said:
        pytest.skip(f"NOT RUN: pip gets nothing to build taphouse's wheel with: {said[-300:]}")
    raise AssertionError(f"{' '.join(words)}\n{said}")


def _sources() -> list[Path]:
    found = [TOP / name for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE")]
    found += (TOP / "docs/man").glob("*.1")
    for path in (TOP / "src/taphouse").rglob("*"):
        if path.suffix in {".py", ".c", ".h", ".1", ".typed"} and "__pycache__" not in path.parts:
            found.append(path)
    return sorted(found)


def _sum_of_sources() -> str:
    # The environment's own place, too: its commands and that of what is made in it name it.
    total = hashlib.sha256(f"{sys.version} {_HOME}".encode())
    for path in [Path(__file__), *_sources()]:
        total.update(f"{path.name} {path.stat().st_size}\n".encode())
        total.update(path.read_bytes())
    return base64.b32encode(total.digest())[:12].decode().lower()


def _remove_old(wanted: str) -> None:
    """Remove what was made of other sources, unless a process uses it."""
    for path in _HOME.glob("shipyard-*"):
        if wanted in path.name:
            continue
        if path.suffix == ".wheels" or not (path / "used.lock").exists():
            shutil.rmtree(path, ignore_errors=True)
            continue
        try:
            held = _open_locked(path / "used.lock", fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue
        shutil.rmtree(path, ignore_errors=True)
        os.close(held)


@contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    held = _open_locked(path, how)
    try:
        yield
    finally:
        os.close(held)


def _open_locked(path: Path, how: int) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, how)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
