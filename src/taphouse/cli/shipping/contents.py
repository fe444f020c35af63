"""Contents: what a server needs where it is installed, put below ``/usr/lib/PACKAGE`` of a tree.

The seed, the application's own code, the distributions it uses, a launcher, and a
manifest of all that.  This module must never know what the tree is made into.
"""

from __future__ import annotations

import calendar
import hashlib
import json
import os
import re
import time
from collections.abc import Iterable, Mapping

from taphouse.cli.shipping.launcher import launcher_text
from taphouse.cli.shipping.owncode import own_modules
from taphouse.cli.shipping.probing import probe_tap
from taphouse.cli.shipping.seed import shipped_seed
from taphouse.cli.version import version
from taphouse.errors import ConfigurationError, UsageError
from taphouse.packaging import (
    Elf,
    Environment,
    Part,
    PartsSource,
    Tree,
    add_module,
    architecture_of,
    compiled_files,
    library_dependencies,
    python_dependency,
    standard_dependencies,
)
from taphouse.persist import TapInfo, read_info
from taphouse.value import Value

__all__ = ["Contents", "add_contents", "epoch_of"]


class Contents(Value, kw_only=True):
    """What went in.

    Args:
        info: what the tap says of itself.
        package: name of the folder in ``/usr/lib``.
        modules: what the server imports before it says that it is ready.
        parts: the distributions.
        interpreter: ``/usr/bin/python3.11``.
        depends: Debian packages it needs, as relations.
        architecture: Debian's name of the machine, or ``all``.
        epoch: when the tap was made, seconds since 1970.
        compiled: files of the tree that are compiled, by path.
        credentials: names of the secrets that a service manager has to hand over.
    """

    info: TapInfo
    package: str
    modules: tuple[str, ...]
    parts: tuple[Part, ...]
    interpreter: str
    depends: tuple[str, ...]
    architecture: str
    epoch: int
    compiled: Mapping[str, Elf]
    credentials: tuple[str, ...] = ()


def add_contents(
    tree: Tree,
    tap: str,
    source: PartsSource,
    *,
    package: str,
    python: str | None = None,
    epoch: int | None = None,
    allowed: tuple[str, ...] = (),
) -> Contents:
    """Put a server below ``usr/lib/PACKAGE``.

    Args:
        tree: where to.
        tap: a seed.
        source: where distributions come from.
        package: name of the folder.
        python: ``3.11`` for just that Python; by default what the compiled parts need.
        epoch: seconds since 1970, default `epoch_of` the tap.
        allowed: modules, as by ``--allow-module``.

    Raises:
        ConfigurationError: the tap is no seed, or something it needs is missing or cannot be shipped.
        UsageError: the compiled parts need another Python than ``python``.
    """
    info = read_info(tap)
    if info.role != "seed":
        raise ConfigurationError(
            f"{tap} is the state of a server, and a package ships what a server begins with",
            cure="give the seed: what mktap or app.save() has written",
        )
    probe = probe_tap(tap, allowed=allowed)
    folder = f"usr/lib/{package}"
    seed = shipped_seed(tap)
    tree.add_file(f"{folder}/__main__.py", launcher_text(package))
    tree.add_file(f"{folder}/server.tap", seed)
    parts = source.add_parts(tree, f"{folder}/vendor", sorted(probe.modules))
    own = own_modules(probe.modules, Environment(), _top_modules(tree, f"{folder}/vendor/"))
    for top in own:
        add_module(tree, f"{folder}/app", top, probe.path)
    files = compiled_files(tree)
    tags = {tag for part in parts for tag in part.tags} | set(_own_tags(files, f"{folder}/app/"))
    depends, interpreter = python_dependency(tags)
    if python is not None:
        depends, interpreter = _just(python, depends, interpreter)
    contents = Contents(
        info=info,
        package=package,
        modules=tuple(sorted(probe.modules)),
        parts=tuple(parts),
        interpreter=interpreter,
        depends=(depends, *standard_dependencies(probe.standard), *library_dependencies(files)),
        architecture=architecture_of(files),
        epoch=epoch_of(info) if epoch is None else epoch,
        compiled=files,
        credentials=probe.credentials,
    )
    tree.add_file(f"{folder}/manifest.json", _manifest(tree, folder, contents, seed, [*allowed, *own]))
    return contents


def epoch_of(info: TapInfo) -> int:
    """Return the time that a package's files get: ``$SOURCE_DATE_EPOCH``, else when the tap was frozen.

    Raises:
        UsageError: the variable is no number.
    """
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    if given:
        if not given.isdecimal():
            raise UsageError(f"SOURCE_DATE_EPOCH is {given!r:.40}", cure="set it to seconds since 1970")
        return int(given)
    return calendar.timegm(time.strptime(info.created[:19], "%Y-%m-%dT%H:%M:%S"))


def _top_modules(tree: Tree, folder: str) -> set[str]:
    found = {path.removeprefix(folder).partition("/")[0] for path, _ in tree if path.startswith(folder)}
    return {name.partition(".")[0] for name in found}


def _own_tags(files: Iterable[str], folder: str) -> list[str]:
    """Return tags, as of wheels, for the application's own extensions."""
    found = (re.search(r"\.cpython-3(\d+)[^/]*\.so$", path) for path in files if path.startswith(folder))
    return [f"cp3{match[1]}-cp3{match[1]}-linux" for match in found if match]


def _just(python: str, depends: str, interpreter: str) -> tuple[str, str]:
    if not re.fullmatch(r"3\.\d{1,2}", python):
        raise UsageError(f"{python!r:.40} is no version of Python", cure="write it as 3.11 (--python)")
    if "(" not in depends and depends != f"python{python}":
        raise UsageError(
            f"what is compiled here runs with {depends} only, not with Python {python}",
            cure=f"leave --python out, or make the package with Python {python}",
        )
    return f"python{python}", f"/usr/bin/python{python}"


def _manifest(tree: Tree, folder: str, contents: Contents, seed: bytes, allowed: list[str]) -> str:
    """Return what is in the package and how it is started, for its launcher and for programs."""
    sums = {}
    for path, node in tree:
        if node.is_file and path.startswith(f"{folder}/"):
            total = hashlib.sha256()
            for block in node.read():
                total.update(block)
            sums[path.removeprefix(f"{folder}/")] = total.hexdigest()
    document = {
        "format": 1,
        "package": contents.package,
        "application": contents.info.name,
        "lineage": contents.info.lineage,
        "seed": hashlib.sha256(seed).hexdigest(),
        "versions": {"taphouse": version(), "tap": dict(contents.info.versions)},
        "interpreter": contents.interpreter,
        "allow_modules": sorted(set(allowed)),
        "modules": list(contents.modules),
        "parts": {part.name: part.version for part in contents.parts},
        "files": sums,
    }
    return json.dumps(document, indent=1, ensure_ascii=True) + "\n"
