"""What chunks and operations make of a container, done on inert data.

A container of a tap may be its row, chunks, and operations done since.  Here they
become one value again, without a class of the application.  Where that needs the
application's own idea of which keys are equal, the operations are left to be done
by a thaw.  This module must never look a class up.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, Final

from taphouse.persist import codes
from taphouse.persist.codes import CodecError
from taphouse.persist.filling import operate
from taphouse.persist.inert import Inert
from taphouse.persist.scalars import SCALAR_PACKERS
from taphouse.persist.showing import InertObject

__all__ = ["SCALAR_KEYS", "container_of", "has_pairs", "is_safe", "parts_of", "settle"]

SCALAR_KEYS: Final = frozenset({str, int, bytes, float, bool, type(None)})
"""What keys a map of MessagePack may have; every other dict is written as pairs."""

_CODES: Final[dict[int, int]] = {
    0: codes.BYTEARRAY,
    3: codes.SET,
    4: codes.DEQUE,
    5: codes.ORDEREDDICT,
    6: codes.DEFAULTDICT,
    7: codes.COUNTER,
}
"""Kind of a container (its number, or that less 8) -> the tag of its value; 1 is a list, 2 a dict."""
_HEADED: Final = (codes.DEQUE, codes.DEFAULTDICT)


def has_pairs(cid: int) -> bool:
    """Say whether the container of this number has keys and values."""
    return cid % 8 in (2, 5, 6, 7)


def parts_of(value: Any, cid: int) -> tuple[tuple[Any, ...], list[Any]]:
    """Take the value of a container apart.

    Args:
        value: as inert data.
        cid: the number of its kind, 1 to 15.

    Returns:
        What stands in front (a deque's ``maxlen``, a defaultdict's factory), and the entries; of a dict
        keys and values in turn.

    Raises:
        CodecError: if it is of another kind.
    """
    kind = cid % 8
    if kind == 1 and type(value) is list:
        return (), value
    if kind == 2 and type(value) is dict:
        return (), [part for pair in value.items() for part in pair]
    if type(value) is Inert and value.code == (codes.PAIRS if kind == 2 else _CODES.get(kind)):
        head = 1 if value.code in _HEADED else 0
        if len(value.items) >= head and (not has_pairs(cid) or (len(value.items) - head) % 2 == 0):
            return value.items[:head], list(value.items[head:])
    raise CodecError("a value that its kind of container does not have")


def container_of(cid: int, head: tuple[Any, ...], entries: list[Any]) -> Any:
    """Put together what :func:`parts_of` took apart."""
    kind = cid % 8
    if kind == 1:
        return entries
    if kind == 2:
        keys = entries[::2]
        if SCALAR_KEYS.issuperset(map(type, keys)):
            return dict(zip(keys, entries[1::2], strict=True))
        return Inert(codes.PAIRS, None, tuple(entries))
    return Inert(_CODES[kind], None, (*head, *entries))


def is_safe(value: Any) -> bool:
    """Say whether the standard library alone decides what ``value`` is equal to, and it is known here."""
    kind = type(value)
    if kind is tuple:
        return all(map(is_safe, value))
    return kind in SCALAR_KEYS or kind in SCALAR_PACKERS


class _Ready:
    """Every key may be hashed: only safe ones come here."""

    def ready(self, keys: Iterable[Any], /) -> None:
        """See that no key is a list or dict.

        Raises:
            CodecError: if one is.
        """
        for key in keys:
            if not is_safe(key):
                raise CodecError("a key that cannot be one")


def settle(found: InertObject) -> tuple[Any, tuple[Any, ...]]:
    """Return a container with its chunks in it, and the operations that only a thaw can do; mostly none.

    Raises:
        CodecError: if it is not what its kind must be.
    """
    cid = found.cid
    if cid % 8 == 0:
        parts_of(found.state, cid)
        return found.state, ()
    head, entries = parts_of(found.state, cid)
    entries = [*entries, *found.chunks]
    if has_pairs(cid) and len(entries) % 2:
        raise CodecError("a key without a value")
    if not found.operations:
        return container_of(cid, head, entries), ()
    made = _made(cid, entries, found.operations)
    if made is None:
        return container_of(cid, head, entries), found.operations
    for operation in found.operations:
        operate(made, operation, _Ready())
    entries = [part for pair in made.items() for part in pair] if isinstance(made, dict) else list(made)
    return container_of(cid, head, entries), ()


def _made(cid: int, entries: list[Any], operations: tuple[Any, ...]) -> Any:
    """Return a container that operations can be done on, or None if there are keys that are not safe."""
    if cid % 8 in (1, 4):
        return entries  # operations of a full deque take out what it loses
    keys = entries[::2] if has_pairs(cid) else entries
    keys = keys + [op[1] for op in operations if type(op) is list and len(op) > 1]
    if not all(map(is_safe, keys)):
        return None
    if cid % 8 == 3:
        made: Any = dict.fromkeys(entries)
        return _OrderedSet(made)
    kind: type = OrderedDict if cid % 8 == 5 else dict
    return kind(zip(entries[::2], entries[1::2], strict=True))


class _OrderedSet(set[Any]):
    """A set that gives its elements in the order in which they came, so that it is written so each time."""

    def __init__(self, elements: dict[Any, None]) -> None:
        super().__init__(elements)
        self._order = elements

    def add(self, element: Any, /) -> None:
        super().add(element)
        self._order[element] = None

    def remove(self, element: Any, /) -> None:
        super().remove(element)
        del self._order[element]

    def clear(self) -> None:
        super().clear()
        self._order.clear()

    def __iter__(self) -> Any:
        return iter(self._order)
