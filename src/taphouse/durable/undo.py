"""Undo: ``with atomic():`` takes back what its block changed if the block raises.

Every tracked write asks :func:`open_log` whether a block is open in its thread
and, if so, appends how to take itself back.  Blocks nest; an inner one is a
savepoint of the outer.  A block is one synchronous segment: if an ``await``
inside it gives control to anybody else, the block is broken, its changes are
undone before the other sees them, and it raises.

This module must never know what a durable object or a container is.
"""

from __future__ import annotations

import sys
from _thread import get_ident
from collections.abc import Callable
from types import TracebackType
from typing import Any, Literal

__all__ = ["BLOCKS", "Atomic", "atomic", "break_suspended", "in_atomic", "open_log"]

Undo = tuple[Callable[..., object], tuple[Any, ...]]

BLOCKS: dict[int, Atomic] = {}
"""Innermost open block by thread.  Empty almost always: the fast paths only ask for its truth."""

SUSPENDED = (
    "an atomic() block was suspended by await: its changes are undone; "
    "await before or after the block, not inside it"
)


def _segment() -> tuple[Any, Any]:
    """Return (running loop, running task) of this thread without importing asyncio."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return None, None
    loop = asyncio._get_running_loop()
    return loop, (None if loop is None else asyncio.current_task(loop))


class Atomic:
    """One ``with atomic():`` block; use :func:`atomic` to make one."""

    __slots__ = ("broken", "log", "loop", "marks", "outer", "task", "thread", "timer")

    def __init__(self) -> None:
        self.log: list[Undo] = []
        self.marks: dict[int, tuple[Any, int]] = {}
        self.outer: Atomic | None = None
        self.thread = 0
        self.broken = False
        self.loop: Any = None
        self.task: Any = None
        self.timer: Any = None

    def __enter__(self) -> Atomic:
        if self.thread:
            raise RuntimeError("an atomic() block is entered once; call atomic() again")
        self.thread = get_ident()
        self.loop, self.task = _segment()
        self.outer = outer = BLOCKS.get(self.thread)
        if outer is not None and outer.task is not self.task:
            outer.break_up()
            self.outer = None
        if self.outer is None and self.loop is not None:
            # Runs only when the loop has control again: then this block must be closed.
            # A wake-up of our own task is always queued behind it.
            self.timer = self.loop.call_soon(self.break_up)
        BLOCKS[self.thread] = self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        if self.broken:
            cancelled = sys.modules["asyncio"].CancelledError if "asyncio" in sys.modules else ()
            if self.task is not None and isinstance(error, cancelled):
                self.task.uncancel()
            raise RuntimeError(SUSPENDED) from error
        if BLOCKS.get(self.thread) is not self:
            raise RuntimeError("atomic() blocks must be closed in the reverse order of their opening")
        if self.outer is None:
            del BLOCKS[self.thread]
        else:
            BLOCKS[self.thread] = self.outer
        if kind is not None:
            self.undo()
        elif self.outer is not None:
            self.outer.log.extend(self.log)
            for key, mark in self.marks.items():
                self.outer.marks.setdefault(key, mark)
        return False

    def undo(self) -> None:
        """Take back every change logged, the last one first."""
        while self.log:
            function, arguments = self.log.pop()
            function(*arguments)
        for row, length in self.marks.values():
            if row.ops is not None:
                # A new list, not a shorter one: containers remember by its token that they are noted.
                row.ops = type(row.ops)(row.ops[:length])
        self.marks.clear()

    def break_up(self) -> None:
        """Undo this block and all around it: its task gave control away inside it."""
        block: Atomic | None = self
        innermost = BLOCKS.get(self.thread)
        if innermost is None or self.broken:
            return
        block = innermost
        while block is not None:
            block.undo()
            block.broken = True
            block = block.outer
        del BLOCKS[self.thread]
        if innermost.task is not None:
            innermost.task.cancel(SUSPENDED)


def atomic() -> Atomic:
    """Make a block whose changes to durable state are all kept or all undone.

    ``with atomic():`` undoes every change made to durable objects and their
    containers inside it if it raises, attached or not, deletions and order
    included.  Volatile (``_v_``) attributes and objects that are only compared
    are not undone.  A nested block is a savepoint.

    Raises:
        RuntimeError: from the block, if an ``await`` inside it suspends.
    """
    return Atomic()


def in_atomic() -> bool:
    """Say whether the calling segment is inside an ``atomic()`` block."""
    return bool(BLOCKS) and open_log() is not None


def open_log() -> list[Undo] | None:
    """Return the undo log of the block the caller is in, or None.

    A block found open by anybody but its own task is suspended: it is broken here,
    so that the caller's changes are not undone with it.
    """
    block = BLOCKS.get(get_ident())
    if block is None:
        return None
    if block.loop is not None:
        task = _segment()[1]
        if task is not block.task:
            block.break_up()
            return None
    return block.log


def mark_row(row: Any) -> None:
    """Remember how many ops ``row`` had before this block first changed it."""
    block = BLOCKS.get(get_ident())
    if block is not None and row.ops is not None and id(row) not in block.marks:
        block.marks[id(row)] = (row, len(row.ops))


def break_suspended() -> None:
    """Break a block of this thread that is open although the loop has control."""
    block = BLOCKS.get(get_ident())
    if block is not None:
        block.break_up()
