"""Writing documents: what one describes becomes a tap, whole or not at all.

A tap that holds state is only replaced if that was said, and set aside then.
This module must never know what an application is.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from taphouse.errors import CannotCreateError, StateExistsError, TapError
from taphouse.persist.building import build_tap, make_pages, temporary_beside
from taphouse.persist.composing import Content, compose
from taphouse.persist.jsontext import parse_text
from taphouse.persist.locks import held_lock
from taphouse.persist.problems import Problem, place_text
from taphouse.persist.reading import TapInfo, read_info
from taphouse.persist.renewing import keep_owner
from taphouse.persist.replacing import replace_tap, set_aside
from taphouse.persist.schema import Mark
from taphouse.persist.showing import check_integrity

__all__ = ["check_document", "parse_document", "put_in_place", "refuse_state", "write_document"]


def parse_document(data: bytes, name: str) -> Any:
    """Return the JSON value of a text, which :func:`write_document` is to check.

    Raises:
        TapError: with line and column of what is no JSON.
    """
    try:
        return parse_text(data)
    except Problem as problem:
        where = place_text(problem.place[::-1])
        raise TapError(
            str(problem), path=name, where=where, cure="correct it; nothing was written"
        ) from problem


def check_document(document: Any, name: str) -> None:
    """See that a document describes a tap, and write nothing.

    Args:
        document: a JSON value.
        name: of the document, for messages.

    Raises:
        TapError: naming the place of the first thing that is wrong.
    """
    compose(document, name)


def write_document(
    document: Any, path: str | os.PathLike[str], *, name: str, force: bool = False
) -> Path | None:
    """Make a tap of a document, atomically.

    Args:
        document: a JSON value.
        path: of the tap; a seed that is there is replaced.
        name: of the document, for messages.
        force: set a state that is there aside.

    Returns:
        The new name of what was set aside, or None.

    Raises:
        TapError: if the document is none of a tap.
        StateExistsError: if a state is there, and nothing was said.
        AlreadyRunningError: if a server runs on it.
        CannotCreateError, NotPermittedError: if it cannot be written.
    """
    content = compose(document, name)
    target = Path(os.path.realpath(path))
    if not force:
        refuse_state(Path(path))
    with held_lock(target, wait_s=0), temporary_beside(target) as temporary:
        _build(content, temporary)
        _read_back(temporary, name)
        return put_in_place(temporary, target, keeps=force)


def refuse_state(path: Path) -> None:
    """Refuse to write over anything but a seed.

    Raises:
        StateExistsError: if there is a tap with state.
        CannotCreateError: if there is something else.
    """
    if not os.path.lexists(path):
        return
    try:
        info = read_info(path)
    except TapError as error:
        raise CannotCreateError(
            f"{path} is there already and is no intact tap",
            cure="choose another name; --force sets it aside",
        ) from error
    if info.role != "seed":
        raise StateExistsError(
            f"holds state of {info.name}, epoch {info.epoch}",
            path=str(path),
            cure="choose another name; --force sets it aside",
        )


def put_in_place(temporary: Path, target: Path, *, keeps: bool) -> Path | None:
    """Give a closed tap its name; what has it now is kept beside it, unless it is a seed or not to be kept.

    Returns:
        Where the old one is, or None.

    Raises:
        AlreadyRunningError: if a server runs on it.
        CannotCreateError, NotPermittedError, StorageError: if it cannot be moved.
    """
    if not os.path.lexists(target):
        return replace_tap(temporary, target)
    keep_owner(temporary, target)
    try:
        has_state = read_info(target).role == "state"
    except TapError:
        aside = set_aside(target)  # damaged: it is moved as it is, its WAL with it
        replace_tap(temporary, target)
        return aside
    return replace_tap(temporary, target, keeps=keeps and has_state)


def _build(content: Content, path: Path) -> None:
    is_state = content.meta.role == "state"
    build_tap(
        path,
        content.meta,
        Mark(session=os.urandom(8).hex()) if is_state else Mark(),
        content.classes,
        make_pages(sorted(content.rows.items()), content.meta.epoch),
        content.chunks,
        content.deltas,
        wal=is_state,
    )


def _read_back(path: Path, name: str) -> TapInfo:
    """Read what was written with the checks of a start."""
    try:
        check_integrity(path)
        return read_info(path)
    except TapError as error:
        reason = error.message.removeprefix(f"{path}: ")
        raise TapError(
            f"gives a tap that cannot be read: {reason}", path=name, cure="nothing was written"
        ) from error
