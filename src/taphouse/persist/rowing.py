"""Writing rows: an object, a container or an opaque value becomes (class number, state).

Shared by snapshots and by the freezer of a running application; how rows get
their numbers is theirs.  This module must never know files, epochs or ledgers.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any, Final

from taphouse.durable import Durable, raw_state
from taphouse.persist.codec import Packer
from taphouse.persist.codes import CHUNKED
from taphouse.persist.containers import CHUNK_ENTRIES, CONTAINER_CIDS, PLAIN_CONTAINERS
from taphouse.persist.instances import instance_state
from taphouse.persist.packer import Packer as PurePacker
from taphouse.persist.packer import Tagged
from taphouse.persist.records import Base, Row
from taphouse.persist.shaping import Classes, Rows, Shaper, container_shape

__all__ = ["RowWriter", "is_shared"]

_BASED: Final = b"\x95\xc7\x00" + bytes([CHUNKED])
"""The front of an array of five whose first item is the tag CHUNKED."""


class RowWriter:
    """Makes rows.

    Args:
        rows: gives row numbers to what a row refers to.
        classes: gives class numbers.
    """

    def __init__(self, rows: Rows, classes: Classes) -> None:
        self._classes = classes
        self._packer = Packer(
            Shaper(rows, classes), numbers=rows.numbers, found=rows.found, embeds=rows.embeds
        )
        self.pack_state = self._packer.pack_state
        # Reference counts tell what is shared among opaque values: only one code path keeps them comparable.
        self._careful = PurePacker(Shaper(rows, classes, opaque=True), careful=True)

    def durable(self, value: Durable) -> Row:
        """Return the row of a durable object.

        Raises:
            PackFailure: if it cannot be written.
        """
        return self._classes.number_of(type(value)), self._packer.pack_state(raw_state(value))

    def container(self, value: Any, since: int = 0) -> tuple[Row, list[bytes]]:
        """Return the row of a tracked container with one of its own, and its chunks if it is a big one.

        Args:
            value: the container.
            since: the epoch whose operations, and those before it, are not to be done on what is written.

        Raises:
            PackFailure: if it cannot be written.
        """
        if len(value) > CHUNK_ENTRIES:
            chunks = [self.chunk(part) for part in _parts(value)]
            return self.head(value, (0, len(chunks), since)), chunks
        whole = self._packer.pack_shape(value, container_shape(value))
        if since:
            whole = b"".join((_BASED, whole, *map(self._packer.pack, (0, 0, since))))
        return (CONTAINER_CIDS[type(value)], whole), []

    def chunk(self, entries: list[Any]) -> bytes:
        """Return entries of a big container, of a dict keys and values in turn, as one of its chunks.

        Raises:
            PackFailure: if one cannot be written.
        """
        return self._packer.pack(entries)  # type: ignore[no-any-return]

    def head(self, value: Any, base: Base) -> Row:
        """Return the row of a big container whose entries are in chunks."""
        shape = container_shape(value)
        if isinstance(shape, Tagged):
            empty: Any = shape._replace(body=())
        else:
            empty = [] if isinstance(value, list) else {}
        row = self._packer.pack_shape(None, Tagged(CHUNKED, head=(empty, *base)))
        return CONTAINER_CIDS[type(value)], row

    def opaque(self, value: Any) -> Row:
        """Return the row of a plain instance, a bytearray, or a shared plain container of one.

        Raises:
            PackFailure: if it cannot be written.
        """
        kind = type(value)
        if kind is bytearray or kind in PLAIN_CONTAINERS:
            return CONTAINER_CIDS[kind], self._careful.pack_shape(value, container_shape(value))
        return self._classes.number_of(kind), self._careful.pack_state(instance_state(value))

    def operations(self, ops: list[tuple[Any, ...]]) -> bytes:
        """Return the operations on a big container as bytes.

        Raises:
            PackFailure: if an operand cannot be written.
        """
        return self._packer.pack_operations(ops)  # type: ignore[no-any-return]


def _parts(value: Any) -> Iterator[list[Any]]:
    """Yield the entries of a container, a chunk's worth at a time; of a dict keys and values in turn."""
    step = CHUNK_ENTRIES
    entries: Iterable[Any] = value
    if isinstance(value, dict):
        # value.items() is the order that move_to_end() left, dict.items() would not be.
        entries, step = chain.from_iterable(value.items()), 2 * CHUNK_ENTRIES
    iterator = iter(entries)
    while part := list(islice(iterator, step)):
        yield part


class _Probe:
    """Counts, in the hook, the references to a list that only one container holds."""

    def __init__(self) -> None:
        self.counts: list[int] = []

    def __call__(self, value: Any) -> Any:
        self.counts.append(self.of_plain(value))
        return container_shape(value)

    def of_plain(self, value: Any) -> int:
        return sys.getrefcount(value)


def _references_of_unshared() -> int:
    probe = _Probe()
    sample = {"attribute": [[]], "other": {"key": []}, "deque": deque([[]]), "tuple": ([],)}
    PurePacker(probe, careful=True).pack_state(sample)
    return max(probe.counts)


_UNSHARED: Final = _references_of_unshared()


def is_shared(references: int) -> bool:
    """Say whether a plain container is held more than once.

    Args:
        references: ``sys.getrefcount`` of it, called in :meth:`Rows.of_plain`.
    """
    return references > _UNSHARED
