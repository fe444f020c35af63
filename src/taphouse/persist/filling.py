"""Filling containers that have rows of their own: from one state, or from chunks and operations.

This module must never know files or classes of an application.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterable
from typing import Any, Final, Protocol

from taphouse.durable import Durable, TrackedDict, TrackedList, restore_container
from taphouse.persist.codes import CodecError
from taphouse.persist.containers import BYTEARRAY_CID, EMBEDDED_ENTRIES, MADE_BY_CID, plain_kind
from taphouse.persist.image import Image
from taphouse.persist.live import Chunked, LiveReader

__all__ = ["ContainerFiller", "operate"]


_PLAIN_DICTS: Final = frozenset({dict, TrackedDict, defaultdict, Counter})
"""Dicts that keep nothing but what a dict keeps: an OrderedDict has an order of its own."""
_WITHOUT_PARTS: Final = frozenset({type(None), bool, int, float, complex, str, bytes})


class SupportsReady(Protocol):
    """Says whether keys may be hashed."""

    def ready(self, keys: Iterable[Any], /) -> None:
        """Raise if they may not, yet."""


class Gone:
    """Stands for an object that is no more, where chunks or operations still name it.

    An operation that put it in is followed by one that took it out; none is left at the end.
    """


class _Lenient(dict[int, Any]):
    """Row number -> object, or what stands for one that is gone."""

    def __init__(self) -> None:
        super().__init__()
        self.gone: dict[int, Gone] = {}
        self.misses = 0

    def __missing__(self, oid: int) -> Any:
        self.misses += 1
        return self.gone.setdefault(oid, Gone())


def _may_own(values: Iterable[Any]) -> bool:
    """Say whether there may be containers in ``values``, which must be told who has them."""
    kinds = set(map(type, values)) - _WITHOUT_PARTS
    return not all(issubclass(kind, Durable) for kind in kinds)


def _holds_gone(value: Any) -> bool:
    """Say whether something that is gone is still in a plain container."""
    waiting, seen = [value], set()
    while waiting:
        part = waiting.pop()
        if type(part) is Gone:
            return True
        if isinstance(part, (list, tuple, set, frozenset, deque, dict)) and id(part) not in seen:
            seen.add(id(part))
            waiting += (*part.keys(), *part.values()) if isinstance(part, dict) else part
    return False


class ContainerFiller:
    """Fills blank containers.

    Args:
        image: gives chunks and operations.
        reader: makes values.
        objects: row number -> blank object.
    """

    def __init__(self, image: Image, reader: LiveReader, objects: dict[int, Any]) -> None:
        self._image = image
        self._reader = reader
        self._objects = objects
        self._rows = _Lenient()
        self.sizes: dict[int, tuple[int, int, int]] = {}
        """Number of each container whose changes are written as operations -> bytes of what they are done on,
        bytes of the operations, and the number of its first chunk."""

    def fill(self, oid: int, cid: int, container: Any, state: bytes, unpacker: Any) -> None:
        """Fill ``container``, blank, with what its row says.

        Raises:
            CodecError: if that is no container of its kind.
            Defer: if a key cannot be hashed yet; the container is still blank.
        """
        late = self._image.all_deltas(oid)
        misses = self._rows.misses
        made = (self._lenient(type(unpacker)) if late else unpacker).unpack(state)
        if type(made) is Chunked:
            self._reader.nested -= 1
            made = self._build(oid, made, type(unpacker), len(state), container)
            if made is container:
                return
        elif late:
            made = self._build(oid, Chunked(made, (0, 0, 0)), type(unpacker), len(state), None)
        if self._rows.misses != misses and _holds_gone(made):
            raise CodecError(f"a reference to row {min(self._rows.gone)}, which does not exist")
        self.check_nested()
        kind: Any = plain_kind(MADE_BY_CID[cid]())
        if type(made) is not kind:
            raise CodecError(f"a {type(made).__qualname__} where a {MADE_BY_CID[cid].__qualname__} must be")
        if cid < BYTEARRAY_CID and oid not in self.sizes and len(made) > EMBEDDED_ENTRIES:
            self.sizes[oid] = (len(state), 0, 0)
        if cid >= BYTEARRAY_CID:
            _pour(container, made)
        elif type(container) is TrackedDict and not _may_own(made.values()):
            dict.update(container, made)
        elif type(container) is TrackedList and not _may_own(made):
            list.extend(container, made)
        else:
            restore_container(container, made)

    def check_nested(self) -> None:
        """Refuse a big container's head anywhere but outermost in its row.

        Raises:
            CodecError: if one was read.
        """
        if self._reader.nested:
            self._reader.nested = 0
            raise CodecError("a big container inside another value")

    def _lenient(self, twin: Any) -> Any:
        """Return an unpacker for what may name rows that are gone."""
        if not self._rows:
            # One copy for all such containers: a reference then costs no call in Python.
            self._rows.update(self._objects)
        return twin(self._rows, self._reader.scalar, self._reader.tagged)

    def _build(self, oid: int, head: Chunked, twin: Any, size: int, container: Any) -> Any:
        """Put chunks into what the row holds, of ``size`` bytes, and do the operations.

        Returns:
            A plain container, or ``container`` if it is a dict that could be filled at once.
        """
        chunks, operations = self._image.container(oid, head.base)
        made = head.made
        if type(container) is TrackedDict and type(made) is dict and not made:
            made = container
        try:
            made = self._pour(made, chunks, operations, self._lenient(twin))
        except BaseException:
            if type(container) is TrackedDict:
                dict.clear(container)
            raise
        self.sizes[oid] = (sum(map(len, chunks)) or size, sum(map(len, operations)), head.base[0])
        return made

    def _pour(self, made: Any, chunks: list[bytes], operations: list[bytes], unpacker: Any) -> Any:
        is_plain = type(made) in _PLAIN_DICTS
        for data in chunks:
            items = unpacker.pour(made, data) if is_plain else unpacker.unpack(data)
            if items is None:
                continue
            if type(items) is not list:
                raise CodecError("a chunk that is no array")
            made = _untracked(made)
            _extend(made, items, self._reader)
        for data in operations:
            ops = unpacker.operate(made, data) if is_plain else unpacker.unpack(data)
            if ops is None:
                continue
            if type(ops) is not list:
                raise CodecError("operations that are no array")
            made = _untracked(made)
            for op in ops:
                operate(made, op, self._reader)
        return _untracked(made) if unpacker.has_parts else made


def _untracked(made: Any) -> Any:
    """Return a plain dict of what was poured into a tracked one, which is blank then, or ``made``."""
    if type(made) is not TrackedDict:
        return made
    plain = dict(made)
    dict.clear(made)
    return plain


def _extend(made: Any, items: list[Any], reader: LiveReader) -> None:
    if isinstance(made, dict):
        reader.fill_pairs(made, items)
    elif isinstance(made, set):
        before = len(made)
        reader.ready(items)
        made.update(items)
        if len(made) - before != len(items):
            raise CodecError("a set with the same entry twice")
    elif isinstance(made, deque) and made.maxlen is not None and len(made) + len(items) > made.maxlen:
        raise CodecError("a deque that is longer than it may be")
    else:
        made.extend(items)


def operate(made: Any, op: Any, reader: SupportsReady) -> None:
    """Do one operation on a plain container.

    Raises:
        CodecError: if there is no such operation on it now.
    """
    kind, *operands = op if type(op) is list and op else ("",)
    try:
        if kind == "c" and not operands:
            made.clear()
        elif isinstance(made, dict):
            _operate_dict(made, kind, operands, reader)
        elif isinstance(made, set):
            (value,) = operands
            reader.ready(operands)
            {"a": made.add, "x": made.remove}[kind](value)
        else:
            start, stop, values = operands
            if kind != "p" or not (type(start) is type(stop) is int and 0 <= start <= stop <= len(made)):
                raise CodecError(f"an operation {kind!r:.20} outside the container")
            _splice(made, start, stop, values)
    except (KeyError, ValueError, TypeError, IndexError) as error:
        if isinstance(error, CodecError):
            raise
        raise CodecError(f"an operation {kind!r:.20} that cannot be done") from error


def _operate_dict(made: dict[Any, Any], kind: str, operands: list[Any], reader: SupportsReady) -> None:
    reader.ready(operands[:1])
    if kind == "s":
        key, value = operands
        made[key] = value
    elif kind == "d":
        (key,) = operands
        del made[key]
    elif kind == "e" and isinstance(made, OrderedDict):
        key, last = operands
        made.move_to_end(key, last=bool(last))
    else:
        raise CodecError(f"an operation {kind!r:.20} that a dict does not have")


def _splice(made: Any, start: int, stop: int, values: Any) -> None:
    if type(values) is not list:
        raise CodecError("an operation without values")
    if isinstance(made, list):
        made[start:stop] = values
    elif start == stop == len(made):
        made.extend(values)
    elif start == 0:
        for _ in range(stop):
            made.popleft()
        made.extendleft(reversed(values))
    else:
        made.rotate(-start)
        for _ in range(stop - start):
            made.popleft()
        made.extendleft(reversed(values))
        made.rotate(start)


def _pour(container: Any, made: Any) -> None:
    """Fill a blank plain container of an opaque value."""
    if isinstance(container, deque):
        deque.__init__(container, made, made.maxlen)
    elif isinstance(container, (dict, set)):
        if hasattr(made, "default_factory"):
            container.default_factory = made.default_factory  # type: ignore[union-attr]
        container.update(made)
    else:
        container.extend(made)
