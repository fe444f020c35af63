"""The store that stores nothing: durability off (``-o``), an object instead of an if.

This module must never open a file for writing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from taphouse.durable import ClassRecord
from taphouse.errors import UsageError
from taphouse.persist.image import Image
from taphouse.persist.reading import TapInfo, info_of, load_image
from taphouse.persist.turns import Outcome, StoreStatistics, Turn

__all__ = ["NullStore"]


class NullStore:
    """Takes every commit and keeps none.

    Args:
        source: a tap to begin with, seed or state, only read; None for an application made by code.

    Raises:
        TapError: if ``source`` is damaged.
    """

    path: Path | None = None
    kind = ""
    probes: tuple[float, ...] = ()
    reserve_refused = ""
    sync_s = 0.0
    needs_tending = False

    def __init__(self, source: str | os.PathLike[str] | None = None) -> None:
        self._image = load_image(Path(source)) if source is not None else None
        self._info = info_of(self._image, Path(source)) if self._image and source is not None else None
        self._epoch = self._image.epoch if self._image else 0
        self._classes = dict(self._image.classes) if self._image else {}
        self._epochs = 0

    @property
    def info(self) -> TapInfo | None:
        """What the tap it began with said; None if there was none."""
        return self._info

    @property
    def epoch(self) -> int:
        """Number of the last commit."""
        return self._epoch

    @property
    def classes(self) -> Mapping[int, ClassRecord]:
        """Class number -> record."""
        return self._classes

    def take_image(self) -> Image | None:
        """Return the content to thaw, once."""
        image, self._image = self._image, None
        return image if image is not None and (image.pages or image.journal) else None

    def commit(self, turn: Turn) -> Outcome:
        """Forget a turn."""
        self._epoch = turn.number
        self._classes.update(turn.epoch.classes)
        self._epochs += 1
        return Outcome.OK

    def fold(self, rows: int = 200) -> bool:
        """Have nothing to tidy up."""
        return False

    def tend(self) -> None:
        """Have nothing to do."""

    def backup(self, path: Path) -> None:
        """Refuse: there is nothing to write.

        Raises:
            UsageError: always.
        """
        raise UsageError("durability is off (-o), so there is no state to back up", cure="start without -o")

    def statistics(self) -> StoreStatistics:
        """Return the number of commits."""
        return StoreStatistics(epochs=self._epochs)

    def close(self) -> None:
        """Have nothing to close."""

    def abandon(self) -> None:
        """Have nothing to abandon."""
