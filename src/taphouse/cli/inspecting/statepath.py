"""A path to one value in a tap's state: ``Keys#1.users["ann"].age``, found in the tap's document.

References are followed on the way.  It must never change a value, nor know what
a change means.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from taphouse.errors import UsageError
from taphouse.value import Value

__all__ = ["Slot", "find_slot", "kind_of"]

_PAIRS = ("$dict", "$ordereddict", "$counter", "$defaultdict")
_ITEMS = ("$tuple", "$deque", "$namedtuple")
_NAME = re.compile(r"\.([^.\[\]\s]+)")
_WORDS = {"$text": "text", "$int": "whole number", "$float": "float", "$base64": "bytes", "$dict": "dict"}
_PLAIN = {
    type(None): "null",
    bool: "boolean",
    int: "whole number",
    float: "float",
    str: "text",
    list: "list",
    dict: "dict",
}


class Slot(Value):
    """A place in a document that holds a value.

    Args:
        holder: the list or dict of the document.
        key: index or key in it.
        owner: id of the object it belongs to.
        attribute: of the owner, "" in a container that is shared.
    """

    holder: Any
    key: Any
    owner: str
    attribute: str

    @property
    def value(self) -> Any:
        """The value there."""
        return self.holder[self.key]


def kind_of(value: Any) -> str:
    """Return what a value of a document is, in words: ``whole number``, ``tuple``."""
    if type(value) is dict:
        tag = next((key for key in value if key[:1] == "$"), "")
        if tag:
            return _WORDS.get(tag, tag[1:])
    return _PLAIN[type(value)]


def find_slot(objects: Mapping[str, Any], path: str) -> Slot:
    """Find the value that ``path`` names.

    Args:
        objects: of a tap's document.
        path: id of an object, then ``.attribute``, ``[index]`` and ``["key"]``.

    Raises:
        UsageError: if there is none, with the nearest names that there are.
    """
    owner = max(
        (key for key in objects if path.startswith(key) and path[len(key) : len(key) + 1] in ("", ".", "[")),
        key=len,
        default=None,
    )
    if owner is None:
        word = re.split(r"[.\[]", path, maxsplit=1)[0]
        raise _missing(path, f"there is no object {word!r:.60}", word, objects)
    rest = path[len(owner) :]
    entry = objects[owner]
    if not rest:
        names = ", ".join(list(_attributes(entry))[:5]) if "state" in entry else "[...]"
        raise UsageError(f"{path} is a whole object", cure=f"name one of its values: {names}")
    slot = Slot(entry, "state" if "state" in entry else "value", owner, "")
    at = len(owner)
    while rest:
        slot, length = _step(objects, slot, path, at)
        at, rest = at + length, rest[length:]
    return slot


def _missing(path: str, why: str, word: str, names: Iterable[str]) -> UsageError:
    known = list(names)
    near = difflib.get_close_matches(word, known, 3, 0.5) or known[:5]
    cure = f"there is {', '.join(near)}" if near else "tap show lists what there is"
    return UsageError(f"{path}: {why}", cure=cure)


def _attributes(entry: Mapping[str, Any]) -> dict[str, Any]:
    state = entry["state"]
    return {pair[0]: pair for pair in state["$dict"]} if "$dict" in state else state


def _step(objects: Mapping[str, Any], slot: Slot, path: str, at: int) -> tuple[Slot, int]:
    """Go one step from ``slot``, along what begins at ``path[at]``; return where it leads, and its length."""
    slot = _follow(objects, slot)
    found = _NAME.match(path, at)
    if found is not None:
        entry = objects[slot.owner]
        if slot.key != "state" or slot.holder is not entry:
            raise UsageError(
                f"{path[:at]} is a {kind_of(slot.value)}, which has no attributes",
                cure='write ["key"] or [0]',
            )
        names, name = _attributes(entry), found[1]
        if name not in names:
            raise _missing(path, f"{slot.owner} has no attribute {name!r:.60}", name, names)
        holder, key = (names[name], 1) if "$dict" in entry["state"] else (entry["state"], name)
        return Slot(holder, key, slot.owner, name), found.end() - at
    if path[at] != "[":
        raise UsageError(
            f"{path}: {path[at:]!r:.40} is no step", cure='steps are .attribute, [0] and ["key"]'
        )
    try:
        key, end = json.JSONDecoder().raw_decode(path, at + 1)
    except (ValueError, RecursionError):
        end = -1
    if end < 0 or path[end : end + 1] != "]":
        raise UsageError(f"{path}: {path[at:]!r:.40} is no step", cure='write [0] or ["key"], in JSON')
    return _entry(slot, key, path, path[:at]), end + 1 - at


def _follow(objects: Mapping[str, Any], slot: Slot) -> Slot:
    """Return where a reference leads: the attributes of an object, or the value of a container."""
    value = slot.value
    if type(value) is dict and type(value.get("$ref")) is str:
        owner = value["$ref"]
        entry = objects[owner]
        return Slot(entry, "state" if "state" in entry else "value", owner, "")
    return slot


def _entry(slot: Slot, key: Any, path: str, before: str) -> Slot:
    value = slot.value
    kind = kind_of(value)
    if slot.key == "state" and slot.attribute == "":
        raise UsageError(f"{before} is an object, not a container", cure="write .attribute")
    if type(value) is dict:
        tag = next((name for name in value if name[:1] == "$"), "")
        if tag in _PAIRS:
            for pair in value[tag]:
                if type(pair[0]) is type(key) and pair[0] == key:
                    return Slot(pair, 1, slot.owner, slot.attribute)
            raise _no_key(path, before, key, [pair[0] for pair in value[tag]])
        if not tag:
            if type(key) is str and key in value:
                return Slot(value, key, slot.owner, slot.attribute)
            raise _no_key(path, before, key, list(value))
        value = value[tag] if tag in _ITEMS else None
    if type(value) is not list:
        raise UsageError(f"{before} is a {kind}, which has no entries to name", cure="set it as a whole")
    if type(key) is not int or not -len(value) <= key < len(value):
        raise UsageError(
            f"{before} has {len(value)} items, and no {json.dumps(key)[:60]}", cure="count from 0"
        )
    return Slot(value, key, slot.owner, slot.attribute)


def _no_key(path: str, before: str, key: Any, keys: list[Any]) -> UsageError:
    names = [json.dumps(name, ensure_ascii=False)[:60] for name in keys]
    word = json.dumps(key, ensure_ascii=False)
    return _missing(path, f"{before} has no key {word:.60}", word, names)
