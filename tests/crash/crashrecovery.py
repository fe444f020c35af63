"""Recovering one state of the disk with the real code, and what it turns out to hold.

It must never know how the state came about.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import os
import pickle
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import crashcounter

from taphouse.durable import ClassRecord
from taphouse.errors import TaphouseError
from taphouse.persist import Freezer, open_state, read_info, thaw, walfile

__all__ = ["Found", "Recovery", "memory_folder"]

_REMEMBERED = 200
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
        self._place.mkdir()
        self._laid: dict[str, bytes] = {}
        self._lies: dict[str, bytes] = {}
        self._known: dict[tuple[object, ...], Any] = {}
        self._looked: dict[bytes, tuple[int, int, str]] = {}

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
        self._laid = {name: content for name, content in files.items() if ".tap" in name}
        seed, moved = SEED in files, None
        count = alone = aside = -1
        if seed and self._once(self._count_objects, SEED) < crashcounter.TWINS:
            return Found(wrong="the seed lacks objects")
        if ASIDE in files:
            aside, _, wrong = self._once(self._look, ASIDE)
            if wrong:
                return Found(wrong="what was set aside is not atomic")
        if STATE in files:
            count, alone, wrong = self._once(self._look, STATE)
            if wrong:
                return Found(wrong=f"not atomic at {count}: {wrong} disagree")
            if go_on and (wrong := self._go_on(count)):
                return Found(wrong=wrong)
            if move and f"{STATE}-wal" in files:
                moved = self._move(files[STATE])
        return Found(seed, count, alone, aside, f"{STATE}-wal" in files, moved=moved)

    def _once(self, ask: Callable[[str], Any], name: str) -> Any:
        """Ask a tap something, unless the same one, byte by byte, was asked before: states share taps."""
        key = (name, *(self._laid.get(part) for part in (name, f"{name}-wal")))
        if key not in self._known:
            if len(self._known) > _REMEMBERED:
                self._known.clear()
            try:
                self._known[key] = ask(name)
            except TaphouseError as error:
                self._known[key] = error
        found = self._known[key]
        if isinstance(found, TaphouseError):
            raise found
        return found

    def _count_objects(self, name: str) -> int:
        self._lay()
        return read_info(self._place / name).counts["objects"]

    def _look(self, name: str) -> tuple[int, int, str]:
        """Return the counter, that of the plain object, and what does not agree."""
        self._lay()
        store = open_state(self._place / name)
        # Torn writes behind the last commit are read, and make no other content: it is thawed once.
        image = store._image
        assert image is not None
        content = (image.meta, image.classes, image.pages, image.chunks, image.deltas, image.journal)
        key = hashlib.blake2b(pickle.dumps(content, 5)).digest()
        if key not in self._looked:
            made = _counter(thaw(store, _find).root)
            alone = -1 if made.cupboard is None else made.cupboard.drawer.alone
            self._looked[key] = made.count, alone, crashcounter.whole(made)
        return self._looked[key]

    def _lay(self) -> None:
        """Put the files where the real code finds them; what lies there already stays."""
        for name in set(self._lies) - set(self._laid):
            (self._place / name).unlink()
            del self._lies[name]
        for name, content in self._laid.items():
            if self._lies.get(name) is not content:
                (self._place / name).write_bytes(content)
                self._lies[name] = content

    def _thaw(self, name: str = STATE) -> Any:
        return _counter(thaw(open_state(self._place / name), _find).root)

    def _go_on(self, count: int) -> str:
        """Start from the state, step, stop, and look."""
        self._lay()
        self._lies.clear()
        try:
            return self._start_and_stop(count)
        finally:
            for path in self._place.iterdir():
                path.unlink()

    def _start_and_stop(self, count: int) -> str:
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
        self._laid = {STATE: content}
        self._lay()
        try:
            return int(self._thaw().count)
        except TaphouseError:
            return -1


def _counter(root: Any) -> Any:
    return next(listener.factory for listener in root.listeners if hasattr(listener.factory, "twins"))
