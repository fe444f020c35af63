"""Rootfs: what the layers of an image make together, seen without unpacking them.

OCI image-spec 1.1, layer.md: later layers hide earlier ones, and names that
begin with ``.wh.`` take away.  Nothing in a layer is believed: a name that leads
out, a device, a stream that ends too soon end it in a sentence.  This module
must never write a file.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import tarfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Final, Literal

from taphouse.errors import ConfigurationError
from taphouse.value import Value

__all__ = ["Place", "Rootfs"]

_WANTED: Final = re.compile(
    r"etc/(?:passwd|group|nsswitch\.conf|os-release)|usr/lib/os-release|var/lib/dpkg/status(?:\.d/[^/]+)?"
    r"|(?:.+/)?libc\.so\.6|(?:.+/)?libc-2\.\d+\.so"
)
# Every engine puts its own over them; tools that make root file systems leave them.
_DEVICES: Final = re.compile(r"dev/(?:null|zero|full|random|urandom|tty|console|ptmx)")
_MOST_BYTES: Final = 16 << 20  # of a file that is looked into
_MOST_LINKS: Final = 40  # as the kernel has it
_BLOCK: Final = 1 << 16
_WHITEOUT: Final = ".wh."
_OPAQUE: Final = ".wh..wh..opq"

Kind = Literal["file", "folder", "link"]


class Place(Value):
    """What is at a path.

    Args:
        kind: what it is.
        mode: permission bits.
        target: of a link.
        content: of a file that is looked into.
    """

    kind: Kind
    mode: int = 0o755
    target: str = ""
    content: bytes = b""


class Rootfs:
    """The files of an image, by path.

    Args:
        name: of the image, for messages.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._places: dict[str, Place] = {}

    def add_layer(self, layer: BinaryIO, digest: str) -> str:
        """Lay a layer over what is there, and return the digest of its archive as it is uncompressed.

        Args:
            layer: where to read it from, compressed with gzip or not at all.
            digest: what to call it in messages.

        Raises:
            ConfigurationError: it is broken, or holds what no image may.
        """
        where = f"{self._name}: layer {digest[:19]}"
        total = _Summed(_uncompressed(layer))
        opaque: list[str] = []
        removed: list[str] = []
        added: dict[str, Place] = {}
        try:
            with tarfile.open(fileobj=total, mode="r|") as archive:
                for member in archive:
                    path = _inner_path(member.name, where)
                    folder, _, name = path.rpartition("/")
                    if name == _OPAQUE:
                        opaque.append(folder)
                    elif name.startswith(_WHITEOUT):
                        removed.append(f"{folder}/{name.removeprefix(_WHITEOUT)}".strip("/"))
                    elif path:
                        added[path] = self._place(archive, member, path, where, added)
            total.read_rest()
        except (EOFError, OSError, zlib.error, tarfile.TarError, UnicodeError, ValueError) as error:
            raise ConfigurationError(
                f"{where} cannot be read: {str(error) or type(error).__name__}", cure="copy the image again"
            ) from error
        self._remove(removed, opaque)
        self._lay(added)
        return total.digest

    def resolve(self, path: str) -> str:
        """Return the path, without links, at which something lies or would lie when it is written.

        Raises:
            ConfigurationError: links lead in a circle, or the way leads through a file.
        """
        waiting = path.strip("/").split("/")[::-1]
        done: list[str] = []
        links = 0
        while waiting:
            part = waiting.pop()
            if part in {"", "."}:
                continue
            if part == "..":
                del done[-1:]
                continue
            place = self._places.get("/".join([*done, part]))
            if place is not None and place.kind == "link":
                links += 1
                if links > _MOST_LINKS:
                    raise ConfigurationError(f"{self._name}: /{path}: its links lead in a circle")
                if place.target.startswith("/"):
                    done.clear()
                waiting.extend(place.target.split("/")[::-1])
                continue
            if place is not None and place.kind == "file" and waiting:
                raise ConfigurationError(
                    f"{self._name}: /{'/'.join([*done, part])} is a file, where a folder is needed"
                )
            done.append(part)
        return "/".join(done)

    def get(self, path: str) -> Place | None:
        """Return what is at a path, links followed, or ``None``."""
        return self._places.get(self.resolve(path))

    def text(self, path: str) -> str:
        """Return the text of a file that is looked into, "" if it is not there."""
        place = self.get(path)
        return "" if place is None else place.content.decode("utf-8", "replace")

    def __iter__(self) -> Iterator[tuple[str, Place]]:
        """Yield paths and what is there, sorted."""
        return iter(sorted(self._places.items()))

    def _place(
        self,
        archive: tarfile.TarFile,
        member: tarfile.TarInfo,
        path: str,
        where: str,
        added: dict[str, Place],
    ) -> Place:
        mode = member.mode & 0o7777
        if member.isdir():
            return Place("folder", mode)
        if member.issym():
            return Place("link", 0o777, target=member.linkname)
        if member.islnk():
            target = _inner_path(member.linkname, where)
            there = added.get(target) or self._places.get(target)
            return there if there is not None and there.kind == "file" else Place("file", mode)
        if member.ischr() and _DEVICES.fullmatch(path):
            return Place("file", 0o666)
        if not member.isfile():
            raise ConfigurationError(
                f"{where}: /{path} is a device or a pipe, which no base needs", cure="take another base"
            )
        content = b""
        if _WANTED.fullmatch(path) and member.size <= _MOST_BYTES:
            file = archive.extractfile(member)
            content = b"" if file is None else file.read()
        return Place("file", mode, content=content)

    def _remove(self, paths: list[str], opaque: list[str]) -> None:
        for path in list(self._places):
            for gone in paths:
                if path == gone or path.startswith(f"{gone}/"):
                    self._places.pop(path, None)
            for folder in opaque:
                if path.startswith(f"{folder}/" if folder else ""):
                    self._places.pop(path, None)

    def _lay(self, added: dict[str, Place]) -> None:
        hidden = tuple(
            f"{path}/"
            for path, place in added.items()
            if place.kind != "folder" and (old := self._places.get(path)) is not None and old.kind == "folder"
        )
        if hidden:
            for path in [path for path in self._places if path.startswith(hidden)]:
                del self._places[path]
        for path, place in added.items():
            above = path.rpartition("/")[0]
            while above and above not in self._places and above not in added:
                self._places[above] = Place("folder")
                above = above.rpartition("/")[0]
            self._places[path] = place


class _Summed(io.RawIOBase):
    """A stream that is summed while it is read."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._total = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._total.update(data)
        return data

    def read_rest(self) -> None:
        """Read what stands behind the end of the archive."""
        while self.read(_BLOCK):
            pass

    @property
    def digest(self) -> str:
        return f"sha256:{self._total.hexdigest()}"


def _uncompressed(layer: BinaryIO) -> BinaryIO:
    first = layer.read(2)
    layer.seek(0)
    return gzip.open(layer) if first == b"\x1f\x8b" else layer  # type: ignore[return-value]


def _inner_path(name: str, where: str) -> str:
    """Return a member's path without ``./`` and slashes around it, "" for the root itself."""
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if ".." in parts or name.startswith("/") or "\0" in name:
        raise ConfigurationError(
            f"{where}: {name!r:.200} leads out of the image", cure="do not use this base: somebody forged it"
        )
    return "/".join(parts)
