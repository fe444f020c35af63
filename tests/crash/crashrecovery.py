"""Recovering one state of the disk with the real code, and what it turns out to hold.

It must never know how the state came about.
"""

from __future__ import annotations

import functools
import importlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import crashcounter

from taphouse.durable import ClassRecord
from taphouse.errors import TaphouseError
from taphouse.persist import Freezer, open_state, read_info, thaw, walfile

__all__ = ["Found", "Recovery", "memory_folder"]

SEED, STATE, ASIDE = "counted-start.tap", "counted-shutdown.tap", "counted-shutdown.tap.1"


@dataclass(frozen=True, slots=True)
class Found:
    """What a state of the disk holds.

    Args:
        seed: there is a seed, and it is whole.
        count: of the counter; -1 if there is no state.
        alone: of the plain object; -1 if there is none.
        aside: the count of the tap that was set aside; -1 if there is none.
        has_wal: the state is two files.
        wrong: why it is no good, or "".
        moved: the count in the main file without its WAL; -1 if it is refused then; None if not tried.
    """

    seed: bool = False
    count: int = -1
    alone: int = -1
    aside: int = -1
    has_wal: bool = False
    wrong: str = ""
    moved: int | None = None


def memory_folder() -> str | None:
    """Return a folder in memory, None if the machine has none."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK | os.X_OK) else None


def _find(record: ClassRecord) -> Any:
    place: Any = importlib.import_module(record.module)
    for part in record.qualname.split("."):
        place = getattr(place, part)
    return place


class Recovery:
    """A private folder in memory to recover in; a context manager."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="taphouse-recovery-", dir=memory_folder()))
        self._place = self.folder / "disk"
        self._temporary = self.folder / "tmp"
        self._temporary.mkdir()

    def __enter__(self) -> Recovery:
        # States have most frames in common; the sum of each is pure Python, and a pure function.
        self._checksum = walfile.wal_checksum
        walfile.wal_checksum = functools.lru_cache(1 << 14)(walfile.wal_checksum)
        self._before = os.environ.get("TMPDIR")
        os.environ["TMPDIR"] = str(self._temporary)
        return self

    def __exit__(self, *_: object) -> None:
        walfile.wal_checksum = self._checksum
        del os.environ["TMPDIR"]
        if self._before is not None:
            os.environ["TMPDIR"] = self._before
        shutil.rmtree(self.folder)

    def recover(self, files: dict[str, bytes], *, go_on: bool = False, move: bool = False) -> Found:
        """Recover a state.

        Args:
            files: name -> content.
            go_on: also start from it, change something, stop, and look again.
            move: also try what happens if the tap is moved without its WAL.
        """
        try:
            return self._recover(files, go_on=go_on, move=move)
        except TaphouseError as error:
            return Found(wrong=f"refused: {str(error).replace(str(self.folder), '')}")

    def _recover(self, files: dict[str, bytes], *, go_on: bool, move: bool) -> Found:
        self._lay(files)
        seed, count, alone, aside, moved = False, -1, -1, -1, None
        if SEED in files:
            if read_info(self._place / SEED).counts["objects"] < crashcounter.TWINS:
                return Found(wrong="the seed lacks objects")
            seed = True
        if ASIDE in files:
            made = self._thaw(ASIDE)
            if crashcounter.whole(made):
                return Found(wrong="what was set aside is not atomic")
            aside = made.count
        if STATE in files:
            made = self._thaw()
            wrong = crashcounter.whole(made)
            if wrong:
                return Found(wrong=f"not atomic at {made.count}: {wrong} disagree")
            count = made.count
            alone = -1 if made.cupboard is None else made.cupboard.drawer.alone
            if go_on:
                wrong = self._go_on(count)
                if wrong:
                    return Found(wrong=wrong)
            if move and f"{STATE}-wal" in files:
                moved = self._move(files[STATE])
        return Found(seed, count, alone, aside, f"{STATE}-wal" in files, moved=moved)

    def _lay(self, files: dict[str, bytes]) -> None:
        if self._place.exists():
            shutil.rmtree(self._place)
        self._place.mkdir()
        for name, content in files.items():
            if ".tap" in name:
                (self._place / name).write_bytes(content)

    def _thaw(self, name: str = STATE) -> Any:
        return _counter(thaw(open_state(self._place / name), _find).root)

    def _go_on(self, count: int) -> str:
        """Start from the state, step, stop, and look."""
        store = open_state(self._place / STATE)
        thawed = thaw(store, _find)
        freezer = Freezer(thawed.ledger, store, thawed.chunk_bytes)
        _counter(thawed.root).step()
        turn = freezer.freeze(None)
        assert turn is not None
        store.commit(turn)
        store.close()
        made = self._thaw()
        names = {path.name for path in self._place.iterdir()}
        if made.count != count + 1 or crashcounter.whole(made):
            return f"going on from {count} led to {made.count}, {crashcounter.whole(made) or 'whole'}"
        return f"stopping left {names}" if f"{STATE}-wal" in names else ""

    def _move(self, content: bytes) -> int:
        self._lay({STATE: content})
        try:
            return int(self._thaw().count)
        except TaphouseError:
            return -1


def _counter(root: Any) -> Any:
    return next(listener.factory for listener in root.listeners if hasattr(listener.factory, "twins"))
