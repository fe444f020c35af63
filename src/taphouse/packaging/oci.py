"""oci: an image archive from a tree and, below it, a base, without an engine.

OCI image-spec 1.1.  ``manifest.json`` beside the layout makes the same file one
that ``docker load`` takes.  The same input gives the same bytes, whoever builds
it, where and when.  This module must never know what the files are for.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from taphouse.errors import UsageError
from taphouse.packaging.blobs import Blob, BlobArchive
from taphouse.packaging.profiles import is_local
from taphouse.packaging.tarball import check_epoch, write_tar
from taphouse.packaging.tree import Tree
from taphouse.value import Value
from taphouse.wholefile import whole_file

__all__ = [
    "ImageSettings",
    "NewLayer",
    "check_reference",
    "default_reference",
    "exposed_ports",
    "oci_architecture",
    "oci_time",
    "unreachable",
    "write_image",
]

CONFIG_TYPE: Final = "application/vnd.oci.image.config.v1+json"
MANIFEST_TYPE: Final = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE: Final = "application/vnd.oci.image.index.v1+json"
NAMES: Final = "org.opencontainers.image."
_COMMANDS: Final = "/usr/sbin"  # where a package's command is
_SECOND_NS: Final = 1_000_000_000  # Docker counts nanoseconds

_ARCHITECTURES: Final = {
    "amd64": ("amd64", ""), "arm64": ("arm64", "v8"), "armhf": ("arm", "v7"), "armel": ("arm", "v5"),
    "i386": ("386", ""), "ppc64el": ("ppc64le", ""), "s390x": ("s390x", ""), "riscv64": ("riscv64", ""),
    "mips64el": ("mips64le", ""), "loong64": ("loong64", ""),
}  # fmt: skip

_COMPONENT: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE: Final = re.compile(
    rf"(?P<name>(?:(?:[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+(?::\d+)?|[A-Za-z0-9-]+:\d+|localhost)/)?"
    rf"{_COMPONENT}(?:/{_COMPONENT})*):(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{{0,127}})"
)


class NewLayer(Value):
    """A layer that is made here.

    Args:
        tree: its files.
        comment: what it is, for people who look at an image's history.
        epoch: time of its files, seconds since 1970.
        owners: path -> user and group, by number, of what is not root's.
        leave_out: folders that are there below, and stay as they are.
    """

    tree: Tree
    comment: str
    epoch: int
    owners: Mapping[str, int]
    leave_out: Container[str] = ()


class ImageSettings(Value, kw_only=True):
    """What an image says of itself, and how it is run.

    Args:
        reference: ``localhost/otk:1.0``.
        architecture: as OCI calls it.
        epoch: when it was made, seconds since 1970.
        start: the command, its first word an absolute path; others than its last words may be given.
        serve: its last words.
        health: the command that ends with 0 as long as the server is well.
        user: number of user and group.
        folder: that the command runs in.
        environment: variables that it gets, beside those of the base.
        ports: ``8123/tcp``.
        labels: what `ImageSettings` has no field for; also the manifest's annotations.
        base: configuration of the base, or nothing.
    """

    reference: str
    architecture: str
    epoch: int
    start: tuple[str, ...]
    serve: tuple[str, ...]
    health: tuple[str, ...]
    user: int
    folder: str
    environment: Mapping[str, str]
    ports: tuple[str, ...]
    labels: Mapping[str, str]
    base: Mapping[str, Any]

    def __post_init__(self) -> None:
        check_reference(self.reference)
        check_epoch(self.epoch)


def write_image(
    path: str | os.PathLike[str],
    settings: ImageSettings,
    layers: Sequence[NewLayer],
    below: Sequence[Blob] = (),
    blocks: Callable[[Blob], Iterable[bytes]] | None = None,
) -> str:
    """Write an image archive and return the digest of its manifest; ``path`` is whole, or as it was.

    Args:
        path: the file to make.
        settings: what it says of itself.
        layers: what is made here, lowest first.
        below: layers of the base.
        blocks: gives the bytes of each of those.

    Raises:
        CannotCreateError, NotPermittedError: if it cannot be written.
        ConfigurationError: a file that is copied into it cannot be read, or changes meanwhile.
    """
    epoch = settings.epoch
    with whole_file(path) as file:
        archive = BlobArchive(file, epoch)
        for blob in below:
            archive.copy_blob(blob, blocks(blob) if blocks is not None else ())
        made = []
        for layer in layers:
            with archive.layer() as packed:
                write_tar(layer.tree, packed, layer.epoch, owners=layer.owners, leave_out=layer.leave_out)  # type: ignore[arg-type]
            made.append(packed.blob)
        every = [*below, *made]
        config = archive.add_blob(CONFIG_TYPE, _json(_config(settings, layers, every, len(below))))
        notes = dict(sorted(settings.labels.items()))
        manifest = archive.add_blob(
            MANIFEST_TYPE,
            _json(
                {
                    "schemaVersion": 2,
                    "mediaType": MANIFEST_TYPE,
                    "config": config.descriptor(),
                    "layers": [blob.descriptor() for blob in every],
                    "annotations": notes,
                }
            ),
        )
        archive.add_file("index.json", _json(_index(settings, manifest)))
        docker = {
            "Config": config.path,
            "RepoTags": [settings.reference],
            "Layers": [blob.path for blob in every],
        }
        archive.add_file("manifest.json", _json([docker]))
        archive.add_file("oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
        archive.close()
    return manifest.digest


def check_reference(text: str) -> str:
    """Return ``text`` if an image can be called so: ``[HOST[:PORT]/]NAME:TAG``.

    Raises:
        UsageError: it cannot.
    """
    if not _REFERENCE.fullmatch(text) or len(text) > 255:
        raise UsageError(
            f"{text!r:.200} cannot name an image",
            cure="write it as NAME:TAG, of small letters, digits and '.', '_', '-' between them (--tag)",
        )
    return text


def default_reference(package: str, version: str) -> str:
    """Return what an image is called if nobody says: one that no engine looks for on another machine.

    Raises:
        UsageError: the package's name cannot name an image.
    """
    tag = re.sub(r"[^A-Za-z0-9._-]", "-", version)[:128]
    return check_reference(f"localhost/{package}:{tag}")


def oci_architecture(debian: str) -> str:
    """Return OCI's name of what Debian calls ``debian``, "" for ``all``.

    Raises:
        UsageError: images have no name for it.
    """
    if debian == "all":
        return ""
    if debian not in _ARCHITECTURES:
        raise UsageError(f"there are no images for machines that Debian calls {debian}")
    return _ARCHITECTURES[debian][0]


def exposed_ports(plan: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a container listens on, ``8123/tcp``, sorted."""
    found = set()
    for entry in plan.get("listeners") or ():
        if entry.get("port") and entry.get("path") is None:
            found.add((int(entry["port"]), "udp" if entry.get("kind") == "udp" else "tcp"))
    return tuple(f"{port}/{kind}" for port, kind in sorted(found))


