"""Reading a Debian package: deb(5), the other way round, without dpkg.

Of what Debian itself publishes, whose sums apt has checked.  This module must
never put anything on a disk.
"""

from __future__ import annotations

import io
import lzma
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from taphouse.errors import ConfigurationError

__all__ = ["control_text", "open_data"]

_HEADER = 60


def control_text(path: str) -> str:
    """Return the control paragraph of a package.

    Raises:
        ConfigurationError: it is damaged, or packed in a way that is not known here.
    """
    with _member(path, "control.tar") as archive:
        for member in archive:
            if member.name in {"./control", "control"}:
                file = archive.extractfile(member)
                return "" if file is None else file.read().decode("utf-8", "replace")
    raise ConfigurationError(f"{path}: has no control file", cure="fetch it again")


@contextmanager
def open_data(path: str) -> Iterator[tarfile.TarFile]:
    """Open the files that a package installs, to be read in their order.

    Raises:
        ConfigurationError: it is damaged, or packed in a way that is not known here.
    """
    with _member(path, "data.tar") as archive:
        yield archive


@contextmanager
def _member(path: str, stem: str) -> Iterator[tarfile.TarFile]:
    try:
        with open(path, "rb") as file:
            if file.read(8) != b"!<arch>\n":
                raise ConfigurationError(f"{path}: is no Debian package", cure="fetch it again")
            while header := file.read(_HEADER):
                name = header[:16].decode("ascii", "replace").strip().rstrip("/")
                size = int(header[48:58])
                if name.startswith(stem):
                    unpack = _UNPACKERS.get(name.removeprefix(stem))
                    if unpack is None:
                        raise ConfigurationError(
                            f"{os.path.basename(path)}: {name} is compressed in a way that is not read here",
                            cure="give a base that has the interpreter (--base), or build on Debian",
                        )
                    content = unpack(file.read(size))
                    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
                        yield archive
                    return
                file.seek(size + size % 2, os.SEEK_CUR)
    except (OSError, EOFError, ValueError, lzma.LZMAError, zlib.error, tarfile.TarError) as error:
        raise ConfigurationError(f"{path}: is damaged: {error}", cure="fetch it again") from error
    raise ConfigurationError(f"{path}: has no {stem}", cure="fetch it again")


def _gunzip(data: bytes) -> bytes:
    return zlib.decompress(data, wbits=31)


_UNPACKERS: dict[str, Callable[[bytes], bytes]] = {".xz": lzma.decompress, ".gz": _gunzip, "": bytes}
