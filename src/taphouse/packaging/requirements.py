"""Requirements: a requirements file in which everything has its version and its sums.

The format of pip, as far as a locked file needs it; what ``uv pip compile
--generate-hashes``, ``pip-compile --generate-hashes`` and the exports of other
tools write.  This module must never fetch anything, nor know which wheels there are.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Final

from taphouse.errors import ConfigurationError
from taphouse.packaging.markers import counts, normal_name
from taphouse.value import Value

__all__ = ["Lock", "Locked", "parse_lock", "read_lock"]

_HOW: Final = "pin it with its sums: uv pip compile --generate-hashes, or pip-compile --generate-hashes"
_LINE: Final = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[(?P<extras>[^\]]*)\])?\s*"
    r"(?P<rest>@\s*\S+|[^;@\s][^;]*)?\s*(?:;(?P<marker>.*))?"
)
_PINNED: Final = re.compile(r"={2,3}\s*(?P<version>[A-Za-z0-9][A-Za-z0-9_.!+-]*)")
_SUM: Final = re.compile(r"\s--hash(?:=|\s+)(\S+)")
_SUMS: Final = {"sha256": 64, "sha384": 96, "sha512": 128}
# Where packages come from is pip's to know, and is handed to it.
_INDEX_OPTIONS: Final = (
    "-i",
    "--index-url",
    "--extra-index-url",
    "-f",
    "--find-links",
    "--no-index",
    "--trusted-host",
)
_PASSED_OVER: Final = ("--require-hashes", "--only-binary", "--no-binary", "--prefer-binary", "--pre")
_LONGEST: Final = 32 << 20


class Locked(Value):
    """A distribution that the file wants.

    Args:
        name: as it is written.
        version: exactly this.
        extras: of it.
        marker: when it is wanted, "" for always.
        sums: ``sha256:0123...`` of each of its files that will do.
        line: its number, from 1.
    """

    name: str
    version: str
    extras: frozenset[str]
    marker: str
    sums: frozenset[str]
    line: int

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


class Lock(Value):
    """A requirements file.

    Args:
        path: what messages call it.
        wanted: in the order of the file.
        options: its lines that say where packages come from, for pip.
    """

    path: str
    wanted: tuple[Locked, ...]
    options: tuple[str, ...] = ()

    def counting(self, values: Mapping[str, str]) -> list[Locked]:
        """Return what is wanted where markers have these values.

        Raises:
            ConfigurationError: a marker cannot be understood, or a name has two versions.
        """
        found: dict[str, Locked] = {}
        for wanted in self.wanted:
            try:
                is_wanted = counts(wanted.marker, "", values)
            except ConfigurationError as error:
                raise self.fault(wanted.line, error.message) from error
            if not is_wanted:
                continue
            other = found.setdefault(normal_name(wanted.name), wanted)
            if other.version != wanted.version:
                raise self.fault(wanted.line, f"{other} is wanted already, by line {other.line}")
            if other is not wanted:
                found[normal_name(wanted.name)] = Locked(
                    wanted.name,
                    wanted.version,
                    wanted.extras | other.extras,
                    "",
                    wanted.sums | other.sums,
                    wanted.line,
                )
        return list(found.values())

    def fault(self, line: int, what: str, cure: str = "") -> ConfigurationError:
        """Return the error for a line."""
        return ConfigurationError(f"{self.path}, line {line}: {what}", cure=cure)


def read_lock(path: str | os.PathLike[str]) -> Lock:
    """Read a requirements file.

    Raises:
        ConfigurationError: it cannot be read, or a line leaves open what would be shipped.
    """
    name = os.fspath(path)
    try:
        with open(name, "rb") as file:
            content = file.read(_LONGEST + 1)
    except OSError as error:
        raise ConfigurationError(
            f"{name}: cannot be read: {error.strerror}", cure="look at --requirements"
        ) from error
    try:
        if len(content) > _LONGEST or b"\0" in content:
            raise ValueError
        text = content.decode("utf-8-sig")
    except ValueError as error:
        raise ConfigurationError(f"{name}: is no requirements file", cure="look at --requirements") from error
    return parse_lock(text, name)


def parse_lock(text: str, path: str) -> Lock:
    """Read the text of a requirements file; ``path`` is what messages call it.

    Raises:
        ConfigurationError: a line leaves open what would be shipped.
    """
    blank = Lock(path, ())
    wanted: list[Locked] = []
    options: list[str] = []
    for number, line in _logical_lines(text):
        if line.startswith("-"):
            options += _read_option(blank, number, line)
        else:
            wanted.append(_read_line(blank, number, line))
    if not wanted:
        raise ConfigurationError(f"{path}: wants nothing", cure=f"list what the server needs; {_HOW}")
    return Lock(path, tuple(wanted), tuple(options))


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield lines with their numbers: continued ones joined, without comments."""
    parts: list[str] = []
    first = 0
    for number, line in enumerate([*text.splitlines(), ""], 1):
        is_comment = line.lstrip().startswith("#")
        first = first if parts else number
        if line.endswith("\\") and not is_comment:
            parts.append(line[:-1])
            continue
        parts.append(f" {line}" if is_comment else line)
        joined = re.sub(r"(?:^|\s)#.*$", "", " ".join(parts)).strip()
        parts = []
        if joined:
            yield first, joined


def _read_option(lock: Lock, number: int, line: str) -> list[str]:
    option = re.split(r"[=\s]", line, maxsplit=1)[0]
    if option in _INDEX_OPTIONS:
        return [line]
    if option in _PASSED_OVER:
        return []
    if option in {"-e", "--editable"}:
        raise lock.fault(
            number,
            "an editable requirement is a pointer to a folder",
            f"build its wheel for --wheels; {_HOW}",
        )
    if option in {"-r", "--requirement", "-c", "--constraint"}:
        raise lock.fault(number, f"{option} names another file", "compile all into one file")
    raise lock.fault(number, f"option {option:.60} is not for a locked file", "remove the line")


def _read_line(lock: Lock, number: int, line: str) -> Locked:
    sums = frozenset(_SUM.findall(line))
    line = _SUM.sub("", line)
    if re.match(r"(?:\w+\+)?\w+://|git@|\.{0,2}/|.*\.whl$", line):
        raise lock.fault(
            number, f"{line:.100} is an address or a file", "put its wheel into the folder of --wheels"
        )
    match = _LINE.fullmatch(line.strip())
    if match is None:
        raise lock.fault(
            number, f"{line:.100} is not understood", "write it as NAME==VERSION --hash=sha256:..."
        )
    rest = (match["rest"] or "").strip()
    if rest.startswith("@"):
        raise lock.fault(
            number, f"{match['name']} comes from an address", "put its wheel into the folder of --wheels"
        )
    pinned = _PINNED.fullmatch(rest.removeprefix("(").removesuffix(")").strip())
    if pinned is None:
        raise lock.fault(number, f"{match['name']}{rest:.60} is not one version", _HOW)
    if not sums:
        raise lock.fault(number, f"{match['name']} has no --hash", _HOW)
    for found in sums:
        kind, _, digits = found.partition(":")
        if not re.fullmatch(r"[0-9a-f]+", digits) or _SUMS.get(kind) != len(digits):
            raise lock.fault(number, f"{found:.80} is no sha256, sha384 or sha512", _HOW)
    extras = frozenset(
        normal_name(extra.strip()) for extra in (match["extras"] or "").split(",") if extra.strip()
    )
    return Locked(match["name"], pinned["version"], extras, (match["marker"] or "").strip(), sums, number)
