"""Layers, layouts and archives as other people's tools make them, and worse ones."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

GZIPPED = "application/vnd.oci.image.layer.v1.tar+gzip"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"


def digest_of(data: bytes) -> str:
    """The digest of a blob."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def folder(name: str, mode: int = 0o755) -> tarfile.TarInfo:
    """A folder of a layer."""
    info = tarfile.TarInfo(name)
    info.type, info.mode = tarfile.DIRTYPE, mode
    return info


def link(name: str, target: str, *, hard: bool = False) -> tarfile.TarInfo:
    """A link of a layer."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.LNKTYPE if hard else tarfile.SYMTYPE, target
    return info


def special(name: str, kind: bytes) -> tarfile.TarInfo:
    """A device or a pipe of a layer."""
    info = tarfile.TarInfo(name)
    info.type = kind
    return info


def file(name: str, content: bytes = b"x", mode: int = 0o644) -> tuple[tarfile.TarInfo, bytes]:
    """A file of a layer."""
    info = tarfile.TarInfo(name)
    info.mode, info.size = mode, len(content)
    return info, content


def layer(*members: Any) -> bytes:
    """A tar archive of what the functions above give."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member in members:
            if isinstance(member, tuple):
                archive.addfile(member[0], io.BytesIO(member[1]))
            else:
                archive.addfile(member)
    return out.getvalue()


PYTHON = layer(
    folder("usr/"),
    folder("usr/bin/"),
    file("usr/bin/python3.11", b"\x7fELF", 0o755),
    link("usr/bin/python3", "python3.11"),
    folder("etc"),
    file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n"),
)


class LayoutMaker:
    """A layout in the making.

    Args:
        place: the folder to make it in.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self.entries: list[dict[str, Any]] = []
        (place / "blobs/sha256").mkdir(parents=True)
        (place / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        self.finish()

    def blob(self, media: str, data: bytes) -> dict[str, Any]:
        """Add a blob and return its descriptor."""
        digest = digest_of(data)
        (self.place / "blobs" / digest.replace(":", "/")).write_bytes(data)
        return {"mediaType": media, "digest": digest, "size": len(data)}

    def json(self, media: str, found: Any) -> dict[str, Any]:
        """Add a blob of JSON."""
        return self.blob(media, json.dumps(found).encode())

    def image(
        self,
        *layers: bytes,
        architecture: str = "amd64",
        config: Mapping[str, Any] | None = None,
        media: str = GZIPPED,
        packed: bool = True,
        **more: Any,
    ) -> dict[str, Any]:
        """Add an image and return the descriptor of its manifest."""
        blobs = [self.blob(media, gzip.compress(data, mtime=0) if packed else data) for data in layers]
        about = {
            "architecture": architecture,
            "os": "linux",
            "config": dict(config or {}),
            "rootfs": {"type": "layers", "diff_ids": [digest_of(data) for data in layers]},
            **more,
        }
        return self.json(MANIFEST, {"schemaVersion": 2, "config": self.json(CONFIG, about), "layers": blobs})

    def name(self, entry: dict[str, Any], tag: str = "", **more: Any) -> LayoutMaker:
        """Put an image into the index."""
        notes = {"annotations": {"org.opencontainers.image.ref.name": tag}} if tag else {}
        self.entries.append({**entry, **notes, **more})
        return self.finish()

    def finish(self) -> LayoutMaker:
        """Write the index."""
        (self.place / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": self.entries}))
        return self

    def archive(self, path: Path) -> Path:
        """Pack all into a tar archive."""
        with tarfile.open(path, "w") as archive:
            archive.add(self.place, ".")
        return path


def members_of(path: Path) -> dict[str, bytes]:
    """Name -> content of the files in an archive."""
    found = {}
    with tarfile.open(path) as archive:
        for member in archive:
            if member.isfile():
                content = archive.extractfile(member)
                assert content is not None
                found[member.name] = content.read()
    return found


def layer_members(data: bytes) -> Iterable[tarfile.TarInfo]:
    """What is in a compressed layer."""
    return list(tarfile.open(fileobj=io.BytesIO(gzip.decompress(data))))
