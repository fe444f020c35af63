"""Writing seeds: an application that does not run becomes a file to start from.

This module must never touch the objects it saves, nor leave half a file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from taphouse.durable import Durable
from taphouse.errors import CannotCreateError, NotDurableError, TapError
from taphouse.persist.building import build_tap, make_pages, publish, temporary_beside
from taphouse.persist.origin import fresh_meta, plan_text
from taphouse.persist.reading import TapInfo, info_of, load_image
from taphouse.persist.schema import Mark
from taphouse.persist.snapshot import Snapshot

__all__ = ["Plan", "write_seed"]

Plan = dict[str, Any] | Callable[[Mapping[int, int]], dict[str, Any]]
"""The plan itself, or what makes it from ``id(object) -> row number``."""


def write_seed(
    path: str | os.PathLike[str],
    root: Durable,
    plan: Plan,
    *,
    label_of: Callable[[Any], str] | None = None,
    lineage: str = "",
) -> TapInfo:
    """Save an application that does not run, atomically: the old file or the whole new one.

    Args:
        path: of the seed; an existing seed is replaced.
        root: the application.
        plan: what was built; ``plan["name"]`` is the application's name.
        label_of: names an object for messages, or None.
        lineage: of the seed that this one is another edition of; empty begins a new one.

    Returns:
        What the new file says about itself.

    Raises:
        NotDurableError: with the path of the first value that cannot be saved; no file is touched.
        TapError: if a state tap, or no tap at all, has this name.
        CannotCreateError, NotPermittedError: if it cannot be written, or reads back as something else.
    """
    name = Path(path)
    snapshot = Snapshot(root, label_of)
    content = snapshot.write()
    made = plan(snapshot.numbers) if callable(plan) else plan
    try:
        text = plan_text(made)
    except (TypeError, ValueError) as error:
        raise NotDurableError(f"the plan is no JSON: {error}") from error
    _check_replaceable(name)
    meta = fresh_meta(None, text, role="seed", next_oid=content.next_oid)
    if lineage:
        meta = meta.with_(lineage=lineage)
    pages = make_pages(content.rows.items(), 0)
    with temporary_beside(name) as temporary:
        build_tap(temporary, meta, Mark(), content.classes, pages, content.chunks, wal=False)
        info = _read_back(temporary, name)
        publish(temporary, name)
    return info


def _read_back(temporary: Path, name: Path) -> TapInfo:
    """Read what was written with every check a start makes, while an older seed is still there."""
    try:
        return info_of(load_image(temporary, in_place=True), name)
    except TapError as error:
        reason = error.message.removeprefix(f"{temporary}: ")
        raise CannotCreateError(
            f"{name}: what was written cannot be read back: {reason}",
            cure="check the disk, or save elsewhere",
        ) from error


def _check_replaceable(path: Path) -> None:
    """Refuse to overwrite anything but a seed."""
    try:
        size = path.stat().st_size
    except OSError:
        return
    if not size:
        return
    try:
        role = load_image(path).meta.role
    except TapError as error:
        raise CannotCreateError(
            f"{path} is there already and is no intact tap", cure="move it away"
        ) from error
    if role != "seed":
        raise TapError(
            "is the state of a server, not a seed to be replaced",
            path=str(path),
            cure="save under another name, or move it away",
        )
