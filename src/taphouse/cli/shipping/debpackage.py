"""A Debian package from a tap: what `tap2deb` does, without its command line.

Everything is looked at before the first byte is written, and the file is there
whole or not at all.  This module must never run dpkg.
"""

from __future__ import annotations

import hashlib

from taphouse.cli.shipping.comparing import AptQuestion, compare_with_file, compare_with_installed
from taphouse.cli.shipping.outputs import check_output, output_path
from taphouse.cli.shipping.packagetree import PackageOrder, PackageTree, grow_tree, plan_tree
from taphouse.packaging import PartsSource, control_fields, maintainer_scripts, without_epoch, write_deb
from taphouse.value import Value

__all__ = ["MadeDeb", "make_deb"]


class MadeDeb(Value, kw_only=True):
    """What came of it.

    Args:
        path: the file.
        package: what is in it.
        warnings: lines for whoever made it.
    """

    path: str
    package: PackageTree
    warnings: tuple[str, ...]


def make_deb(order: PackageOrder, source: PartsSource, output: str = ".", *, writes: bool = True) -> MadeDeb:
    """Make a package.

    Args:
        order: what is wanted.
        source: where distributions come from.
        output: the file to make, or a folder for ``NAME_VERSION_MACHINE.deb``.
        writes: whether the file is written.

    Raises:
        UsageError: an option asks for what cannot be.
        ConfigurationError: something that has to go in is missing or cannot be shipped.
        CannotCreateError, NotPermittedError: the file cannot be written.
    """
    plan = plan_tree(order)
    name, version = plan.about.name, order.version
    check_output(output, [order.tap])
    compare_with_file(output, name, version)
    warnings = [compare_with_installed(name, version)]
    with AptQuestion(name) as asked:
        package = grow_tree(plan, source)
        warnings.append(asked.warning(plan.about.maintainer))
    contents = package.contents
    full_name = f"{name}_{without_epoch(version)}_{contents.architecture}.deb"
    path = output_path(output, full_name, [order.tap])
    same, before = compare_with_file(path, name, version), _sum_of(path)
    if writes:
        write_deb(
            path,
            control_fields(package.about, contents.architecture, package.depends),
            package.tree,
            epoch=contents.epoch,
            scripts=maintainer_scripts(package.upkeep),
            conffiles=[f"/etc/{name}/{name}.conf"],
        )
    if _sum_of(path) != before:
        warnings.append(same)
    return MadeDeb(path=path, package=package, warnings=tuple(filter(None, warnings)))


def _sum_of(path: str) -> bytes:
    """Return a sum of a file, of which nothing is there if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return b""
