"""Beginning a state tap: opening the one that is there, or making it with the first commit.

Nothing is written before that commit: a start that fails leaves every file as it
was.  This module must never know objects.
"""

from __future__ import annotations

import os
from pathlib import Path

from taphouse.errors import NotPermittedError, StateExistsError, TapError
from taphouse.persist.image import Image
from taphouse.persist.origin import fresh_meta
from taphouse.persist.reading import info_of, load_image
from taphouse.persist.schema import Mark, Meta
from taphouse.persist.store import SqliteStore

__all__ = ["create_state", "load_state", "open_state"]


def open_state(path: str | os.PathLike[str]) -> SqliteStore:
    """Open a state tap to go on with it; the caller holds its :class:`TapLock`.

    Nothing is written before the first commit.

    Raises:
        TapError: if it is damaged, no state tap, or its WAL is missing or foreign.
        NotPermittedError: if it may not be read and written.
    """
    name = Path(os.path.realpath(path))
    return SqliteStore(name, load_state(name), exists=True)


def load_state(name: Path) -> Image:
    """Return the content of a state tap that may be written; errors as of `open_state`."""
    image = load_image(name, in_place=True)
    _check_role(image.meta, name)
    return image


def _check_role(meta: Meta, name: Path) -> None:
    if meta.role != "state":
        raise TapError("is a seed, which is only ever read", path=str(name), cure="start it with -f")
    if not os.access(name, os.W_OK) or not os.access(name.parent, os.W_OK):
        raise NotPermittedError(f"{name}: it or its folder may not be written", cure="run as a user who may")


def create_state(
    path: str | os.PathLike[str], *, seed: str | os.PathLike[str] | None, fresh: bool = False
) -> SqliteStore:
    """Prepare a state tap that appears, whole, with the first commit; the caller holds its :class:`TapLock`.

    Args:
        path: of the state tap.
        seed: what it begins with, or None if the application is made by code.
        fresh: a state tap that is there already, whole or damaged, is set aside by the first commit.

    Raises:
        StateExistsError: if there is a state tap already that holds commits beyond its base.
        TapError: if the seed is damaged, or no seed.
    """
    name = Path(os.path.realpath(path))
    if name.exists() and not fresh:
        before = info_of(load_image(name, in_place=True), name)
        if before.epoch > before.base_epoch or before.role != "state":
            raise StateExistsError(
                "holds newer state",
                path=str(name),
                cure=f"run it (twistd -f {name.name}), or set it aside (--fresh)",
            )
    if seed is not None:
        source = Path(seed)
        image = load_image(source)
        if image.meta.role != "seed":
            raise StateExistsError("is no seed", path=str(source), cure=f"go on with it: twistd -f {source}")
    else:
        image = Image(fresh_meta(None), Mark())
    store = SqliteStore(name, image, exists=False)
    store.sets_aside = fresh
    return store
