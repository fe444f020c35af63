"""Debian base: the lowest layer of an image, from the packages of this machine's own Debian.

apt chooses, fetches and checks them, as an ordinary user, and nothing is
installed here.  What was made of the same packages before is taken from the
cache, without asking the network.  This module must never know what is laid over it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, BinaryIO, Final

from taphouse.cli.shipping.cache import cache_folder
from taphouse.errors import ConfigurationError, TaphouseError
from taphouse.packaging import (
    BaseImage,
    Blob,
    Tree,
    add_debian_root,
    oci_architecture,
    oci_time,
    packed_layer,
    write_tar,
)
from taphouse.value import Value
from taphouse.wholefile import whole_file

__all__ = ["DebianBase", "debian_base"]

_RECIPE: Final = 1
"""Another number makes another layer of the same packages."""

_ALWAYS: Final = ("base-files", "ca-certificates", "libc6", "media-types", "netbase", "tzdata")
# What only the packages' scripts need, which do not run.
_ASSUMED: Final = ("awk", "debconf", "dpkg", "openssl")
_INSTALLED: Final = """\
Package: {}
Status: install ok installed
Version: 999
Architecture: all
Multi-Arch: foreign
Maintainer: nobody <nobody@localhost>
Description: assumed

"""
_CURE: Final = "or give a base that has the interpreter (--base)"
_PATIENCE_S: Final = 900.0
_NAME: Final = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9+.-]*)_(?P<version>[^_/\s]+)_(?P<architecture>[a-z0-9-]+)\.deb"
)


class DebianBase(Value):
    """A base that lies in the cache.

    Args:
        image: what it is.
        path: file of its one layer.
    """

    image: BaseImage
    path: str

    def open_blob(self, _blob: Blob) -> AbstractContextManager[BinaryIO]:
        """Open its layer; it can seek."""
        return open(self.path, "rb")


def debian_base(interpreter: str, depends: Sequence[str], architecture: str) -> DebianBase:
    """Return a base with an interpreter, libraries, certificates and time zones.

    Args:
        interpreter: ``/usr/bin/python3.11`` or ``/usr/bin/python3``.
        depends: Debian's relations, for their names.
        architecture: Debian's name of the machine, ``all`` for this one.

    Raises:
        CannotCreateError: the cache cannot be written.
        ConfigurationError: there is no apt here, it does not have the packages, or cannot fetch them.
    """
    cache = cache_folder("oci")
    names = _packages(interpreter, depends)
    with tempfile.TemporaryDirectory(prefix="fetching-", dir=cache) as folder:
        apt = _Apt(folder, architecture)
        chosen = apt.choose(names)
        machine = next(
            (match["architecture"] for match in chosen if match["architecture"] != "all"), architecture
        )
        files = sorted(match[0] for match in chosen)
        key = hashlib.sha256(json.dumps([_RECIPE, files]).encode()).hexdigest()[:32]
        stem = os.path.join(cache, f"debian-{key}")
        about = _read_about(stem)
        if about is None:
            about = _make(stem, apt.fetch(names, files))
    blob = Blob(about["media_type"], about["digest"], about["size"], about["diff_id"])
    image = BaseImage(
        "the base of Debian packages",
        "",
        oci_architecture(machine),
        {
            "history": [
                {
                    "created": oci_time(about["newest"]),
                    "created_by": "tap oci",
                    "comment": f"Debian packages: {', '.join(names)}",
                }
            ]
        },
        (blob,),
    )
    return DebianBase(image, f"{stem}.tar.gz")


def _packages(interpreter: str, depends: Sequence[str]) -> list[str]:
    python = os.path.basename(interpreter)
    names = {relation.split()[0] for relation in depends}
    names = {name for name in names if not re.fullmatch(r"python3(\.\d+)?", name)}
    return sorted({f"{python}-minimal", f"lib{python}-stdlib", *_ALWAYS, *names})


class _Apt:
    """apt-get, with a folder of its own to work in.

    Args:
        folder: which.
        architecture: Debian's name of the machine, ``all`` for this one.
    """

    def __init__(self, folder: str, architecture: str) -> None:
        self._archives = os.path.join(folder, "archives")
        os.makedirs(os.path.join(self._archives, "partial"))
        status = os.path.join(folder, "status")
        with open(status, "w", encoding="ascii") as file:
            file.writelines(_INSTALLED.format(name) for name in _ASSUMED)
        options = [
            f"Dir::State::status={status}",
            f"Dir::Cache={folder}",
            f"Dir::Cache::archives={self._archives}/",
            "APT::Install-Recommends=0",
            "APT::Install-Suggests=0",
            "Debug::NoLocking=1",
            "Acquire::Retries=3",
        ]
        if architecture != "all":
            options += [f"APT::Architecture={architecture}", f"APT::Architectures={architecture}"]
        self._command = ["apt-get", "-qq", "-y", *(word for option in options for word in ("-o", option))]

    def choose(self, names: Sequence[str]) -> list[re.Match[str]]:
        """Return the names of the files of packages and of all that they need."""
        told = self._run("--print-uris", "install", *names)
        found = [_NAME.search(line.rpartition("'")[2]) for line in told.splitlines() if line.startswith("'")]
        chosen = [match for match in found if match is not None]
        if not chosen:
            raise ConfigurationError("apt-get has chosen no packages", cure=f"see apt-get install, {_CURE}")
        return chosen

    def fetch(self, names: Sequence[str], files: Sequence[str]) -> list[str]:
        """Fetch packages, and return the paths of their files."""
        self._run("--download-only", "install", *names)
        there = sorted(name for name in os.listdir(self._archives) if name.endswith(".deb"))
        if there != list(files):
            raise ConfigurationError(
                "apt's lists of packages have changed meanwhile", cure="type the command again"
            )
        return [os.path.join(self._archives, name) for name in there]

    def _run(self, *words: str) -> str:
        environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
        try:
            done = subprocess.run(
                [*self._command, *words],
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=_PATIENCE_S,
            )
        except FileNotFoundError as error:
            raise ConfigurationError(
                "there is no apt-get here to fetch Debian's Python with", cure=f"build on Debian, {_CURE}"
            ) from error
        except subprocess.TimeoutExpired as error:
            raise ConfigurationError(
                f"apt-get has not ended within {_PATIENCE_S:g} s",
                cure=f"see whether it reaches its mirror, {_CURE}",
            ) from error
        if done.returncode:
            lines = [line.removeprefix("E: ") for line in done.stderr.splitlines() if line.startswith("E: ")]
            raise ConfigurationError(
                f"apt-get: {lines[0] if lines else f'status {done.returncode}'}",
                cure=f"apt-get update may help, {_CURE}",
            )
        return done.stdout


def _make(stem: str, files: Sequence[str]) -> dict[str, Any]:
    """Make the layer of packages, and write down what it is."""
    tree = Tree()
    newest = add_debian_root(tree, files)
    with _told_of_cache(), whole_file(f"{stem}.tar.gz") as file, packed_layer(file) as layer:
        write_tar(tree, layer, newest)  # type: ignore[arg-type]
    about = {**layer.blob.as_dict(), "newest": newest}
    with _told_of_cache(), whole_file(f"{stem}.json") as file:
        file.write(json.dumps(about, indent=1).encode() + b"\n")
    return about


def _read_about(stem: str) -> dict[str, Any] | None:
    """Return what was written down of a layer, if that is whole."""
    try:
        with open(f"{stem}.json", "rb") as text, open(f"{stem}.tar.gz", "rb") as layer:
            about: dict[str, Any] = json.load(text)
            digest = hashlib.file_digest(layer, "sha256").hexdigest()
            return about if about["newest"] and about["digest"] == f"sha256:{digest}" else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


@contextlib.contextmanager
def _told_of_cache() -> Any:
    """Say how to cure what goes wrong in the cache."""
    try:
        yield
    except TaphouseError as error:
        if isinstance(error, ConfigurationError):
            raise
        raise type(error)(error.message, cure="make room, or set XDG_CACHE_HOME to another folder") from error
