"""Tarball: a tree as a tar archive whose bytes depend on nothing but the tree and one time.

GNU format, names sorted and beginning with ``./``, everything root's unless
somebody else is named.  xz and gzip are told everything that they would else
choose by themselves.  This module
must never know what the archive is for.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import tarfile
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from typing import BinaryIO, Final

from taphouse.errors import ConfigurationError, UsageError
from taphouse.packaging.tree import Node, Tree

__all__ = ["check_epoch", "gzipped", "write_tar", "xz_into"]

_EARLIEST: Final = (
    473385600  # 1 January 1985: lintian takes what was made in 1984 for a clock that was not set
)
_LATEST: Final = 4102444800  # 1 January 2100


def check_epoch(epoch: int) -> int:
    """Return ``epoch`` if it can be the time of all files of a package.

    Args:
        epoch: seconds since 1970.

    Raises:
        UsageError: before 1985 or after 2099.
    """
    if not _EARLIEST <= epoch < _LATEST:
        raise UsageError(
            f"{epoch} cannot be the time of a package's files",
            cure="give seconds since 1970 that lie between 1985 and 2099",
        )
    return epoch


def write_tar(
    tree: Tree,
    file: BinaryIO,
    epoch: int,
    sums: dict[str, str] | None = None,
    *,
    owners: Mapping[str, int] | None = None,
    leave_out: Container[str] = (),
) -> None:
    """Write ``tree`` as an uncompressed tar archive.

    Args:
        tree: what to write.
        file: where to.
        epoch: time of every file, seconds since 1970.
        sums: path -> MD5 that the content of each file must have, if it was read before.
        owners: path -> user and group, by number, of what is not root's.
        leave_out: paths that the archive does not hold; what lies in them it does.

    Raises:
        ConfigurationError: a file that is copied has changed since it was added or summed.
    """
    with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT, encoding="utf-8") as archive:
        archive.addfile(_info("./", Node(0o755), epoch))
        for path, node in tree:
            if path in leave_out:
                continue
            info = _info(f"./{path}", node, epoch, (owners or {}).get(path, 0))
            if not node.is_file:
                archive.addfile(info)
                continue
            content = _Blocks(node)
            archive.addfile(info, content)
            if sums is not None and content.md5() != sums.get(path):
                raise ConfigurationError(
                    f"{node.source or path}: changed while it was read", cure="build the package again"
                )


def _info(name: str, node: Node, epoch: int, owner: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.mtime = epoch
    info.uid = info.gid = owner
    # A name would count before the number, on a machine where somebody else has it.
    info.uname = info.gname = "" if owner else "root"
    info.mode = node.mode
    if node.target:
        info.type, info.linkname = tarfile.SYMTYPE, node.target
    elif node.is_file:
        info.size = node.size
    else:
        info.type = tarfile.DIRTYPE
    return info


class _Blocks(io.RawIOBase):
    """The content of a file as something that tarfile can read from, summed on the way."""

    def __init__(self, node: Node) -> None:
        self._blocks = node.read()
        self._rest = b""
        self._sum = hashlib.md5(usedforsecurity=False)

    def read(self, size: int = -1) -> bytes:
        while not self._rest:
            block = next(self._blocks, None)
            if block is None:
                return b""
            self._rest = block
            self._sum.update(block)
        wanted = len(self._rest) if size < 0 else size
        data, self._rest = self._rest[:wanted], self._rest[wanted:]
        # tarfile takes a short block for the end of the file.
        while len(data) < wanted:
            more = self.read(wanted - len(data))
            if not more:
                break
            data += more
        return data

    def md5(self) -> str:
        """Return the sum of what was read, and that there is no more to read, as one word."""
        for _ in self._blocks:
            return "longer"
        return self._sum.hexdigest()


@contextmanager
def xz_into(file: BinaryIO) -> Iterator[BinaryIO]:
    """Give a file that compresses into ``file``, with one thread, as ``xz -1`` does.

    ``xz -6`` takes six times as long to make a package of wheels a tenth smaller.
    """
    with lzma.LZMAFile(file, "w", format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC64, preset=1) as packed:
        yield packed  # type: ignore[misc]


def gzipped(content: str | bytes) -> bytes:
    """Return ``content`` as ``gzip -9n`` packs it: without name and time."""
    packed = io.BytesIO()
    data = content.encode() if isinstance(content, str) else content
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=packed, mtime=0) as file:
        file.write(data)
    return packed.getvalue()