def unreachable(plan: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each listener that nobody outside of a container would reach."""
    for entry in plan.get("listeners") or ():
        label = str(entry["label"])
        if entry.get("path") is not None:
            if not str(entry["path"]).startswith("/"):
                yield f"{label}: is made in the state's folder; mount that to reach it from outside"
        elif not entry.get("port"):
            yield f"{label}: gets another port at each start, so none can be published"
        elif is_local(entry):
            yield f"{label}: accepts from inside of the container only; let it listen on all interfaces"


def oci_time(epoch: int) -> str:
    """Return seconds since 1970 as RFC 3339 has it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch))


def _config(
    settings: ImageSettings, layers: Sequence[NewLayer], every: Sequence[Blob], below: int
) -> dict[str, object]:
    base = settings.base
    inner = base.get("config")
    old = inner if isinstance(inner, dict) else {}
    created = oci_time(settings.epoch)
    variant = base.get("variant") or next(
        (variant for name, variant in _ARCHITECTURES.values() if name == settings.architecture), ""
    )
    new = {
        "User": f"{settings.user}:{settings.user}",
        "ExposedPorts": {port: {} for port in settings.ports},
        "Env": _environment(old.get("Env"), settings.environment),
        "Entrypoint": list(settings.start),
        "Cmd": list(settings.serve),
        "WorkingDir": settings.folder,
        "Labels": {**_labels(old.get("Labels")), **settings.labels},
        "StopSignal": "SIGTERM",
        # Docker's own: podman and others that know OCI's fields only let it be.
        "Healthcheck": {
            "Test": ["CMD", *settings.health],
            "Interval": 30 * _SECOND_NS,
            "Timeout": 10 * _SECOND_NS,
            "StartPeriod": 60 * _SECOND_NS,
            "Retries": 3,
        },
    }
    kept = {name: old[name] for name in ("Volumes",) if old.get(name)}
    made = [{"created": created, "created_by": "tap oci", "comment": layer.comment} for layer in layers]
    return {
        "created": created,
        "architecture": settings.architecture,
        **({"variant": variant} if variant else {}),
        "os": "linux",
        "config": {**kept, **{name: value for name, value in new.items() if value}},
        "rootfs": {"type": "layers", "diff_ids": [blob.diff_id for blob in every]},
        "history": [*_history(base.get("history"), below, created), *made],
    }


def _environment(old: object, new: Mapping[str, str]) -> list[str]:
    """Return the base's variables, then ours; what the base says of PATH counts."""
    found: dict[str, str] = {}
    for line in old if isinstance(old, list) else []:
        name, equals, value = str(line).partition("=")
        if equals:
            found[name] = value
    path = found.get("PATH")
    found.update(new)
    if path:
        folders = path.split(":")
        found["PATH"] = ":".join([*folders, *([] if _COMMANDS in folders else [_COMMANDS])])
    return [f"{name}={value}" for name, value in found.items()]


def _labels(old: object) -> dict[str, str]:
    """Return the base's labels but for those that say what the base is."""
    if not isinstance(old, dict):
        return {}
    return {str(name): str(value) for name, value in old.items() if not str(name).startswith(NAMES)}


def _history(old: object, layers: int, created: str) -> list[object]:
    """Return the base's history; if it is not of as many layers as there are, one line for each.

    A time is always there: umoci 0.4.7 does not survive one that is missing.
    """
    entries = [entry for entry in old if isinstance(entry, dict)] if isinstance(old, list) else []
    if sum(not entry.get("empty_layer") for entry in entries) == layers:
        return [{"created": created, **entry} for entry in entries]
    return [{"created": created, "comment": "of the base"}] * layers


def _index(settings: ImageSettings, manifest: Blob) -> dict[str, object]:
    tag = settings.reference.rpartition(":")[2]
    return {
        "schemaVersion": 2,
        "mediaType": INDEX_TYPE,
        "manifests": [
            {
                **manifest.descriptor(),
                "annotations": {
                    "io.containerd.image.name": settings.reference,
                    f"{NAMES}ref.name": tag,
                },
                "platform": {"architecture": settings.architecture, "os": "linux"},
            }
        ],
    }


def _json(found: object) -> bytes:
    return json.dumps(found, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"
