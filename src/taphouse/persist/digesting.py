"""Digests of durable state: has a value changed, without keeping the value?

The same content gives the same digest in every process, with every hash seed and
after any number of saves and thaws: sets have no order, containers count as the
builtin that they are, whatever has a name stands for itself by its name, and
everything else counts by what is in it.  Nothing here recurses, and circles are
no trouble.  This module must never know files, or whose state it is.
"""

from __future__ import annotations

import enum
import hashlib
import types
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, Final

from taphouse.durable import Durable, class_record, is_tracked, raw_state
from taphouse.persist.codec import pack_plain
from taphouse.persist.codes import BYTEARRAY, CLASS, ENUM, RANGE
from taphouse.persist.containers import PLAIN_CONTAINERS, plain_kind
from taphouse.persist.inert import Inert
from taphouse.persist.instances import instance_state
from taphouse.persist.leaves import LEAVES, put_ext, put_head
from taphouse.persist.scalars import SCALAR_PACKERS
from taphouse.persist.unknown import Unknown

__all__ = ["digest_states", "find_durables"]

_DIGEST_BYTES: Final = 12
_ROUNDS: Final = 4
"""How often the parts of a circle look at their neighbours; what is in each of them counts at once."""
_LEAF_TYPES: Final = frozenset(LEAVES)

# Tokens: a leaf is its MessagePack, which says where it ends; 0xC1 is a byte that MessagePack never uses.
_HASHED: Final = b"\xc1H"
_NAMED: Final = b"\xc1N"
_INSIDE: Final = b"\xc1I"


class _Parts:
    """A value with parts: what it is, and what is in it.

    Args:
        head: its kind, and what belongs to that.
        items: values in order.
        is_set: their order means nothing.
    """

    __slots__ = ("head", "is_set", "items")

    def __init__(self, head: str, items: list[Any], *, is_set: bool = False) -> None:
        self.head = head
        self.items = items
        self.is_set = is_set


def _leaf(value: Any) -> bytes | None:
    """Return the token of a value without parts, None for one that has some."""
    kind = type(value)
    out = bytearray()
    put = LEAVES.get(kind)
    if put is not None:
        put(out, value)
        return bytes(out)
    packer = SCALAR_PACKERS.get(kind)
    if packer is not None:
        put_ext(out, packer[0], packer[1](value))
    elif kind is types.FunctionType or issubclass(kind, type):
        put_ext(out, CLASS, class_record(value).name.encode("utf-8", "surrogatepass"))
    elif issubclass(type(kind), enum.EnumMeta):
        name = value._name_ if kind._member_map_.get(value._name_) is value else value._value_
        put_ext(out, ENUM, f"{class_record(kind).name}:{name}".encode("utf-8", "surrogatepass"))
    elif kind is range:
        put_ext(out, RANGE, f"{value.start} {value.stop} {value.step}".encode("ascii"))
    elif kind is bytearray:
        put_ext(out, BYTEARRAY, bytes(value))
    else:
        return None
    return bytes(out)


def _parts_of(value: Any) -> _Parts:
    """Return what a value is made of; it is no leaf."""
    kind = type(value)
    if isinstance(value, Unknown):
        state = raw_state(value)
        return _Parts(f"unknown {state['_v_record'].name}", [state.get("_v_parts")])
    if isinstance(value, Durable):
        return _with_attributes(value, raw_state(value))
    if is_tracked(value) or kind in PLAIN_CONTAINERS:
        return _container(value, plain_kind(value))
    if kind is tuple:
        return _Parts("tuple", list(value))
    if kind is frozenset:
        return _Parts("frozenset", list(value), is_set=True)
    if kind is types.MethodType:
        return _Parts(f"method {value.__func__.__name__}", [value.__self__])
    if kind is Inert:
        name = value.record.name if value.record is not None else value.text
        return _Parts(f"inert {value.code} {name}", list(value.items))
    if issubclass(kind, tuple):
        return _Parts(f"tuple {class_record(kind).name}", list(tuple.__iter__(value)))
    return _with_attributes(value, instance_state(value))


