"""Package tree: all files that a package of a tap installs, whatever the package is written as.

The server's own below ``/usr/lib/PACKAGE``, and what a system wants of it: units, a
command, documentation.  This module must never write a file, nor ask the machine
what is installed on it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator

from taphouse.cli.shipping.contents import Contents, add_contents, epoch_of
from taphouse.cli.shipping.launcher import command_text, command_words
from taphouse.cli.shipping.maintaining import find_maintainer
from taphouse.errors import ConfigurationError, UsageError
from taphouse.packaging import (
    About,
    PartsSource,
    Tree,
    UnitSettings,
    Upkeep,
    changelog_text,
    check_package_name,
    check_version,
    conffile_text,
    copyright_text,
    find_build_paths,
    gzipped,
    lintian_overrides,
    make_units,
    man_page,
    package_name,
    sbom_text,
    settle_profile,
    sysusers_text,
    upgrade_check_text,
)
from taphouse.persist import TapInfo, read_info
from taphouse.value import Value, replace

__all__ = [
    "PackageOrder",
    "PackagePlan",
    "PackageTree",
    "check_tree",
    "grow_tree",
    "plan_tree",
    "refuse_account",
]

_KEPT_BACKUPS = "7"
_LONGEST_LICENSE = 1 << 20


class PackageOrder(Value, kw_only=True):
    """What was asked for.

    Args:
        tap: a seed.
        name: of the package, "" for the application's.
        version: of the package.
        maintainer: ``Name <address>``, "" for whom this machine knows.
        protocol: what it speaks, for its description; "" for the application's name.
        description: on one line, or "".
        long_description: paragraphs, or "".
        license: a short name, a file that holds the text, or "".
        profile: how much the server may see and do; see `taphouse.packaging.PROFILES`.
        account: the one to run as, "" for one that systemd makes.
        python: ``3.11``, "" for what the code needs.
        sockets: let systemd open the ports.
        allow_jit: let it make memory executable.
        epoch: time of the files, ``None`` for when the tap was made.
        allowed: modules, as by ``--allow-module``.
    """

    tap: str
    name: str = ""
    version: str = "1.0"
    maintainer: str = ""
    protocol: str = ""
    description: str = ""
    long_description: str = ""
    license: str = ""
    profile: str = "auto"
    account: str = ""
    python: str = ""
    sockets: bool = True
    allow_jit: bool = False
    epoch: int | None = None
    allowed: tuple[str, ...] = ()


class PackagePlan(Value, kw_only=True):
    """What is known before the costly part; all that can be wrong with an order was found.

    Args:
        order: what was asked for.
        info: of the tap.
        about: what the package says of itself, without its parts.
    """

    order: PackageOrder
    info: TapInfo
    about: About


class PackageTree(Value, kw_only=True):
    """What came of it.

    Args:
        about: what the package says of itself.
        contents: what a server needs, that is in it.
        tree: all files.
        units: systemd's, by name.
        profile: how much the server may see and do.
        upkeep: what is to be done when it is installed and removed.
        depends: relations.
    """

    about: About
    contents: Contents
    tree: Tree
    units: dict[str, str]
    profile: str
    upkeep: Upkeep
    depends: tuple[str, ...]


def plan_tree(order: PackageOrder) -> PackagePlan:
    """Look at an order.

    Raises:
        UsageError: an option asks for what cannot be.
        ConfigurationError: the tap cannot be shipped.
    """
    info = read_info(order.tap)
    name = check_package_name(order.name) if order.name else package_name(info.name)
    check_version(order.version)
    if order.account == "root":
        raise UsageError("a package's server does not run as root", cure="leave --user out, or name another")
    maintainer = find_maintainer(order.maintainer)
    refuse_account(info)
    make_units(_unit_settings(order, info, name, "/usr/bin/python3", ()), info.plan)
    license_name, license_text = _license(order.license)
    about = About(
        name=name,
        version=order.version,
        maintainer=maintainer,
        epoch=epoch_of(info) if order.epoch is None else order.epoch,
        synopsis=order.description or _synopsis(order.protocol),
        description=order.long_description,
        license=license_name,
        license_text=license_text,
    )
    return PackagePlan(order=order, info=info, about=about)


def grow_tree(plan: PackagePlan, source: PartsSource) -> PackageTree:
    """Gather all files of a package, in memory.

    Args:
        plan: of `plan_tree`.
        source: where distributions come from.

    Raises:
        UsageError: the compiled parts need another Python than was asked for.
        ConfigurationError: something that has to go in is missing or cannot be shipped.
    """
    order, info, name = plan.order, plan.info, plan.about.name
    tree = Tree()
    contents = add_contents(
        tree,
        order.tap,
        source,
        package=name,
        python=order.python or None,
        epoch=plan.about.epoch,
        allowed=order.allowed,
    )
    about = replace(plan.about, parts=contents.parts)
    settings = settle_profile(
        _unit_settings(order, info, name, contents.interpreter, contents.credentials), info.plan
    )
    units = make_units(settings, info.plan)
    upkeep = Upkeep(
        package=name,
        units=tuple(unit for unit, text in units.items() if "[Install]" in text),
        python=_exact(contents.interpreter),
        account=order.account,
        version=order.version,
    )
    depends = _add_system_files(tree, about, contents, units, upkeep)
    check_tree(tree, info)
    return PackageTree(
        about=about,
        contents=contents,
        tree=tree,
        units=units,
        profile=settings.profile,
        upkeep=upkeep,
        depends=depends,
    )


def _synopsis(protocol: str) -> str:
    """Return what it is on a line that does not begin with the package's name, which lintian minds."""
    return f"server that speaks {protocol} and remembers" if protocol else "server that remembers"


