"""Gathering: what has to go into a package so that a server finds its code there.

Installed distributions are copied as their wheels brought them, but for what
nobody needs to run them; the application's own code as it lies.  This module
must never import what it copies.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import sys
from collections.abc import Iterable, Sequence
from importlib.machinery import PathFinder
from importlib.metadata import Distribution, PackagePath
from typing import Final, NoReturn

from taphouse.errors import ConfigurationError
from taphouse.packaging.about import Part
from taphouse.packaging.elf import ELF_MAGIC, Elf, read_elf
from taphouse.packaging.environment import Environment, is_editable
from taphouse.packaging.runpath import without_runpath
from taphouse.packaging.tree import Tree
from taphouse.packaging.trimming import is_needless, is_notice, license_of, tags_of, without_interpreter

__all__ = ["add_distribution", "add_module", "compiled_files", "find_build_paths", "split_modules"]

_PYTHONS_OWN: Final = frozenset(sys.stdlib_module_names) | {"__main__", "__mp_main__"}


def split_modules(modules: Iterable[str], environment: Environment) -> tuple[list[str], list[str]]:
    """Return the distributions that bring modules, and the top-level modules that nothing installed brings.

    Args:
        modules: names, as a plan or ``sys.modules`` lists them.
        environment: where to look.
    """
    distributions: set[str] = set()
    own: set[str] = set()
    for top in {module.partition(".")[0] for module in modules}:
        if top in _PYTHONS_OWN:
            continue
        owners = environment.owners_of(top)
        distributions.update(owners)
        if not owners:
            own.add(top)
    return sorted(distributions), sorted(own)


def add_distribution(tree: Tree, folder: str, found: Distribution) -> Part:
    """Copy the files of an installed distribution to a folder of the package.

    Raises:
        ConfigurationError: it is editable, has no list of files, or a file is not what was installed.
    """
    name = found.metadata["Name"]
    if is_editable(found):
        raise ConfigurationError(
            f"{name} is installed as editable: its code is somewhere else",
            cure="install it whole: pip install . (without -e) in its folder",
        )
    if not found.files:
        raise ConfigurationError(
            f"{name} has no list of its files: it was not installed by pip",
            cure=f"make the package from a virtual environment, with: pip install {name}",
        )
    texts: list[tuple[str, str]] = []
    for file in sorted(found.files, key=str):
        if _is_outside(file):
            continue
        if is_notice(file.parts):
            texts.append((file.name, _content(found, file, name).decode("utf-8", "replace")))
        elif not is_needless(file.parts):
            _add(tree, f"{folder}/{file}", without_interpreter(str(file), _content(found, file, name)))
    tags = tags_of(found.read_text("WHEEL") or "")
    return Part(name, found.version, license_of(found.metadata), tuple(texts), tags)


def add_module(tree: Tree, folder: str, module: str, path: Sequence[str]) -> None:
    """Copy a top-level module or package that was never installed.

    Args:
        tree: where to.
        folder: of the package.
        module: its name.
        path: folders to look in, in their order.

    Raises:
        ConfigurationError: it is not there, or is not in files.
    """
    spec = PathFinder.find_spec(module, list(path))
    if spec is None:
        raise ConfigurationError(
            f"module {module} is not found", cure="make the package where the server can be started"
        )
    if spec.submodule_search_locations is None:
        source = spec.origin or ""
        _add_source(tree, f"{folder}/{os.path.basename(source)}", source)
        return
    for place in spec.submodule_search_locations:
        for above, folders, names in os.walk(place, onerror=_tell):
            folders[:] = sorted(name for name in folders if not _is_hidden(name))
            for name in sorted(names):
                inner = os.path.relpath(os.path.join(above, name), place)
                if not _is_hidden(name) and not name.endswith((".pyc", ".pyo")):
                    _add_source(tree, f"{folder}/{module}/{inner}", os.path.join(above, name))


def compiled_files(tree: Tree) -> dict[str, Elf]:
    """Return what the compiled files of a package need, by path.

    Raises:
        ConfigurationError: one of them is broken.
    """
    found = {}
    for path, node in tree:
        if node.is_file:
            content = b"".join(node.read())
            if content.startswith(ELF_MAGIC):
                found[path] = read_elf(content, path)
    return found


def find_build_paths(tree: Tree, folders: Iterable[str]) -> list[str]:
    """Return a line for each text file that names a folder of the building machine.

    Args:
        tree: what is going to be shipped.
        folders: absolute paths that will not be there where it is installed.
    """
    wanted = sorted({os.path.normpath(folder) for folder in folders} - {"/", "/usr", "."})
    if not wanted:
        return []
    pattern = re.compile(
        b"|".join(re.escape(os.fsencode(folder)) for folder in wanted) + rb"(?![A-Za-z0-9_-])"
    )
    lines = []
    for path, node in tree:
        if node.is_file:
            content = b"".join(node.read())
            match = None if b"\0" in content else pattern.search(content)
            if match:
                lines.append(
                    f"/{path}: names {os.fsdecode(match[0])}, a folder of the machine it was made on"
                )
    return lines


def _is_outside(file: PackagePath) -> bool:
    """Say whether a file lies beside the modules: a command in bin/, a manual page in share/."""
    return file.parts[0] in {"..", "/"} or ".." in file.parts


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__pycache__"


def _content(found: Distribution, file: PackagePath, name: str) -> bytes:
    """Return the bytes of an installed file, which are those that RECORD says."""
    place = os.path.abspath(str(found.locate_file(file)))
    try:
        with open(place, "rb") as opened:
            content = opened.read()
    except OSError as error:
        raise ConfigurationError(
            f"{place}: cannot be read: {error.strerror}", cure=f"install {name} again"
        ) from error
    if file.hash is not None and file.hash.mode in {"sha256", "sha384", "sha512"}:
        digest = base64.urlsafe_b64encode(hashlib.new(file.hash.mode, content).digest()).rstrip(b"=").decode()
        if digest != file.hash.value:
            raise ConfigurationError(f"{place}: is not what was installed", cure=f"install {name} again")
    return content


def _add(tree: Tree, path: str, content: bytes) -> None:
    content = without_runpath(content)
    if path in tree and tree[path].content == content:
        return  # the same __init__.py of a namespace that several distributions share
    tree.add_file(path, content)


def _add_source(tree: Tree, path: str, source: str) -> None:
    if not os.path.isfile(source):
        raise ConfigurationError(
            f"{source or path}: is not a file that can be shipped", cure="move it out of the package's folder"
        )
    try:
        with open(source, "rb") as file:
            content = file.read()
    except OSError as error:
        _tell(error)
    _add(tree, path, without_interpreter(path, content))


def _tell(error: OSError) -> NoReturn:
    raise ConfigurationError(f"{error.filename}: cannot be read: {error.strerror}") from error
