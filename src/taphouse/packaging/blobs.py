"""Blobs: the file that an image is shipped in: contents named by their digests, in one tar archive.

OCI image-spec 1.1, image-layout.  Digests are known when the last byte is
written, so that headers are filled in afterwards.  This module must never know
what a blob means.
"""

from __future__ import annotations

import gzip
import hashlib
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final

from taphouse.errors import ConfigurationError
from taphouse.value import Value

__all__ = ["LAYER_TYPE", "Blob", "BlobArchive", "packed_layer"]

LAYER_TYPE: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
_HEADER_BYTES: Final = 512
_LEVEL: Final = 6  # 9 takes twice the time for 1 % less


class Blob(Value):
    """What a manifest says of a blob.

    Args:
        media_type: what it is.
        digest: ``sha256:`` and 64 hex digits of its bytes.
        size: in bytes.
        diff_id: of a layer: the same of the tar archive before it was compressed.
    """

    media_type: str
    digest: str
    size: int
    diff_id: str = ""

    @property
    def path(self) -> str:
        """Where it lies in a layout."""
        return f"blobs/{self.digest.replace(':', '/')}"

    def descriptor(self) -> dict[str, object]:
        """Return what other blobs say of it."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


class BlobArchive:
    """A layout, written into a tar archive as it comes.

    Args:
        file: what to write to, at its beginning; it can seek.
        epoch: time of every member, seconds since 1970.
    """

    def __init__(self, file: BinaryIO, epoch: int) -> None:
        self._file = file
        self._epoch = epoch
        self._held: set[str] = set()
        for folder in ("blobs", "blobs/sha256"):
            info = self._info(folder, 0)
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            file.write(info.tobuf(tarfile.GNU_FORMAT))

    def add_file(self, name: str, content: bytes) -> None:
        """Add a file that is no blob."""
        self._file.write(self._info(name, len(content)).tobuf(tarfile.GNU_FORMAT))
        self._file.write(content)
        self._pad(len(content))

    def add_blob(self, media_type: str, content: bytes) -> Blob:
        """Add a blob that is at hand."""
        blob = Blob(media_type, f"sha256:{hashlib.sha256(content).hexdigest()}", len(content))
        if blob.digest not in self._held:
            self._held.add(blob.digest)
            self.add_file(blob.path, content)
        return blob

    def copy_blob(self, blob: Blob, blocks: Iterable[bytes]) -> None:
        """Add a blob that somebody else has made.

        Raises:
            ConfigurationError: it is not what its digest says.
        """
        if blob.digest in self._held:
            return
        self._held.add(blob.digest)
        self._file.write(self._info(blob.path, blob.size).tobuf(tarfile.GNU_FORMAT))
        total, size = hashlib.sha256(), 0
        for block in blocks:
            total.update(block)
            size += len(block)
            self._file.write(block)
        if size != blob.size or f"sha256:{total.hexdigest()}" != blob.digest:
            raise ConfigurationError(f"{blob.digest}: changed while it was read", cure="make the image again")
        self._pad(size)

    @contextmanager
    def layer(self) -> Iterator[_Layer]:
        """Give the file to write a layer's tar archive to; its `_Layer.blob` is there when the block ends."""
        start = self._file.tell()
        self._file.write(bytes(_HEADER_BYTES))
        layer = _Layer(self._file)
        yield layer
        blob = layer.end()
        end = self._file.tell()
        self._file.seek(start)
        if blob.digest in self._held:
            self._file.truncate()
            return
        self._held.add(blob.digest)
        self._file.write(self._info(blob.path, blob.size).tobuf(tarfile.GNU_FORMAT))
        self._file.seek(end)
        self._pad(blob.size)

    def close(self) -> None:
        """Write the end of the archive."""
        self._file.write(bytes(2 * _HEADER_BYTES))

    def _info(self, name: str, size: int) -> tarfile.TarInfo:
        info = tarfile.TarInfo(name)
        info.size, info.mtime, info.mode = size, self._epoch, 0o644
        return info

    def _pad(self, size: int) -> None:
        self._file.write(bytes(-size % _HEADER_BYTES))


class _Layer:
    """A file whose bytes are summed, compressed and summed again on their way into another."""

    blob: Blob
    """What was written; there at the end."""

    def __init__(self, file: BinaryIO) -> None:
        self._packed = _Sum(file)
        self._diff = hashlib.sha256()
        self._gzip = gzip.GzipFile(
            filename="",
            mode="wb",
            compresslevel=_LEVEL,
            fileobj=self._packed,
            mtime=0,
        )

    def write(self, data: bytes) -> int:
        self._diff.update(data)
        return self._gzip.write(data)

    def tell(self) -> int:
        return self._gzip.tell()

    def end(self) -> Blob:
        self._gzip.close()
        total = self._packed
        self.blob = Blob(LAYER_TYPE, f"sha256:{total.digest}", total.size, f"sha256:{self._diff.hexdigest()}")
        return self.blob


class _Sum:
    """A file that counts and sums what goes into another."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._total = hashlib.sha256()
        self.size = 0

    @property
    def digest(self) -> str:
        return self._total.hexdigest()

    def write(self, data: bytes) -> int:
        self._total.update(data)
        self.size += len(data)
        return self._file.write(data)

    def flush(self) -> None:
        """Leave it to the file below."""


@contextmanager
def packed_layer(file: BinaryIO) -> Iterator[_Layer]:
    """Give a file to write a layer's tar archive to, which ``file`` holds compressed, and nothing else."""
    layer = _Layer(file)
    yield layer
    layer.end()
