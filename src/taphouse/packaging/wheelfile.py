"""Wheelfile: what one wheel brings, unpacked as an installer would, and believed in nothing.

https://packaging.python.org/en/latest/specifications/binary-distribution-format/
The archive may come from anywhere: each name, size and sum is checked before a
byte of it is used, and nothing of it is written or run.  This module must never
know what the wheel is wanted for.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from email.parser import HeaderParser
from typing import Final, NoReturn

from taphouse.errors import ConfigurationError
from taphouse.packaging.markers import normal_name
from taphouse.value import Value

__all__ = ["WheelFile", "WheelName", "parse_wheel_name", "wheel_sum"]

_NAME: Final = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._]*)-(?P<version>[A-Za-z0-9_.!+]+)(?:-(?P<build>\d[A-Za-z0-9_.]*))?"
    r"-(?P<python>[a-z0-9_.]+)-(?P<abi>[a-z0-9_.]+)-(?P<platform>[A-Za-z0-9_.]+)\.whl"
)
_MOST_FILES: Final = 100_000
_MOST_BYTES: Final = 2 << 30
_LONGEST_TEXT: Final = 32 << 20  # of METADATA, WHEEL and RECORD, which are read at once
_MOST_TAGS: Final = 1000
_SUMS: Final = {"sha256", "sha384", "sha512"}  # the specification forbids weaker ones
_UNSUMMED: Final = {"RECORD", "RECORD.jws", "RECORD.p7s"}
_OUTSIDE: Final = {"scripts", "headers", "data"}  # what .data has besides modules
_BROKEN: Final = (
    zipfile.BadZipFile, zlib.error, EOFError, ValueError, struct.error, OverflowError, NotImplementedError,
    RuntimeError, KeyError, IndexError, csv.Error,
)  # fmt: skip


class WheelName(Value):
    """What the name of a wheel's file tells.

    Args:
        name: of the distribution, as it is written.
        version: its version.
        build: its build, of two wheels that fit alike the higher counts.
        tags: each combination of ``cp311.cp312-abi3-any``.
    """

    name: str
    version: str
    build: tuple[int, str]
    tags: tuple[str, ...]


class _Entry(Value):
    """A file in the archive that is shipped."""

    inner: str
    size: int
    sum: str
    is_executable: bool


def parse_wheel_name(path: str | os.PathLike[str]) -> WheelName:
    """Read the name of a wheel's file.

    Raises:
        ConfigurationError: it is none.
    """
    file = os.path.basename(os.fspath(path))
    match = _NAME.fullmatch(file)
    if match is None:
        raise ConfigurationError(
            f"{file!r:.200} is no name of a wheel", cure="keep the name that the index or pip has given it"
        )
    parts = [match[part].split(".") for part in ("python", "abi", "platform")]
    if len(parts[0]) * len(parts[1]) * len(parts[2]) > _MOST_TAGS:
        raise ConfigurationError(f"{file:.200}: has too many tags")
    tags = [f"{python}-{abi}-{place}" for python in parts[0] for abi in parts[1] for place in parts[2]]
    digits = re.match(r"\d{1,18}", match["build"] or "0")
    build = (int(digits[0]) if digits else 0, match["build"] or "")
    return WheelName(match["name"], match["version"], build, tuple(dict.fromkeys(tags)))


def wheel_sum(path: str | os.PathLike[str], kind: str = "sha256") -> str:
    """Return the sum of a wheel as a requirements file has it: ``sha256:0123...``.

    Raises:
        ConfigurationError: it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return f"{kind}:{hashlib.file_digest(file, kind).hexdigest()}"
    except OSError as error:
        raise _unreadable(path, error) from error


