"""Backups that are kept in a folder, the newest so many of them, and put back when they are needed.

Only files that were made here, and that nobody ran since, are ever removed.  It
must never stop a server, nor touch its tap except through it.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

from taphouse.cli.inspecting.copying import copy_closed
from taphouse.cli.inspecting.servers import back_up, find_running
from taphouse.errors import CannotCreateError, ConfigurationError, TaphouseError
from taphouse.persist import (
    TapInfo,
    TapLock,
    check_integrity,
    find_info,
    put_in_place,
    read_info,
    read_unused,
    remove_tap,
)

__all__ = ["back_up_into", "restore"]

_STAMP = r"-(\d{8}T\d{6}Z)(?:-(\d{1,4}))?\.tap"


def back_up_into(which: str, folder: str, keep: int) -> list[str]:
    """Copy the state of a server into a folder, under a name with the time, and remove what is too old.

    Args:
        which: a running server's name, or a tap.
        folder: where to; it must exist.
        keep: how many backups of this server remain, the new one counted in; 0 for all.

    Returns:
        What to say.

    Raises:
        TapError: if the backup cannot be read back; no older one is removed then.
        CannotCreateError: if it cannot be made.
    """
    entry = find_running(which)
    name = entry.name if entry is not None and entry.tap else read_info(which).name
    target = _fresh_name(folder, name)
    said = [back_up(which, str(target), fresh=True)]
    check_integrity(target)
    made = read_info(target)
    if keep:
        said += _prune(target, made, keep)
    return said


def _fresh_name(folder: str, name: str) -> Path:
    if not os.path.isdir(folder):
        raise CannotCreateError(f"{folder} is no folder", cure="make it, or give another with -o")
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    target = Path(folder, f"{name}-{stamp}.tap")
    number = 1
    while os.path.lexists(target):
        number += 1
        target = target.with_name(f"{name}-{stamp}-{number}.tap")
    return target


def _prune(made: Path, info: TapInfo, keep: int) -> list[str]:
    """Remove the oldest backups of the same lineage; the one just made always stays."""
    pattern = re.compile(re.escape(info.name) + _STAMP)
    found: list[tuple[str, int, Path]] = []
    said: list[str] = []
    for path in made.parent.iterdir():
        match = pattern.fullmatch(path.name)
        if match is None or path == made or path.is_symlink() or not path.is_file():
            continue
        try:
            other = read_unused(path)
        except TaphouseError as error:
            said.append(f"{path}: left alone: {error.message.removeprefix(f'{path}: ')}")
            continue
        if other is not None and (other.name, other.lineage) == (info.name, info.lineage):
            found.append((match[1], int(match[2] or 1), path))
    for _stamp, _number, path in sorted(found, reverse=True)[keep - 1 :]:
        try:
            remove_tap(path)
        except TaphouseError as error:
            said.append(f"{path}: left alone: {error.message.removeprefix(f'{path}: ')}")
        else:
            said.append(f"{path}: removed, {keep} newer one{'s' if keep != 1 else ''} kept.")
    return said


def restore(backup: str, path: str, *, force: bool = False) -> list[str]:
    """Put a backup in the place of a stopped server's tap; what was there is kept beside it.

    Args:
        backup: a tap; it is only read.
        path: the server's tap; it need not exist.
        force: also if it is of another application.

    Returns:
        What to say.

    Raises:
        TapError: if the backup is damaged.
        ConfigurationError: if it is not of the application whose tap is there.
        AlreadyRunningError: if a server runs there.
        CannotCreateError, NotPermittedError: if it cannot be written.
    """
    target = Path(os.path.realpath(path))
    check_integrity(backup)
    info = read_info(backup)
    if os.path.realpath(backup) == str(target):
        raise ConfigurationError(f"{backup} is that tap itself", cure="name the backup first, then the tap")
    lock = TapLock(target)
    lock.acquire(wait_s=0)
    try:
        before = find_info(target)
        if before is not None and not force:
            _refuse_foreign(info, before, backup, path)
        kept = _put_back(backup, target)
    finally:
        lock.release()
    said = [f"{path}: {info.role} of {info.name} as of epoch {info.epoch}, lineage {info.lineage}."]
    if kept is not None:
        epoch = f"epoch {before.epoch}, " if before is not None else "damaged, "
        lineage = f"lineage {before.lineage}" if before is not None else "lineage unknown"
        shown = os.path.join(os.path.dirname(path), kept.name)
        said.append(f"{shown}: what was there: {epoch}{lineage}.")
    return said


def _put_back(backup: str, target: Path) -> Path | None:
    temporary = target.with_name(f".{target.name}.{os.urandom(4).hex()}.tmp")
    try:
        copy_closed(backup, str(temporary))
        check_integrity(temporary)
        return put_in_place(temporary, target, keeps=True)
    finally:
        temporary.unlink(missing_ok=True)


def _refuse_foreign(info: TapInfo, before: TapInfo, backup: str, path: str) -> None:
    if info.name != before.name:
        raise ConfigurationError(
            f"{backup} is of application {info.name}, and {path} of {before.name}",
            cure="name the right one, or add --force",
        )
    if info.role == "seed" and before.role == "state":
        raise ConfigurationError(
            f"{backup} is a seed, and {path} holds state", cure=f"start it: twistd -f {backup} --fresh"
        )