def _with_attributes(value: Any, state: Mapping[str, Any]) -> _Parts:
    names = sorted(name for name in state if not name.startswith("_v_"))
    return _Parts(
        f"object {class_record(type(value)).name}", [part for name in names for part in (name, state[name])]
    )


def _container(value: Any, kind: type) -> _Parts:
    if kind in (dict, OrderedDict, Counter):
        return _Parts(kind.__name__, list(chain.from_iterable(value.items())))
    if kind is defaultdict:
        return _Parts("defaultdict", [value.default_factory, *chain.from_iterable(value.items())])
    if kind is set:
        return _Parts("set", list(value), is_set=True)
    return _Parts(f"deque {value.maxlen}" if kind is deque else "list", list(value))


def _named(name: str) -> bytes:
    raw = name.encode("utf-8", "surrogatepass")
    return _NAMED + len(raw).to_bytes(4, "big") + raw


def _hash(head: str, tokens: Iterable[bytes], *, is_set: bool) -> bytes:
    if is_set:
        tokens = sorted(tokens)
    return _hash_joined(head, b"".join(tokens))


def _hash_joined(head: str, body: bytes) -> bytes:
    start = head.encode("utf-8", "surrogatepass")
    state = hashlib.blake2b(len(start).to_bytes(4, "big") + start, digest_size=16)
    state.update(body)
    return _HASHED + state.digest()


class _Node:
    """A value with parts whose token is not known yet."""

    __slots__ = ("index", "inside", "low", "parts", "tokens")

    def __init__(self, parts: _Parts, index: int) -> None:
        self.parts = parts
        self.index = self.low = index
        self.tokens: list[bytes] = []
        self.inside: list[tuple[int, int]] = []
        """(place in tokens, id) of parts that lie in the same circle."""


