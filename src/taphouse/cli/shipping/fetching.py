"""Fetching: wheels that a requirements file locks, through pip, for any machine.

pip knows the indexes, their mirrors and passwords, and compares the sums; it is run
as a command of this environment.  What was fetched stays in the cache, and is known by
its sum.  This module must never install anything.
"""

from __future__ import annotations

import os
import re
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import Final, TextIO
from urllib.parse import unquote

from taphouse.errors import CannotCreateError, ConfigurationError
from taphouse.packaging import Lock, Locked, Target, normal_name, parse_wheel_name

__all__ = ["fetch_wheels"]

_QUIET_S: Final = 1.0
_CURE: Final = "fetch it where there is a way to it, and name its folder by --wheels"
_UNREACHED: Final = re.compile(r"Retrying \(|connection|timed out|timeout|proxy|resolve|SSL", re.IGNORECASE)
_MOST_TOLD: Final = 8


def fetch_wheels(
    lock: Lock, wanted: Sequence[Locked], target: Target, folder: str, *, stream: TextIO | None = None
) -> None:
    """Fetch wheels into a folder, all or none.

    Args:
        lock: says where packages come from.
        wanted: which.
        target: what they have to fit.
        folder: where to.
        stream: where it is said if it takes longer than a second; standard error if not given.

    Raises:
        ConfigurationError: there is no pip, no such wheel, no way to it, or it has another sum.
        CannotCreateError: the folder cannot be written.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=folder) as scratch:
            _download(lock, wanted, target, scratch, stream or sys.stderr)
            for name in sorted(os.listdir(scratch)):
                if name.endswith(".whl"):
                    os.replace(os.path.join(scratch, name), os.path.join(folder, name))
    except OSError as error:
        raise CannotCreateError(
            f"{folder}: {error.strerror or error}", cure="make room, or set XDG_CACHE_HOME to another folder"
        ) from error


def _download(lock: Lock, wanted: Sequence[Locked], target: Target, scratch: str, stream: TextIO) -> None:
    listed = os.path.join(scratch, "requirements.txt")
    with open(listed, "w", encoding="utf-8") as file:
        file.writelines(f"{option}\n" for option in lock.options)
        for one in wanted:
            sums = "".join(f" --hash={found}" for found in sorted(one.sums))
            file.write(f"{one.name}=={one.version}{sums}\n")
    words = [*_pip_words(target), "--require-hashes", "--dest", scratch, "--requirement", listed]
    status, said = _run(words, lock, len(wanted), stream)
    if status:
        raise _reason(said, lock, wanted, target)


def _pip_words(target: Target) -> list[str]:
    # pip derives no tag from another: manylinux_2_36 alone would miss manylinux2014.
    platforms = [word for platform in target.platforms() for word in ("--platform", platform)]
    version = ".".join(map(str, target.python))
    return [
        *(sys.executable, "-P", "-m", "pip", "--disable-pip-version-check", "--no-input", "--no-color"),
        *("download", "--no-deps", "--only-binary", ":all:", "--implementation", "cp"),
        *("--python-version", version),
        *platforms,
    ]


def _run(words: Sequence[str], lock: Lock, count: int, stream: TextIO) -> tuple[int, str]:
    """Run pip, tell of what takes long, and return its status and what it has said."""
    # A relative folder of packages in the file is meant from where that file lies.
    above = os.path.dirname(os.path.abspath(lock.path))
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "LC_ALL": "C.UTF-8"}
    with subprocess.Popen(
        words,
        cwd=above,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as pip:
        try:
            assert pip.stdout is not None
            said = "\n".join(_told(_lines(pip.stdout.fileno()), count, stream))
            return pip.wait(), said
        finally:
            pip.kill()


def _lines(descriptor: int) -> Iterator[str]:
    """Yield what comes by lines, and "" when nothing has come for a while."""
    rest = b""
    with selectors.DefaultSelector() as waiting:
        waiting.register(descriptor, selectors.EVENT_READ)
        while True:
            if not waiting.select(_QUIET_S):
                yield ""
                continue
            block = os.read(descriptor, 1 << 16)
            if not block:
                yield rest.decode("utf-8", "replace")
                return
            *whole, rest = (rest + block).split(b"\n")
            yield from (line.decode("utf-8", "replace") for line in whole)


def _told(lines: Iterator[str], count: int, stream: TextIO) -> Iterator[str]:
    """Pass lines on, and say how far pip has come: once, or on a terminal on one line that changes."""
    started = time.monotonic()
    is_terminal = stream.isatty()
    begun = 0
    telling = False
    for line in lines:
        begun += line.startswith("Collecting ")
        if time.monotonic() - started >= _QUIET_S and (is_terminal or not telling):
            telling = True
            text = f"fetching wheels: {begun} of {count}" if is_terminal else f"fetching {count} wheels"
            print(
                f"\r{text}" if is_terminal else text, end="" if is_terminal else "\n", file=stream, flush=True
            )
        if line:
            yield line
    if telling and is_terminal:
        print("\r\x1b[K", end="", file=stream, flush=True)


def _reason(said: str, lock: Lock, wanted: Sequence[Locked], target: Target) -> ConfigurationError:
    """Return what pip's refusal means."""
    if "No module named pip" in said:
        return ConfigurationError(
            f"there is no pip in {sys.prefix} to fetch wheels with",
            cure=f"python -m ensurepip, or {_CURE}",
        )
    by_name = {normal_name(one.name): one for one in wanted}
    missing = re.search(r"No matching distribution found for ([A-Za-z0-9._-]+)==", said)
    if missing and not _UNREACHED.search(said):
        one = by_name.get(normal_name(missing[1]), wanted[0])
        there = _there_is(one, lock, target)
        return lock.fault(
            one.line,
            f"{one} has no wheel for {target}; there is {there or 'none at all'}",
            "take another version of it, or another --platform or --python",
        )
    if "DO NOT MATCH THE HASHES" in said:
        found = re.search(r"^\s+([A-Za-z0-9._-]+)==\S+ from ", said, re.MULTILINE)
        one = by_name.get(normal_name(found[1]) if found else "", wanted[0])
        return lock.fault(
            one.line,
            f"the wheel of {one} for {target} has none of its sums",
            "lock it for that platform as well, with the sums of all its files",
        )
    errors = [line.partition("ERROR: ")[2] for line in said.splitlines() if "ERROR: " in line]
    lost = [line for line in said.splitlines() if _UNREACHED.search(line)]
    why = (errors or lost or said.splitlines() or ["it says nothing"])[-1]
    return ConfigurationError(f"pip cannot fetch {wanted[0]} and more: {why:.300}", cure=_CURE)


def _there_is(one: Locked, lock: Lock, target: Target) -> str:
    """Return the wheels of that version that the indexes have, with what each is for."""
    indexes = [word for option in lock.options for word in re.split(r"[=\s]+", option, maxsplit=1)]
    with tempfile.TemporaryDirectory() as scratch:
        words = [*_pip_words(target), "-vv", *indexes, "--dest", scratch, f"{one.name}=={one.version}"]
        _, said = _run(words, lock, 1, sys.stderr)
    names = dict.fromkeys(
        unquote(found)
        for found in re.findall(r"Skipping link: none of the wheel's tags.*?([^/\s]+\.whl)", said)
    )
    told = []
    for name in names:
        try:
            wheel = parse_wheel_name(name)
        except ConfigurationError:
            continue
        if normal_name(wheel.name) == normal_name(one.name) and wheel.version == one.version:
            told.append(f"{name} (for {target.misfit(wheel.tags)})")
    more = f" and {len(told) - _MOST_TOLD} more" if len(told) > _MOST_TOLD else ""
    return ", ".join(told[:_MOST_TOLD]) + more
