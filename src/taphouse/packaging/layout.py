"""Layout: an image that somebody else has made, as an OCI layout in a folder or a tar archive.

OCI image-spec 1.1, image-layout.md and manifest.md; image configurations of
Docker's are the same under another media type.  Every blob is held against its
digest.  This module must never unpack a layer.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO, Final

from taphouse.errors import ConfigurationError, UsageError
from taphouse.packaging.blobs import LAYER_TYPE, Blob
from taphouse.value import Value

__all__ = ["BaseImage", "Layout", "choose_image"]

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_INDEXES: Final = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_MANIFESTS: Final = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_LAYERS: Final = {
    LAYER_TYPE: LAYER_TYPE,
    "application/vnd.oci.image.layer.v1.tar": "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip": LAYER_TYPE,
    "application/vnd.docker.image.rootfs.diff.tar": "application/vnd.oci.image.layer.v1.tar",
}
_REF: Final = "org.opencontainers.image.ref.name"
_MOST_BYTES: Final = 4 << 20  # of a manifest, as registries have it
_DEEPEST: Final = 4
_BLOCK: Final = 1 << 16


class BaseImage(Value):
    """An image that another is made on.

    Args:
        name: for messages.
        digest: of its manifest.
        architecture: as OCI calls it, ``amd64``.
        config: the whole configuration.
        layers: in their order.
    """

    name: str
    digest: str
    architecture: str
    config: Mapping[str, Any]
    layers: tuple[Blob, ...]


class Layout:
    """A layout that is read from.

    Args:
        path: a folder, or an archive of one.

    Raises:
        ConfigurationError: it is neither.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._members: dict[str, tuple[int, int]] = {}
        if os.path.isdir(path):
            return
        try:
            with tarfile.open(path, "r:") as archive:
                for member in archive:
                    if member.isfile():
                        name = "/".join(part for part in member.name.split("/") if part not in {"", "."})
                        self._members[name] = (member.offset_data, member.size)
        except (OSError, tarfile.TarError, EOFError, ValueError) as error:
            reason = (
                error.strerror
                if isinstance(error, OSError) and error.strerror
                else "is no tar archive, or not a whole one"
            )
            raise ConfigurationError(
                f"{path}: {reason}", cure="give an OCI layout, a folder or an archive"
            ) from error

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """Open a file of the layout; it can seek.

        Raises:
            ConfigurationError: it is not there, or not whole.
        """
        with contextlib.ExitStack() as stack:
            try:
                if os.path.isdir(self.path):
                    file: BinaryIO = stack.enter_context(open(os.path.join(self.path, name), "rb"))
                else:
                    if name not in self._members:
                        raise FileNotFoundError(2, "is not in the archive")
                    file = stack.enter_context(open(self.path, "rb"))
                    file = _Part(file, *self._members[name])  # type: ignore[assignment]
            except OSError as error:
                raise ConfigurationError(
                    f"{self.path}: {name}: {error.strerror}",
                    cure="give an OCI layout that is whole, such as: skopeo copy SOURCE oci-archive:FILE",
                ) from error
            yield file

    def open_blob(self, blob: Blob) -> contextlib.AbstractContextManager[BinaryIO]:
        """Open a blob; it can seek."""
        return self.open(blob.path)

    def blocks(self, blob: Blob) -> Iterator[bytes]:
        """Yield the bytes of a blob."""
        with self.open_blob(blob) as file:
            while block := self._read(file, blob.path, _BLOCK):
                yield block

    def verify(self, blob: Blob) -> None:
        """See that a blob is what its digest says.

        Raises:
            ConfigurationError: it is not.
        """
        total, size = hashlib.sha256(), 0
        for block in self.blocks(blob):
            total.update(block)
            size += len(block)
        if size != blob.size or f"sha256:{total.hexdigest()}" != blob.digest:
            raise self._error(f"{blob.digest[:19]} is damaged: its bytes have another digest")

    def read_json(self, blob: Blob) -> dict[str, Any]:
        """Return a blob that is one JSON object.

        Raises:
            ConfigurationError: it is not, or is damaged.
        """
        if blob.size > _MOST_BYTES:
            raise self._error(f"{blob.digest[:19]} is larger than any manifest")
        self.verify(blob)
        return self._json(b"".join(self.blocks(blob)), blob.digest[:19])

    def index(self) -> dict[str, Any]:
        """Return what lies at the top.

        Raises:
            ConfigurationError: it is no layout.
        """
        with self.open("index.json") as file:
            return self._json(self._read(file, "index.json", _MOST_BYTES), "index.json")

    def descriptor(self, found: object) -> Blob:
        """Return a descriptor that stands in a manifest or index, checked.

        Raises:
            ConfigurationError: it is none.
        """
        if isinstance(found, dict):
            media, digest, size = (found.get(key) for key in ("mediaType", "digest", "size"))
            if isinstance(media, str) and isinstance(digest, str) and type(size) is int and size >= 0:
                if not _DIGEST.fullmatch(digest):
                    raise self._error(f"{digest[:80]!r} is no digest that is known here (sha256)")
                return Blob(media, digest, size)
        raise self._error(f"{json.dumps(found)[:80]} names no blob")

    def _json(self, text: bytes, name: str) -> dict[str, Any]:
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise self._error(f"{name} is no JSON object")
        return found

    def _read(self, file: BinaryIO, name: str, size: int) -> bytes:
        try:
            return file.read(size)
        except OSError as error:
            raise self._error(f"{name}: {error.strerror}") from error

    def _error(self, text: str) -> ConfigurationError:
        return ConfigurationError(f"{self.path}: {text}", cure="copy the image again")