def _unit_settings(
    order: PackageOrder, info: TapInfo, name: str, interpreter: str, credentials: tuple[str, ...]
) -> UnitSettings:
    command = command_words(name, interpreter)
    return UnitSettings(
        package=name,
        description=order.description or f"{order.protocol or info.name}, a server that remembers",
        start=(*command, "run"),
        backup=(*command, "backup", "--keep", _KEPT_BACKUPS),
        check=(*command, "check-upgrade"),
        profile=order.profile,
        account=order.account,
        sockets=order.sockets,
        allow_jit=order.allow_jit,
        options_file=f"/etc/{name}/{name}.conf",
        credentials=credentials,
    )


def _add_system_files(
    tree: Tree, about: About, contents: Contents, units: dict[str, str], upkeep: Upkeep
) -> tuple[str, ...]:
    """Add what Debian wants of a package, and return what it depends on."""
    name = about.name
    for unit, text in units.items():
        tree.add_file(f"usr/lib/systemd/system/{unit}", text)
    tree.add_file(f"usr/lib/{name}/sbom.json", sbom_text(about))
    tree.add_file(f"usr/lib/{name}/check-upgrade", upgrade_check_text(name, contents.depends), 0o755)
    tree.add_file(f"usr/sbin/{name}", command_text(name, contents.interpreter), 0o755)
    tree.add_file(f"etc/{name}/{name}.conf", conffile_text(name))
    tree.add_file(
        f"usr/share/man/man8/{name}.8.gz", gzipped(man_page(about, contents.info.plan, upkeep.units))
    )
    tree.add_file(f"usr/share/doc/{name}/changelog.gz", gzipped(changelog_text(about)))
    tree.add_file(f"usr/share/doc/{name}/copyright", copyright_text(about))
    folders = [path for path, node in tree if not node.is_file and not node.target]
    if overrides := lintian_overrides(name, contents.compiled, folders):
        tree.add_file(f"usr/share/lintian/overrides/{name}", overrides)
    if not upkeep.account:
        return contents.depends
    tree.add_file(f"usr/lib/sysusers.d/{name}.conf", sysusers_text(upkeep))
    return (*contents.depends, "systemd | systemd-standalone-sysusers | systemd-sysusers")


def _exact(interpreter: str) -> str:
    """Return ``3.11`` of ``/usr/bin/python3.11``, "" if any Python 3 of Debian does."""
    match = re.fullmatch(r"/usr/bin/python(3\.\d+)", interpreter)
    return match[1] if match else ""


def refuse_account(info: TapInfo) -> None:
    """Refuse an application that wants to become another user itself: the unit says whom it runs as."""
    user = info.plan.get("uid")
    if user is not None:
        raise ConfigurationError(
            f"application {info.name} runs as user {user}, and a package gives it an account of its own",
            cure="make the tap without a uid, and choose the account with --user",
        )


def _license(given: str) -> tuple[str, str]:
    """Return the short name of a licence, and its text if a file that holds it was given."""
    if not given or not os.path.isfile(given):
        if "/" in given or given.endswith(".txt"):
            raise UsageError(f"{given}: there is no such file", cure="name a licence or its file (--license)")
        return given, ""
    try:
        with open(given, encoding="utf-8") as file:
            text = file.read(_LONGEST_LICENSE)
    except (OSError, ValueError) as error:
        raise UsageError(f"{given}: cannot be read: {error}", cure="name a text file (--license)") from error
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return first[:80], text


def check_tree(tree: Tree, info: TapInfo) -> None:
    """Refuse what would not be true, or not be there, where the package is installed.

    Raises:
        ConfigurationError: naming the file.
    """
    for path, _ in tree:
        if path.endswith((".pyc", ".pyo")) or "/__pycache__" in path:
            raise ConfigurationError(f"/{path}: is byte code, which is made where it is installed")
    folders = [sys.prefix, os.path.dirname(os.path.abspath(str(info.path))), *_scripts(info)]
    # A folder such as /srv or /home is on every machine.
    found = find_build_paths(tree, [folder for folder in folders if folder.strip("/").count("/")])
    if found:
        more = f" (and {len(found) - 1} files more)" if len(found) > 1 else ""
        raise ConfigurationError(f"{found[0]}{more}", cure="make the path relative, or an option")


def _scripts(info: TapInfo) -> Iterator[str]:
    folder = (info.plan.get("script") or {}).get("folder")
    if folder:
        yield str(folder)
