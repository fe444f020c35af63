"""deb: a Debian package from a tree, as deb(5) has it, without dpkg.

The same input gives the same bytes, whoever builds it, where and when.  This
module must never know what the files are for.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence

from taphouse.packaging.ar import ArWriter
from taphouse.packaging.paragraph import format_paragraph
from taphouse.packaging.tarball import check_epoch, write_tar, xz_into
from taphouse.packaging.tree import Tree
from taphouse.wholefile import whole_file

__all__ = ["installed_kib", "write_deb"]


def write_deb(
    path: str | os.PathLike[str],
    fields: Mapping[str, str],
    tree: Tree,
    *,
    epoch: int,
    scripts: Mapping[str, str] | None = None,
    conffiles: Sequence[str] = (),
) -> None:
    """Write a binary package; ``path`` is whole afterwards, or as it was.

    Args:
        path: the file to make.
        fields: of the control file, without ``Installed-Size``.
        tree: the files to install.
        epoch: time of all files, seconds since 1970.
        scripts: name (``postinst``) -> text of the maintainer scripts.
        conffiles: absolute paths of the files that an administrator may edit.

    Raises:
        CannotCreateError, NotPermittedError: if it cannot be written.
        ConfigurationError: a file that is copied into it cannot be read, or changes meanwhile.
        UsageError: ``epoch`` cannot be the time of a package's files.
    """
    check_epoch(epoch)
    sums = _md5sums(tree)
    for name in conffiles:
        if name.lstrip("/") not in sums or not name.startswith("/"):
            raise ValueError(f"{name} is no file of the package")
    control = Tree()
    size = {"Installed-Size": str(installed_kib(tree))}
    control.add_file("control", format_paragraph({**fields, **size}))
    kept = {name.lstrip("/") for name in conffiles}
    control.add_file("md5sums", "".join(f"{md5}  {name}\n" for name, md5 in sums.items() if name not in kept))
    if conffiles:
        control.add_file("conffiles", "".join(f"{name}\n" for name in conffiles))
    for name, text in (scripts or {}).items():
        control.add_file(name, text, 0o755)
    with whole_file(path) as file:
        archive = ArWriter(file, epoch)
        with archive.member("debian-binary") as member:
            member.write(b"2.0\n")
        with archive.member("control.tar.xz") as member, xz_into(member) as packed:
            write_tar(control, packed, epoch)
        with archive.member("data.tar.xz") as member, xz_into(member) as packed:
            write_tar(tree, packed, epoch, sums)


def installed_kib(tree: Tree) -> int:
    """Return what Debian policy 5.6.20 takes for the size on disk: files in whole KiB, 1 for all else."""
    return sum(-(-node.size // 1024) if node.is_file else 1 for _, node in tree)


def _md5sums(tree: Tree) -> dict[str, str]:
    sums = {}
    for path, node in tree:
        if node.is_file:
            total = hashlib.md5(usedforsecurity=False)
            for block in node.read():
                total.update(block)
            sums[path] = total.hexdigest()
    return sums