class WheelFile:
    """A wheel whose directory and RECORD have been checked; its files are checked as they are read.

    Args:
        path: the file.

    Raises:
        ConfigurationError: it cannot be read, or is no whole and honest wheel.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        told = parse_wheel_name(self.path)
        self.name = told.name
        self.tags = told.tags
        self.outside: list[str] = []
        """Files that lie beside the modules (commands, headers, data), which are not shipped."""
        self._entries: dict[str, _Entry] = {}
        with self._opened() as archive:
            infos = self._directory(archive)
            self._info = self._find_info(infos)
            self.metadata = self._headers(archive, infos, "METADATA")
            self._check_said(told, self._headers(archive, infos, "WHEEL"))
            sums = self._record(self._text(archive, infos, "RECORD"))
            self._take(infos, sums)
        self.version = str(self.metadata["Version"])

    @property
    def requires(self) -> list[str]:
        """The lines ``Requires-Dist``."""
        return [str(line) for line in self.metadata.get_all("Requires-Dist") or ()]

    @property
    def modules(self) -> set[str]:
        """The top-level modules and packages that it brings."""
        tops = {place.partition("/")[0] for place in self._entries}
        return {top.partition(".")[0] for top in tops if not top.endswith((".dist-info", ".pth"))}

    @property
    def path_files(self) -> list[str]:
        """The ``.pth`` files that it brings, which Python does not read where packages are started."""
        return sorted(place for place in self._entries if "/" not in place and place.endswith(".pth"))

    def files(self) -> Iterator[tuple[str, bytes, bool]]:
        """Yield each file: its path from the folder of modules, its bytes, whether it is a program.

        Raises:
            ConfigurationError: the bytes are not those that RECORD has.
        """
        with self._opened() as archive:
            for place, entry in sorted(self._entries.items()):
                content = archive.read(entry.inner)
                kind, _, digest = entry.sum.partition("=")
                found = base64.urlsafe_b64encode(hashlib.new(kind, content).digest()).rstrip(b"=").decode()
                if found != digest or len(content) != entry.size:
                    self._refuse(f"{entry.inner} is not what its RECORD says")
                yield place, content, entry.is_executable

    @contextmanager
    def _opened(self) -> Iterator[zipfile.ZipFile]:
        try:
            with zipfile.ZipFile(self.path) as archive:
                yield archive
        except OSError as error:
            raise _unreadable(self.path, error) from error
        except _BROKEN as error:
            self._refuse(f"{type(error).__name__}: {error}")

    def _refuse(self, why: str) -> NoReturn:
        raise ConfigurationError(f"{self.path}: is no whole wheel: {why:.300}", cure="fetch it again")

    def _directory(self, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
        """Return the files by name, after a look at what the archive claims of each."""
        infos = archive.infolist()
        if len(infos) > _MOST_FILES:
            self._refuse(f"it has more than {_MOST_FILES} files")
        if sum(info.file_size for info in infos) > _MOST_BYTES:
            self._refuse(f"it unpacks to more than {_MOST_BYTES >> 20} MiB")
        if sum(info.compress_size for info in infos) > os.path.getsize(self.path):
            self._refuse("its files overlap")  # a bomb: the same bytes unpacked again and again
        found: dict[str, zipfile.ZipInfo] = {}
        for info in infos:
            name = info.orig_filename
            self._check_name(name)
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
                self._refuse(f"{name!r} is a link or a device")
            if info.flag_bits & 0x1:
                self._refuse(f"{name!r} is encrypted")
            if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                self._refuse(f"{name!r} is packed in a way that wheels are not")
            if name.endswith("/"):
                continue
            if name in found:
                self._refuse(f"{name!r} is in it twice")
            found[name] = info
        return found

    def _check_name(self, name: str) -> None:
        parts = name.removesuffix("/").split("/")
        wrong = any(part in {"", ".", ".."} for part in parts) or "\\" in name or not name.isprintable()
        if wrong or re.match(r"[A-Za-z]:", name):
            self._refuse(f"{name!r} would be unpacked somewhere else")

    def _find_info(self, infos: dict[str, zipfile.ZipInfo]) -> str:
        folders = {name.partition("/")[0] for name in infos if "/" in name}
        found = sorted(folder for folder in folders if folder.endswith(".dist-info"))
        if len(found) != 1:
            self._refuse(f"it has {len(found)} folders .dist-info, not 1")
        return found[0]

    def _text(self, archive: zipfile.ZipFile, infos: dict[str, zipfile.ZipInfo], name: str) -> str:
        info = infos.get(f"{self._info}/{name}")
        if info is None:
            self._refuse(f"it has no {name}")
        if info.file_size > _LONGEST_TEXT:
            self._refuse(f"its {name} is too long")
        return archive.read(info).decode("utf-8")

    def _headers(self, archive: zipfile.ZipFile, infos: dict[str, zipfile.ZipInfo], name: str) -> Message:
        return HeaderParser().parsestr(self._text(archive, infos, name))

    def _check_said(self, told: WheelName, wheel: Message) -> None:
        """Compare what the file's name, the folder's name, METADATA and WHEEL say."""
        name, version = str(self.metadata["Name"] or ""), str(self.metadata["Version"] or "")
        stem = self._info.removesuffix(".dist-info")
        names = {normal_name(told.name), normal_name(name), normal_name(stem.partition("-")[0])}
        if len(names) > 1 or _loose(version) != _loose(told.version):
            self._refuse(f"inside it is {name or '?'} {version or '?'}")
        if str(wheel["Wheel-Version"] or "").partition(".")[0].strip() != "1":
            self._refuse(f"it is of version {wheel['Wheel-Version']} of the format")

    def _record(self, text: str) -> dict[str, tuple[str, str]]:
        """Return path -> sum, size."""
        found: dict[str, tuple[str, str]] = {}
        for row in csv.reader(io.StringIO(text, newline="")):
            if not row:
                continue
            if len(row) != 3:
                self._refuse("a line of its RECORD has not three parts")
            if found.setdefault(row[0], (row[1], row[2])) != (row[1], row[2]):
                self._refuse(f"{row[0]!r} is in its RECORD twice")
        return found

    def _take(self, infos: dict[str, zipfile.ZipInfo], sums: dict[str, tuple[str, str]]) -> None:
        """Find where each file goes, and its sum."""
        for name in sums.keys() - infos.keys():
            self._refuse(f"{name!r} is in its RECORD and not in it")
        for name, info in infos.items():
            if name in {f"{self._info}/{unsummed}" for unsummed in _UNSUMMED}:
                continue
            kind, size = sums.get(name, ("", ""))
            if kind.partition("=")[0] not in _SUMS:
                self._refuse(f"{name!r} has no sum in its RECORD")
            if size and size != str(info.file_size):
                self._refuse(f"{name!r} has another size than in its RECORD")
            place = self._place(name)
            if not place:
                self.outside.append(name)
                continue
            if place in self._entries:
                self._refuse(f"{place!r} is in it twice")
            executable = bool(info.external_attr >> 16 & 0o111)
            self._entries[place] = _Entry(info.filename, info.file_size, kind, executable)

    def _place(self, name: str) -> str:
        """Return where an installer puts a file, from the folder of modules; "" if somewhere else."""
        data = f"{self._info.removesuffix('.dist-info')}.data/"
        if not name.startswith(data):
            return name
        kind, _, rest = name.removeprefix(data).partition("/")
        if not rest or kind not in {"purelib", "platlib"} | _OUTSIDE:
            self._refuse(f"{name!r} is for no place that is known")
        return "" if kind in _OUTSIDE else rest


def _loose(version: str) -> str:
    return re.sub(r"[-_.]+", ".", version.strip().lower().removeprefix("v"))


def _unreadable(path: str | os.PathLike[str], error: OSError) -> ConfigurationError:
    return ConfigurationError(f"{os.fspath(path)}: cannot be read: {error.strerror or error}")
