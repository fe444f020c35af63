"""Plain tree: the files of a package in a folder, for tools that make something else of them.

The folder is made beside its final place and then given its name.  This module
must never change a folder that it has not made, unless it is told to replace it.
"""

from __future__ import annotations

import os
import shutil
import tempfile

from taphouse.errors import CannotCreateError, NotPermittedError
from taphouse.packaging import Node, Tree

__all__ = ["write_tree"]


def write_tree(folder: str, tree: Tree, epoch: int, *, replace: bool = False) -> None:
    """Write a tree to a folder that is there whole afterwards, or as it was.

    Args:
        folder: to make; one that is empty may be there.
        tree: what to write, with its modes whatever the umask is.
        epoch: time of everything, seconds since 1970.
        replace: put it in the place of a folder that is not empty, which is removed.

    Raises:
        CannotCreateError: something is in the way, or the disk is full.
        NotPermittedError: the system does not let us write there.
    """
    final = os.path.abspath(folder)
    above = os.path.dirname(final)
    staged = ""
    try:
        _look_at(folder, replace=replace)
        staged = tempfile.mkdtemp(prefix=f".{os.path.basename(final)}.", suffix=".tmp", dir=above)
        _fill(staged, tree, epoch)
        _put(staged, final)
    except OSError as error:
        kind = NotPermittedError if isinstance(error, PermissionError) else CannotCreateError
        raise kind(
            f"{folder}: {error.strerror}", cure="choose a folder that you may make and that has space (-o)"
        ) from error
    finally:
        if staged:
            shutil.rmtree(staged, ignore_errors=True)


def _look_at(folder: str, *, replace: bool) -> None:
    """See whether a folder may be made there."""
    if not os.path.lexists(folder):
        return
    if os.path.islink(folder) or not os.path.isdir(folder):
        raise CannotCreateError(f"{folder}: is there, and is no folder", cure="choose another (-o)")
    if os.listdir(folder) and not replace:
        raise CannotCreateError(
            f"{folder}: is not empty", cure="choose another (-o), or let it be replaced (--force)"
        )


def _fill(folder: str, tree: Tree, epoch: int) -> None:
    folders: list[tuple[str, Node]] = []
    for path, node in tree:
        place = os.path.join(folder, path)
        if node.target:
            os.symlink(node.target, place)
            os.utime(place, (epoch, epoch), follow_symlinks=False)
        elif node.is_file:
            with open(place, "xb") as file:
                file.writelines(node.read())
            os.chmod(place, node.mode)
            os.utime(place, (epoch, epoch))
        else:
            os.mkdir(place)
            folders.append((place, node))
    for place, node in reversed(folders):  # their times change with what is put into them
        os.chmod(place, node.mode)
        os.utime(place, (epoch, epoch))
    os.chmod(folder, 0o755)  # noqa: S103 - as every folder of a system is
    os.utime(folder, (epoch, epoch))


def _put(staged: str, final: str) -> None:
    """Give a folder its name; what has that is set aside first, and removed when the new one is there."""
    aside = f"{staged}.old"
    try:
        os.rename(staged, final)  # takes the place of an empty folder as well
        return
    except OSError:
        if not os.path.isdir(final):
            raise
    os.rename(final, aside)
    try:
        os.rename(staged, final)
    except OSError:
        os.rename(aside, final)
        raise
    shutil.rmtree(aside, ignore_errors=True)
