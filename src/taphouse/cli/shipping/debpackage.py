"""A Debian package from a tap: what `tap2deb` does, without its command line.

Everything is looked at before the first byte is written, and the file is there
whole or not at all.  This module must never run dpkg.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Iterator

from taphouse.cli.shipping.comparing import AptQuestion, compare_with_file, compare_with_installed
from taphouse.cli.shipping.contents import Contents, add_contents, epoch_of
from taphouse.cli.shipping.launcher import command_text
from taphouse.cli.shipping.maintaining import find_maintainer
from taphouse.errors import CannotCreateError, ConfigurationError, NotPermittedError, UsageError
from taphouse.packaging import (
    About,
    PartsSource,
    Tree,
    UnitSettings,
    Upkeep,
    changelog_text,
    check_package_name,
    check_version,
    compiled_files,
    conffile_text,
    control_fields,
    copyright_text,
    find_build_paths,
    gzipped,
    lintian_overrides,
    maintainer_scripts,
    make_units,
    man_page,
    package_name,
    sbom_text,
    sysusers_text,
    upgrade_check_text,
    without_epoch,
    write_deb,
)
from taphouse.persist import TapInfo, read_info
from taphouse.value import Value, replace

__all__ = ["DebOptions", "MadeDeb", "check_tree", "make_deb", "refuse_account"]

_KEPT_BACKUPS = "7"
_LONGEST_LICENSE = 1 << 20


class DebOptions(Value, kw_only=True):
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
        output: the file to make, or its folder.
        allowed: modules, as by ``--allow-module``.
        writes: whether the file is written.
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
    output: str = "."
    allowed: tuple[str, ...] = ()
    writes: bool = True


class MadeDeb(Value, kw_only=True):
    """What came of it.

    Args:
        path: the file.
        about: what it says of itself.
        contents: what a server needs, that is in it.
        tree: all files.
        units: systemd's, by name.
        depends: relations.
        account: see `DebOptions`.
        warnings: lines for whoever made it.
    """

    path: str
    about: About
    contents: Contents
    tree: Tree
    units: dict[str, str]
    depends: tuple[str, ...]
    account: str
    warnings: tuple[str, ...]


def make_deb(options: DebOptions, source: PartsSource) -> MadeDeb:
    """Make a package.

    Raises:
        UsageError: an option asks for what cannot be.
        ConfigurationError: something that has to go in is missing or cannot be shipped.
        CannotCreateError, NotPermittedError: the file cannot be written.
    """
    info = read_info(options.tap)
    name = check_package_name(options.name) if options.name else package_name(info.name)
    check_version(options.version)
    if options.account == "root":
        raise UsageError("a package's server does not run as root", cure="leave --user out, or name another")
    maintainer = find_maintainer(options.maintainer)
    refuse_account(info)
    # All that can be wrong with the options is found before the costly part.
    make_units(_unit_settings(options, info, name, "/usr/bin/python3", ()), info.plan)
    license_name, license_text = _license(options.license)
    about = About(
        name=name,
        version=options.version,
        maintainer=maintainer,
        epoch=epoch_of(info) if options.epoch is None else options.epoch,
        synopsis=options.description or _synopsis(options.protocol),
        description=options.long_description,
        license=license_name,
        license_text=license_text,
    )
    _check_folder(options.output)
    compare_with_file(options.output, name, options.version)
    warnings = [compare_with_installed(name, options.version)]
    tree = Tree()
    with AptQuestion(name) as asked:
        contents = add_contents(
            tree,
            options.tap,
            source,
            package=name,
            python=options.python or None,
            epoch=about.epoch,
            allowed=options.allowed,
        )
        warnings.append(asked.warning(maintainer))
    about = replace(about, parts=contents.parts)
    settings = _unit_settings(options, info, name, contents.interpreter, contents.credentials)
    units = make_units(settings, info.plan)
    upkeep = Upkeep(
        package=name,
        units=tuple(unit for unit, text in units.items() if "[Install]" in text),
        python=_exact(contents.interpreter),
        account=options.account,
        version=options.version,
    )
    depends = _add_system_files(tree, about, contents, units, upkeep)
    check_tree(tree, info)
    path = _output_path(options.output, about, contents)
    same, before = compare_with_file(path, name, options.version), _sum_of(path)
    if options.writes:
        write_deb(
            path,
            control_fields(about, contents.architecture, depends),
            tree,
            epoch=contents.epoch,
            scripts=maintainer_scripts(upkeep),
            conffiles=[f"/etc/{name}/{name}.conf"],
        )
    if _sum_of(path) != before:
        warnings.append(same)
    return MadeDeb(
        path=path,
        about=about,
        contents=contents,
        tree=tree,
        units=units,
        depends=depends,
        account=options.account,
        warnings=tuple(filter(None, warnings)),
    )


def _synopsis(protocol: str) -> str:
    """Return what it is on a line that does not begin with the package's name, which lintian minds."""
    return f"server that speaks {protocol} and remembers" if protocol else "server that remembers"


def _unit_settings(
    options: DebOptions, info: TapInfo, name: str, interpreter: str, credentials: tuple[str, ...]
) -> UnitSettings:
    command = (interpreter, "-ISB", f"/usr/lib/{name}")
    return UnitSettings(
        package=name,
        description=options.description or f"{options.protocol or info.name}, a server that remembers",
        start=(*command, "run"),
        backup=(*command, "backup", "--keep", _KEPT_BACKUPS),
        check=(*command, "check-upgrade"),
        profile=options.profile,
        account=options.account,
        sockets=options.sockets,
        allow_jit=options.allow_jit,
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
    if overrides := lintian_overrides(name, compiled_files(tree), folders):
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


def _check_folder(output: str) -> None:
    """Refuse a folder in which nothing can be made; what else can go wrong there shows when it does."""
    folder = output if os.path.isdir(output) or output.endswith("/") else os.path.dirname(output) or "."
    if not os.path.isdir(folder):
        raise CannotCreateError(f"{folder}: is no folder", cure="name one that is there (-o)")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise NotPermittedError(f"{folder}: may not be written", cure="choose another folder (-o)")


def _sum_of(path: str) -> bytes:
    """Return a sum of a file, of which nothing is there if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return b""


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


def _output_path(given: str, about: About, contents: Contents) -> str:
    name = f"{about.name}_{without_epoch(about.version)}_{contents.architecture}.deb"
    if given == ".":
        return name
    return os.path.join(given, name) if os.path.isdir(given) or given.endswith("/") else given
