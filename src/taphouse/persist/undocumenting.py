"""From what JSON has words for to inert values: the other half of a tap as a document.

The document may have been edited, by a person or a stranger.  Everything is
checked, and what is wrong is told with its place in the document.  This module
must never look a class up, nor make an object of one.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any, Final

from taphouse.durable import ClassRecord
from taphouse.persist import codes
from taphouse.persist.codes import Ref
from taphouse.persist.docscalars import SCALAR_TAGS, text_of
from taphouse.persist.inert import Inert
from taphouse.persist.pending import SCALAR_KEYS, is_safe
from taphouse.persist.problems import Problem, expect
from taphouse.persist.shaping import BUILTIN_FACTORIES

__all__ = ["TAGS", "Undocumenter"]

_OPERATIONS: Final = ("s", "d", "e", "a", "x", "p", "c")


class Undocumenter:
    """Makes inert values.

    Args:
        classes: key of a class in the document -> its record.
        ids: id of an object -> its row number.
    """

    def __init__(self, classes: Mapping[str, ClassRecord], ids: Mapping[str, int]) -> None:
        self._classes = classes
        self.ids = ids
        self.allows_gone = False

    def value(self, value: Any) -> Any:
        """Return the inert value that a JSON value stands for.

        Raises:
            Problem: if it stands for none.
        """
        kind = type(value)
        if kind is list:
            return self._items(value)
        if kind is not dict:
            return value
        tags = [key for key in value if key[:1] == "$"]
        if tags:
            return self._tagged(value, tags[0])
        return self._named(value)

    def attributes(self, value: Any) -> dict[str, Any]:
        """Return the attributes of an object.

        Raises:
            Problem: if they are none.
        """
        state = self.value(expect(value, dict))
        if type(state) is not dict or not all(type(name) is str for name in state):
            raise Problem("attributes have names, which are text")
        for name in state:
            if name.startswith("_v_") or (name[:2] == "__" == name[-2:]):
                raise Problem("an attribute of such a name is never stored", name)
        return state

    def operations(self, value: Any) -> tuple[Any, ...]:
        """Return the operations that a thaw has to do."""
        for at, operation in enumerate(expect(value, list)):
            expect(operation, list, at)
            if not operation or operation[0] not in _OPERATIONS:
                raise Problem("is no operation", at)
        return tuple(self._items(value))

    def record(self, key: Any, *kinds: str) -> ClassRecord:
        """Return the class of a key.

        Raises:
            Problem: if there is none, or it is of another kind.
        """
        record = self._classes.get(key) if type(key) is str else None
        if record is None:
            raise Problem(f"there is no class {key!r:.80} in classes")
        if kinds and record.kind not in kinds:
            raise Problem(f"{key!r:.80} is a class of kind {record.kind}; {' or '.join(kinds)} is needed")
        return record

    def _items(self, values: list[Any]) -> list[Any]:
        made = []
        at = 0
        try:
            for part in values:
                made.append(self.value(part))
                at += 1
        except Problem as problem:
            problem.place.append(at)
            raise
        return made

    def _named(self, values: dict[str, Any]) -> dict[str, Any]:
        made = {}
        key = ""
        try:
            for key, part in values.items():
                made[key] = self.value(part)
        except Problem as problem:
            problem.place.append(key)
            raise
        return made

    def _tagged(self, value: dict[str, Any], tag: str) -> Any:
        known = TAGS.get(tag)
        if known is None:
            raise Problem(
                f"there is no tag {tag!r:.40}; a dict with such a key is written"
                ' {"$dict": [["$key", value], ...]}'
            )
        maker, needed, allowed = known
        for key in value:
            if key not in (tag, *needed, *allowed):
                raise Problem(f"{tag} has no {key!r:.40} beside it")
        for key in needed:
            if key not in value:
                raise Problem(f"{tag} needs {key!r} beside it")
        try:
            return maker(self, value[tag], value)
        except Problem as problem:
            if not problem.place or problem.place[-1] not in (*needed, *allowed):
                problem.place.append(tag)
            raise
        except (ValueError, OverflowError, TypeError, struct.error) as error:
            raise Problem(f"{str(error).splitlines()[0]:.120}", tag) from error

    def part(self, more: dict[str, Any], key: str) -> Any:
        """Return the value that stands beside a tag under ``key``, None if there is none.

        Raises:
            Problem: if it is no value.
        """
        try:
            return self.value(more.get(key))
        except Problem as problem:
            problem.place.append(key)
            raise

    # --- composites ------------------------------------------------------------------------------

    def _list_of(self, body: Any, code: int, record: ClassRecord | None = None) -> Any:
        return Inert(code, record, tuple(self._items(expect(body, list))))

    def _set(self, body: Any, code: int) -> Any:
        made = self._list_of(body, code)
        _once(made.items, "an element")
        return made

    def _flat(self, body: Any) -> list[Any]:
        flat: list[Any] = []
        for at, pair in enumerate(expect(body, list)):
            if len(expect(pair, list, at)) != 2:
                raise Problem("a key and a value are expected", at)
        for pair in self._items(body):
            flat += pair
        _once(flat[::2], "a key")
        return flat

    def _dict(self, body: Any, _more: Any) -> Any:
        flat = self._flat(body)
        if SCALAR_KEYS.issuperset(map(type, flat[::2])):
            return dict(zip(flat[::2], flat[1::2], strict=True))
        return Inert(codes.PAIRS, None, tuple(flat))

    def _mapping(self, body: Any, code: int, *head: Any) -> Any:
        return Inert(code, None, (*head, *self._flat(body)))

    def _deque(self, body: Any, more: dict[str, Any]) -> Any:
        maxlen = self.part(more, "maxlen")
        if maxlen is not None and not 0 <= expect(maxlen, int, "maxlen") < 1 << 63:
            raise Problem("is out of range", "maxlen")
        if maxlen is not None and maxlen < len(expect(body, list)):
            raise Problem(f"{len(body)} items where maxlen is {maxlen}")
        return Inert(codes.DEQUE, None, (maxlen, *self._items(expect(body, list))))

    def _defaultdict(self, body: Any, more: dict[str, Any]) -> Any:
        factory = self.part(more, "factory")
        is_inert = type(factory) is Inert and factory.code in (codes.CLASS, codes.BUILTIN, codes.METHOD)
        if factory is not None and not is_inert:
            raise Problem("is no class, function or method", "factory")
        return self._mapping(body, codes.DEFAULTDICT, factory)

    def _class_of(self, more: dict[str, Any], *kinds: str) -> ClassRecord:
        try:
            return self.record(more["class"], *kinds)
        except Problem as problem:
            problem.place.append("class")
            raise

    def _enum(self, body: Any, more: dict[str, Any]) -> Any:
        return Inert(codes.ENUM, self._class_of(more, "enum"), (text_of(self, body),))

    def _flag(self, body: Any, more: dict[str, Any]) -> Any:
        number = self.value(body)
        return Inert(codes.FLAG, self._class_of(more, "enum"), (expect(number, int),))

    def _method(self, body: Any, more: dict[str, Any]) -> Any:
        return Inert(codes.METHOD, None, (self.part(more, "of"), text_of(self, body)))

    def _range(self, body: Any, _more: Any) -> Any:
        items = self._items(expect(body, list))
        if len(items) != 3 or any(type(item) is not int for item in items) or not items[2]:
            raise Problem("three whole numbers are expected, start, stop and step; step is not 0")
        return Inert(codes.RANGE, None, tuple(items))

    def _builtin(self, body: Any, _more: Any) -> Any:
        if body not in BUILTIN_FACTORIES:
            raise Problem(f"{body!r:.40} is no built-in type; {', '.join(BUILTIN_FACTORIES)} are")
        return Inert(codes.BUILTIN, None, (), body)

    def _reference(self, body: Any, _more: Any) -> Any:
        oid = self.ids.get(body) if type(body) is str else None
        if oid is None:
            raise Problem(f"there is no object {body!r:.80} in objects")
        return Ref(oid)

    def _gone(self, body: Any, _more: Any) -> Any:
        if not self.allows_gone or expect(body, int) < 1 or body in self.ids.values():
            raise Problem("only a container with operations may name an object that is gone")
        return Ref(body)

    def _named_tuple(self, body: Any, more: dict[str, Any]) -> Any:
        return self._list_of(body, codes.NAMEDTUPLE, self._class_of(more, "namedtuple"))


def _once(keys: Any, what: str) -> None:
    """Refuse what is there twice, as far as the standard library decides what is equal."""
    safe = [key for key in keys if is_safe(key)]
    if len(set(safe)) != len(safe):
        seen: set[Any] = set()
        twice = next(key for key in safe if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise Problem(f"{what} is there twice: {twice!r:.60}")


_Maker = Callable[[Any, Any, Any], Any]
TAGS: Final[dict[str, tuple[_Maker, tuple[str, ...], tuple[str, ...]]]] = {
    **SCALAR_TAGS,
    "$tuple": (lambda u, body, _more: tuple(u._items(expect(body, list))), (), ()),
    "$set": (lambda u, body, _more: u._set(body, codes.SET), (), ()),
    "$frozenset": (lambda u, body, _more: u._set(body, codes.FROZENSET), (), ()),
    "$deque": (Undocumenter._deque, (), ("maxlen",)),
    "$dict": (Undocumenter._dict, (), ()),
    "$ordereddict": (lambda u, body, _more: u._mapping(body, codes.ORDEREDDICT), (), ()),
    "$defaultdict": (Undocumenter._defaultdict, ("factory",), ()),
    "$counter": (lambda u, body, _more: u._mapping(body, codes.COUNTER), (), ()),
    "$namedtuple": (Undocumenter._named_tuple, ("class",), ()),
    "$enum": (Undocumenter._enum, ("class",), ()),
    "$flag": (Undocumenter._flag, ("class",), ()),
    "$range": (Undocumenter._range, (), ()),
    "$class": (lambda u, body, _more: Inert(codes.CLASS, u.record(body)), (), ()),
    "$builtin": (Undocumenter._builtin, (), ()),
    "$method": (Undocumenter._method, ("of",), ()),
    "$ref": (Undocumenter._reference, (), ()),
    "$gone": (Undocumenter._gone, (), ()),
}
"""Tag -> what makes its value, what must stand beside it, what may."""