def choose_image(layout: Layout, tag: str = "", architecture: str = "") -> BaseImage:
    """Return the image in a layout that another can be made on.

    Args:
        layout: where it is.
        tag: its name there, if there are several.
        architecture: that it has to have, as OCI calls it; "" for any.

    Raises:
        ConfigurationError: it is damaged, or for other machines.
        UsageError: there is none of that name, or there are several.
    """
    found = _images(layout, layout.index(), tag)
    if not found:
        names = ", ".join(_tags(layout.index())) or "none"
        raise UsageError(
            f"{layout.path} has no image {tag or 'at all'}", cure=f"there is {names} (--base-tag)"
        )
    fitting = [image for image in found if not architecture or image.architecture == architecture]
    if not fitting:
        there = ", ".join(sorted({image.architecture for image in found}))
        raise ConfigurationError(
            f"{layout.path} is for {there}, what goes into it is for {architecture}",
            cure=f"take a base for {architecture}",
        )
    if len({image.digest for image in fitting}) > 1:
        names = ", ".join(_tags(layout.index())) or ", ".join(image.architecture for image in fitting)
        raise UsageError(f"{layout.path} has several images: {names}", cure="choose one (--base-tag)")
    return fitting[0]


def _images(layout: Layout, index: Mapping[str, Any], tag: str, depth: int = 0) -> list[BaseImage]:
    found: list[BaseImage] = []
    entries = index.get("manifests")
    for entry in entries if isinstance(entries, list) else []:
        blob = layout.descriptor(entry)
        notes = entry.get("annotations")
        named = notes.get(_REF) if isinstance(notes, dict) else None
        if tag and not depth and named != tag:
            continue
        platform = entry.get("platform")
        if isinstance(platform, dict) and platform.get("os") not in {None, "linux"}:
            continue  # attestations have "unknown"
        if blob.media_type in _INDEXES and depth < _DEEPEST:
            found += _images(layout, layout.read_json(blob), tag, depth + 1)
        elif blob.media_type in _MANIFESTS:
            image = _image(layout, blob)
            found += [] if image is None else [image]
    return found


def _image(layout: Layout, blob: Blob) -> BaseImage | None:
    """Return an image, or ``None`` if it is something else that is kept like one."""
    manifest = layout.read_json(blob)
    about = layout.descriptor(manifest.get("config"))
    if "image" not in about.media_type or manifest.get("artifactType"):
        return None
    config = layout.read_json(about)
    rootfs = config.get("rootfs")
    diff_ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    layers = manifest.get("layers")
    if not isinstance(layers, list) or not isinstance(diff_ids, list) or len(layers) != len(diff_ids):
        raise layout._error(f"{blob.digest[:19]} does not say which layers it has")
    if config.get("os") != "linux":
        return None
    return BaseImage(
        os.path.basename(layout.path.rstrip("/")),
        blob.digest,
        str(config.get("architecture")),
        config,
        tuple(_layer(layout, entry, str(diff)) for entry, diff in zip(layers, diff_ids, strict=True)),
    )


def _layer(layout: Layout, entry: object, diff_id: str) -> Blob:
    blob = layout.descriptor(entry)
    if blob.media_type not in _LAYERS:
        raise ConfigurationError(
            f"{layout.path}: layer {blob.digest[:19]} is {blob.media_type[:80]!r}, which is not read here",
            cure="copy the image with: skopeo copy --dest-compress-format gzip",
        )
    return Blob(_LAYERS[blob.media_type], blob.digest, blob.size, diff_id)


def _tags(index: Mapping[str, Any]) -> Sequence[str]:
    entries = index.get("manifests")
    notes = [entry.get("annotations") for entry in entries or () if isinstance(entry, dict)]
    return [str(note[_REF]) for note in notes if isinstance(note, dict) and _REF in note]


class _Part(io.RawIOBase):
    """A piece of a file."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        self._file = file
        self._start, self._size, self._at = start, size, 0

    def read(self, size: int = -1) -> bytes:
        left = self._size - self._at
        self._file.seek(self._start + self._at)
        data = self._file.read(left if size < 0 else min(size, left))
        self._at += len(data)
        return data

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        above = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, above + offset)
        return self._at