class _Digester:
    """Gives tokens to values; what was met once is not walked through again.

    Args:
        names: id of an object -> its name.
        words: type -> what stands for a value of it.
    """

    def __init__(self, names: Mapping[int, str], words: Mapping[type, Callable[[Any], str]]) -> None:
        self._names = {key: _named(name) for key, name in names.items()}
        self._words = words
        self._tokens: dict[int, bytes] = {}
        self._held: list[Any] = []  # no other object may get the id of one that has a token

    def digest(self, value: Any) -> str:
        """Return the digest of a value in hexadecimal."""
        return hashlib.blake2b(self._token(value), digest_size=_DIGEST_BYTES).hexdigest()

    def _token(self, value: Any) -> bytes:
        found = self._known(value)
        if found is None:
            self._walk(value)
            found = self._tokens[id(value)]
        return found

    def _known(self, value: Any) -> bytes | None:
        """Return the token of a leaf, of what has a name, or of what was walked through."""
        if type(value) in _LEAF_TYPES:
            return _leaf(value)
        key = id(value)
        word = self._words.get(type(value))
        if word is not None:
            return _named(word(value))
        return self._names.get(key) or self._tokens.get(key) or _leaf(value)

    def _quick(self, value: Any, parts: _Parts) -> bool:
        """Give a container of nothing but simple values its token at once."""
        items = parts.items
        if parts.is_set or not _LEAF_TYPES.issuperset(map(type, items)):
            return False
        head = bytearray()
        put_head(head, len(items), 0x90, 16, 0xDC)
        self._tokens[id(value)] = _hash_joined(parts.head, pack_plain(items)[len(head) :])
        return True

    def _walk(self, root: Any) -> None:
        """Find the circles among everything below ``root`` (Tarjan's way) and give each its tokens."""
        nodes: dict[int, _Node] = {}
        stack: list[int] = []

        def enter(value: Any) -> Iterator[Any] | None:
            self._held.append(value)
            parts = _parts_of(value)
            if self._quick(value, parts):
                return None
            nodes[id(value)] = _Node(parts, len(self._held))
            stack.append(id(value))
            return iter(parts.items)

        first = enter(root)
        frames = [(id(root), first)] if first is not None else []
        while frames:
            key, rest = frames[-1]
            node = nodes[key]
            deeper = None
            for part in rest:
                token = self._known(part)
                if token is None and id(part) not in nodes:
                    deeper = enter(part)
                    if deeper is not None:
                        frames.append((id(part), deeper))
                        break
                    token = self._tokens[id(part)]
                self._put(node, id(part), token, nodes)
            if deeper is not None:
                continue  # with what is below; it is put into this one when it is left
            frames.pop()
            if node.low == node.index:
                circle = {}
                while key not in circle:
                    member = stack.pop()
                    circle[member] = nodes.pop(member)
                self._close(circle)
            if frames:
                self._put(nodes[frames[-1][0]], key, self._tokens.get(key), nodes)

    def _put(self, node: _Node, key: int, token: bytes | None, nodes: dict[int, _Node]) -> None:
        """Add the token of one more part to a node; None: it is under way, so both may be in one circle."""
        if token is None:
            token = _INSIDE
            node.inside.append((len(node.tokens), key))
            node.low = min(node.low, nodes[key].low)
        node.tokens.append(token)

    def _close(self, circle: dict[int, _Node]) -> None:
        """Give tokens to the values of one circle, or to one value that is in none."""
        if len(circle) == 1:
            ((key, node),) = circle.items()
            if not node.inside:
                self._tokens[key] = _hash(node.parts.head, node.tokens, is_set=node.parts.is_set)
                node.tokens = []
                return
        now: dict[int, bytes] = {}
        for _ in range(_ROUNDS):
            before, now = now, {}
            for key, node in circle.items():
                for place, neighbour in node.inside:
                    node.tokens[place] = before.get(neighbour, _INSIDE)
                now[key] = _hash(node.parts.head, node.tokens, is_set=node.parts.is_set)
        # Whatever is in any of them is in this one: no change can hide at the far end of a big circle.
        whole = _hash("circle", now.values(), is_set=True)
        for key, node in circle.items():
            self._tokens[key] = _hash("in", (now[key], whole), is_set=False)
            node.tokens = []


def digest_states(
    objects: Mapping[str, Durable],
    others: Mapping[str, object] | None = None,
    *,
    words: Mapping[type, Callable[[Any], str]] | None = None,
    wanted: Callable[[Durable, str], bool] = lambda _obj, _attribute: True,
) -> dict[str, dict[str, str]]:
    """Return the digest of each attribute of ``objects`` that a tap would hold.

    Args:
        objects: name -> durable object; where one refers to another, its name and class count.
        others: likewise objects that stand for themselves by their names, but are not looked into.
        words: type -> what stands for a value of it, whatever is in it: for secrets, which are short, so
            that a digest of them would tell them to whoever tries enough words.
        wanted: says of an object and the name of an attribute whether it gets a digest.

    Returns:
        name -> attribute -> digest, in hexadecimal.
    """
    names = {
        id(obj): f"{name} {class_record(type(obj)).name}"
        for name, obj in chain((others or {}).items(), objects.items())
    }
    digester = _Digester(names, words or {})
    return {
        name: {
            attribute: digester.digest(value)
            for attribute, value in sorted(raw_state(obj).items())
            if not attribute.startswith("_v_") and wanted(obj, attribute)
        }
        for name, obj in objects.items()
    }


def find_durables(root: Durable) -> Iterator[Durable]:
    """Yield every durable object that ``root`` reaches, itself first, each once."""
    seen: dict[int, Any] = {}
    waiting: list[Any] = [root]
    while waiting:
        value = waiting.pop()
        if type(value) in _LEAF_TYPES or id(value) in seen:
            continue
        seen[id(value)] = value
        if isinstance(value, Durable):
            yield value
        if _leaf(value) is None:
            waiting += _parts_of(value).items
