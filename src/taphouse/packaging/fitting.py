"""Fitting: whether what a package needs is in an image, and how it is laid over it.

From what `Rootfs` has seen of the layers.  This module must never write.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from taphouse.errors import ConfigurationError
from taphouse.packaging.about import SystemPackage
from taphouse.packaging.debianroot import GROUP, NSSWITCH, PASSWD, read_packages
from taphouse.packaging.rootfs import Rootfs
from taphouse.packaging.tree import Tree
from taphouse.packaging.versions import compare_versions

__all__ = ["add_accounts", "check_libraries", "find_interpreter", "installed_packages", "laid_over"]

_RELATION: Final = re.compile(r"(?P<name>[a-z0-9][a-z0-9+.-]*)(?: \(>= (?P<version>[^()\s]+)\))?")
_PYTHON: Final = re.compile(r"python3(?:\.(?P<minor>\d+))?")
_FOLDERS: Final = ("/usr/local/bin", "/usr/bin", "/opt/python/bin")
_OLDEST_MINOR: Final = 11
_LIBC: Final = re.compile(rb"GLIBC_2\.(\d+)(?![\d.])")


def installed_packages(rootfs: Rootfs) -> list[SystemPackage]:
    """Return the Debian packages that an image says it has, sorted; none if it is of another kind."""
    found: set[SystemPackage] = set()
    for path, place in rootfs:
        if path == "var/lib/dpkg/status" or path.startswith("var/lib/dpkg/status.d/"):
            found.update(read_packages(place.content.decode("utf-8", "replace")))
    return sorted(found, key=lambda package: (package.name, package.architecture))


def find_interpreter(rootfs: Rootfs, name: str, wanted: str, config: Mapping[str, Any]) -> str:
    """Return the path of the interpreter in an image.

    Args:
        rootfs: what is in it.
        name: of the image, for messages.
        wanted: ``/usr/bin/python3.11``, or ``/usr/bin/python3`` for any that is new enough.
        config: of the image, which may name more folders to look in.

    Raises:
        ConfigurationError: there is none, or it is too old.
    """
    basename = wanted.rpartition("/")[2]
    inner = config.get("config")
    lines = inner.get("Env") if isinstance(inner, dict) else None
    paths = [str(line)[5:] for line in lines or () if str(line).startswith("PATH=")]
    folders = [folder for path in paths for folder in path.split(":") if folder.startswith("/")]
    places = [wanted, *(f"{folder}/{basename}" for folder in (*folders, *_FOLDERS))]
    for place in dict.fromkeys(places):
        found = rootfs.get(place)
        if found is None or found.kind != "file" or not found.mode & 0o111:
            continue
        real = _PYTHON.fullmatch(rootfs.resolve(place).rpartition("/")[2])
        if real is not None and real["minor"] and int(real["minor"]) < _OLDEST_MINOR:
            raise ConfigurationError(
                f"{name}: {place} is Python 3.{real['minor']}, which is too old",
                cure=f"take a base with Python 3.{_OLDEST_MINOR} or newer",
            )
        return place
    raise ConfigurationError(
        f"{name} has no {basename}, which the server needs",
        cure="take a base that has it, or leave --base out to have Debian's",
    )


def check_libraries(rootfs: Rootfs, name: str, depends: Sequence[str]) -> None:
    """See that the libraries that compiled code needs are there; the interpreter is looked for elsewhere.

    Args:
        rootfs: what is in the image.
        name: of the image, for messages.
        depends: Debian's relations.

    Raises:
        ConfigurationError: one is missing, or too old.
    """
    there = {package.name: package.version for package in installed_packages(rootfs)}
    for relation in depends:
        match = _RELATION.fullmatch(relation)
        if match is None or _PYTHON.fullmatch(match["name"]):
            continue
        wanted, version = match["name"], match["version"] or ""
        found = there.get(wanted) if there else _libc(rootfs) if wanted == "libc6" else version
        if found is None:
            raise ConfigurationError(
                f"{name} has no {wanted}, which compiled code in the package needs",
                cure="take a base with it (Debian's C library, not musl)",
            )
        if version and found and compare_versions(found, version) < 0:
            raise ConfigurationError(
                f"{name} has {wanted} {found}, and compiled code in the package needs {version}",
                cure="take a newer base",
            )


def add_accounts(tree: Tree, rootfs: Rootfs, account: str, number: int, home: str) -> None:
    """Add the files that give user and group ``number`` a name, beside the names that are there.

    Args:
        tree: where to.
        rootfs: what is in the image.
        account: name of the new account.
        number: of its user and its group.
        home: its folder.
    """
    user = f"{account}:x:{number}:{number}:server:{home}:/usr/sbin/nologin"
    group = f"{account}:x:{number}:"
    for path, line, default in (("etc/passwd", user, PASSWD), ("etc/group", group, GROUP)):
        text = rootfs.text(path) or default
        entries = [entry for entry in text.splitlines() if entry]
        taken = any(
            fields[2:3] == [str(number)] or fields[0] == account
            for fields in (entry.split(":") for entry in entries)
        )
        if not taken:
            entries.append(line)
        tree.add_file(path, "".join(f"{entry}\n" for entry in entries))
    if rootfs.get("etc/nsswitch.conf") is None:
        tree.add_file("etc/nsswitch.conf", NSSWITCH)


def laid_over(tree: Tree, rootfs: Rootfs) -> tuple[Tree, set[str]]:
    """Return a tree whose paths lead through no link of an image, and its folders that are there already.

    In an image whose ``/usr/sbin`` is a link, a folder of that name would hide what the link leads to.

    Raises:
        ConfigurationError: a file of the image is where a folder is needed.
    """
    moved = Tree()
    there = set()
    for path, node in tree:
        above, _, name = path.rpartition("/")
        place = f"{rootfs.resolve(above)}/{name}".strip("/")
        is_folder = not node.is_file and not node.target
        if is_folder:
            place = rootfs.resolve(path)
            found = rootfs.get(place)
            if found is not None and found.kind != "folder":
                raise ConfigurationError(f"the base has a file /{place}, where a folder is needed")
            if found is not None:
                there.add(place)
        if place:
            moved.add_node(place, node)
    # Folders on the way to where links lead.
    for path, node in moved:
        found = rootfs.get(path) if not node.is_file and not node.target else None
        if found is not None and found.kind == "folder":
            there.add(path)
    return moved, there


def _libc(rootfs: Rootfs) -> str | None:
    """Return the version of the C library in an image that has no list of packages."""
    found: Iterable[int] = (
        int(minor)
        for path, place in rootfs
        if re.search(r"(?:^|/)libc(?:\.so\.6|-2\.\d+\.so)$", path)
        for minor in _LIBC.findall(place.content)
    )
    newest = max(found, default=0)
    return f"2.{newest}" if newest else None
