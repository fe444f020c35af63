"""From values to bytes: the writing half of the codec, in Python.

Numbers, text, lists, dicts, tuples and sets are written here; whatever else
comes along is shown to a *hook*, which knows rows and classes.  This module
must never know SQLite, files, or which objects are durable.  ``_codec.c`` is its
twin: same bytes, same errors.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sized
from typing import Any, Final, NamedTuple, Protocol

from taphouse.persist.codes import FROZENSET, PAIRS, REF, SET, TUPLE, pack_number
from taphouse.persist.leaves import LEAVES, PackFailure, put_ext, put_head, put_text

__all__ = ["AS_BUILTIN", "MAX_DEPTH", "Body", "Ext", "Hook", "Packer", "Tagged"]

MAX_DEPTH: Final = 200
"""Levels of nesting in one row; ``durable`` refuses values beyond 100 levels before they come here."""


class Body(Sized, Iterable[Any], Protocol):
    """What stands in a tagged array after its head."""


class Ext(NamedTuple):
    """An extension value: a code and its bytes."""

    code: int
    payload: bytes


class Tagged(NamedTuple):
    """A tagged array: ``[Ext(code, payload), *head, *body]``; a dict as body gives key, value, key, ...

    Args:
        code: one of the tag codes.
        payload: of the tag itself, a class number or empty.
        head: fixed items in front.
        body: the container's items; a dict stands for its keys and values in turn.
    """

    code: int
    payload: bytes = b""
    head: tuple[Any, ...] = ()
    body: Body = ()


class _AsBuiltin:
    """The type of :data:`AS_BUILTIN`."""


AS_BUILTIN: Final = _AsBuiltin()
"""What a hook returns for a subclass of list or dict that is written like its builtin."""

Hook = Callable[[Any], "int | Ext | Tagged | _AsBuiltin"]
"""Says how to write a value: a row number (a reference), an extension, a tagged array, or as the builtin."""


_SCALAR_KEYS: Final = frozenset({str, int, bytes, float, bool, type(None)})


class Packer:
    """Writes values as MessagePack.

    Args:
        hook: asked about every value that is not of an exact builtin type.
        numbers: ``id(object) -> row number`` of durable objects, and
        found: those objects, in the order of their numbers: the C twin looks up and goes on itself where
            this one asks the hook.
        embeds: the hook has tracked lists and dicts without a row of their own written inline; the C
            twin does that without asking.
        careful: ask the hook about exact lists, dicts, sets and bytearrays too; not in the C twin.
    """

    def __init__(
        self,
        hook: Hook,
        *,
        numbers: dict[int, int] | None = None,
        found: list[Any] | None = None,
        embeds: bool = False,
        careful: bool = False,
    ) -> None:
        self._hook = hook
        self._careful = careful

    def pack(self, value: Any) -> bytes:
        """Return ``value`` as bytes.

        Raises:
            PackFailure: if it, or something in it, cannot be written.
        """
        out = bytearray()
        self._put(out, value, 0)
        return bytes(out)

    def pack_operations(self, ops: list[tuple[Any, ...]]) -> bytes:
        """Return operations on a container as bytes: an array of arrays, not of tuples.

        Raises:
            PackFailure: if an operand cannot be written.
        """
        return self.pack([list(op) for op in ops])

    def pack_shape(self, value: Any, shape: Any) -> bytes:
        """Return ``value`` as bytes, in the shape a hook would have answered.

        Raises:
            PackFailure: if it, or something in it, cannot be written.
        """
        out = bytearray()
        self._put_shape(out, value, shape, 0)
        return bytes(out)

    def pack_state(self, state: dict[str, Any]) -> bytes:
        """Return the attributes of an object as a map, without the volatile ones (``_v_``).

        Raises:
            PackFailure: with the path ``.attribute...``.
        """
        out = bytearray()
        volatile = sum(1 for name in state if name.startswith("_v_"))
        put_head(out, len(state) - volatile, 0x80, 16, 0xDE)
        name = ""
        try:
            for name, item in dict.items(state):
                if not name.startswith("_v_"):
                    put_text(out, name)
                    self._put(out, item, 1)
        except PackFailure as failure:
            failure.path = f".{name}{failure.path}"
            raise
        return bytes(out)

    def _put(self, out: bytearray, value: Any, depth: int) -> None:
        kind = type(value)
        leaf = LEAVES.get(kind)
        if leaf is not None:
            leaf(out, value)
            return
        if depth >= MAX_DEPTH:
            raise PackFailure(f"nested more than {MAX_DEPTH} levels deep")
        branch = None if self._careful and kind in _MUTABLE else _BRANCHES.get(kind)
        if branch is not None:
            branch(self, out, value, depth)
            return
        self._put_shape(out, value, self._hook(value), depth)

    def _put_shape(self, out: bytearray, value: Any, answer: Any, depth: int) -> None:
        if type(answer) is int:
            put_ext(out, REF, pack_number(answer))
        elif type(answer) is Ext:
            put_ext(out, answer.code, answer.payload)
        elif type(answer) is Tagged:
            self._put_tagged(out, answer, depth)
        elif answer is AS_BUILTIN:
            for base, put in _BRANCHES.items():
                if isinstance(value, base):
                    put(self, out, value, depth)
                    return
            raise PackFailure(f"a {type(value).__qualname__} is no builtin container")
        else:
            raise PackFailure(f"a {type(value).__qualname__} cannot be saved")

    def _put_tagged(self, out: bytearray, tagged: Tagged, depth: int) -> None:
        code, payload, head, body = tagged
        pairs = isinstance(body, dict)
        put_head(out, 1 + len(head) + len(body) * (1 + pairs), 0x90, 16, 0xDC)
        put_ext(out, code, payload)
        for item in head:
            self._put(out, item, depth + 1)
        if isinstance(body, dict):
            self._put_pairs(out, body, depth)
        else:
            self._put_items(out, body, depth)

    def _put_items(self, out: bytearray, items: Body, depth: int) -> None:
        index = -1
        try:
            for position, item in enumerate(items):
                index = position
                self._put(out, item, depth + 1)
        except PackFailure as failure:
            failure.path = f"[{index}]{failure.path}"
            raise

    def _put_pairs(self, out: bytearray, pairs: dict[Any, Any], depth: int) -> None:
        key: Any = None
        try:
            for key, item in _items_of(pairs):
                self._put(out, key, depth + 1)
                self._put(out, item, depth + 1)
        except PackFailure as failure:
            failure.path = f"[{_label(key)}]{failure.path}"
            raise

    def _put_list(self, out: bytearray, value: list[Any], depth: int) -> None:
        put_head(out, len(value), 0x90, 16, 0xDC)
        self._put_items(out, value, depth)

    def _put_dict(self, out: bytearray, value: dict[Any, Any], depth: int) -> None:
        if all(type(key) in _SCALAR_KEYS for key in value):
            put_head(out, len(value), 0x80, 16, 0xDE)
            self._put_pairs(out, value, depth)
        else:
            self._put_tagged(out, Tagged(PAIRS, body=value), depth)

    def _put_tuple(self, out: bytearray, value: tuple[Any, ...], depth: int) -> None:
        self._put_tagged(out, Tagged(TUPLE, body=value), depth)

    def _put_set(self, out: bytearray, value: set[Any], depth: int) -> None:
        self._put_tagged(out, Tagged(SET, body=value), depth)

    def _put_frozenset(self, out: bytearray, value: frozenset[Any], depth: int) -> None:
        self._put_tagged(out, Tagged(FROZENSET, body=value), depth)


def _items_of(pairs: dict[Any, Any]) -> Iterable[tuple[Any, Any]]:
    # dict.items of an OrderedDict does not know its order once move_to_end was used.
    return OrderedDict.items(pairs) if isinstance(pairs, OrderedDict) else dict.items(pairs)


def _label(key: Any) -> str:
    """Name a key in a path without calling code of an application."""
    return repr(key)[:60] if type(key) in _SCALAR_KEYS else f"<{type(key).__qualname__}>"


_BRANCHES: Final[dict[type, Callable[[Packer, bytearray, Any, int], None]]] = {
    list: Packer._put_list,
    dict: Packer._put_dict,
    tuple: Packer._put_tuple,
    set: Packer._put_set,
    frozenset: Packer._put_frozenset,
}
_MUTABLE: Final = frozenset({list, dict, set})
