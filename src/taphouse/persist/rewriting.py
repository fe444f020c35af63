"""Rewriting: the entries of a big container become new chunks, some in each epoch.

Operations on a container outgrow its chunks, so now and then it has to be written
anew; a million entries in one turn of the loop would be a stall of 0.2 s.  So its
entries, of a dict its keys, are copied by reference at the end of one epoch, and the
copy becomes chunks along with that epoch and the next ones, under numbers that are
not in use.
Meanwhile operations are done on the old chunks, and a crash finds those complete.
The epoch with the last chunk says in the container's row that it is the new chunks
from now on, and the operations since the copy.

The copy stays true: in it are values that do not change, references to rows, and
small containers written inline.  Such a one may be written as it is later, and so is
the value of a key (None for one that is deleted since): the operations that made it
so are done again when the tap is read, and end the same.  Copying the values too
would touch each of them in memory, 40 ms for a million; the keys alone take 10.

Writing only those chunks anew in which something changed was weighed: it needs to
know where each key lies, which costs memory for every entry, and random changes
touch all chunks before they are as much as the data.

This module must never know files, ledgers or epochs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from taphouse.persist.containers import CHUNK_ENTRIES
from taphouse.persist.records import Base
from taphouse.persist.schema import CHUNKS_PER_OID

__all__ = ["Rewriting", "other_half"]

CHUNK_BYTES: Final = 1 << 16
"""Chunks of large entries hold fewer of them, so that they are about this big at most."""
FIRST_ENTRIES: Final = 64
"""Entries of the first chunk, before it is known how big they are."""
_HALF: Final = CHUNKS_PER_OID // 2


def other_half(first: int) -> int:
    """Return the first number of the half that chunks from ``first`` on do not use."""
    return 0 if first else _HALF


class Rewriting:
    """One container on its way into new chunks.

    Args:
        container: as it is at the end of epoch ``since``.
        first: number of the first new chunk.
        since: the epoch.

    Attributes:
        size: bytes of the chunks so far.
        changes: bytes of operations since the copy, kept by the caller.
    """

    def __init__(self, container: Any, first: int, since: int) -> None:
        self.container = container
        self.since = since
        self.size = 0
        self.changes = 0
        self._first = first
        self._count = 0
        self._step = FIRST_ENTRIES
        # Reversed, so that what was written is dropped from the end, and nothing is left to drop at once.
        self._entries = list(container)
        self._entries.reverse()
        self._value_of = partial(dict.get, container) if isinstance(container, dict) else None

    @property
    def is_done(self) -> bool:
        """Whether all entries are written."""
        return not self._entries

    @property
    def base(self) -> Base:
        """What the container's row has to say when all entries are written."""
        return self._first, self._count, self.since

    def take(self, size: int, write: Callable[[list[Any]], bytes]) -> dict[int, bytes]:
        """Return the next chunks by their numbers, at least one and about ``size`` bytes.

        Args:
            size: bytes.
            write: makes a chunk of entries, of a dict keys and values in turn.
        """
        made: dict[int, bytes] = {}
        while size > 0 and self._entries:
            part = self._entries[: -self._step - 1 : -1]
            del self._entries[-self._step :]
            if self._value_of is not None:
                flat: list[Any] = [None] * (2 * len(part))
                flat[::2] = part
                flat[1::2] = map(self._value_of, part)
                data = write(flat)
            else:
                data = write(part)
            made[self._first + self._count] = data
            self._count += 1
            self.size += len(data)
            size -= len(data)
            self._step = self._next_step(len(data) / len(part))
        return made

    def _next_step(self, entry_bytes: float) -> int:
        step = min(CHUNK_ENTRIES, max(1, int(CHUNK_BYTES / entry_bytes)))
        # However big they are, all entries must find a number.
        return max(step, len(self._entries) // (_HALF // 2) + 1)
