"""From a document to the content of a tap: everything checked, then rows and chunks as bytes.

This module must never look a class up, nor write a file.
"""

from __future__ import annotations

import datetime
import difflib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from taphouse.durable import ClassRecord
from taphouse.errors import ConfigurationError, TapError
from taphouse.names import check_application_name
from taphouse.persist.codes import CodecError
from taphouse.persist.containers import FIRST_CLASS
from taphouse.persist.document import DOCUMENT, KIND_CIDS
from taphouse.persist.inertpacking import InertPacker
from taphouse.persist.leaves import PackFailure
from taphouse.persist.origin import fresh_meta, plan_text
from taphouse.persist.pending import parts_of
from taphouse.persist.problems import Problem, expect, place_text, placed
from taphouse.persist.records import KINDS, MAX_OID, Row, make_class
from taphouse.persist.schema import ROLES, Meta
from taphouse.persist.undocumenting import Undocumenter
from taphouse.value import Value, field

__all__ = ["Content", "compose", "compose_object", "object_numbers"]

_HEAD: Final = ("document", "role", "name", "lineage", "created", "written_by")
_STATE: Final = ("epoch", "begin", "chain")
_REST: Final = ("next_number", "plan", "classes", "objects")
_HEX: Final = re.compile(r"[0-9a-f]{32}")
_NUMBERED: Final = re.compile(r".*@(\d{1,13})", re.DOTALL)
_SHAPES: Final = {
    0: '{"$bytearray": ...}',
    1: "[...]",
    2: "{...}",
    3: '{"$set": [...]}',
    4: '{"$deque": [...]}',
    5: '{"$ordereddict": [...]}',
    6: '{"$defaultdict": [...], "factory": ...}',
    7: '{"$counter": [...]}',
}
"""Kind of a container -> how its value is written."""


class Content(Value, frozen=False):
    """What a tap is made of.

    Args:
        meta: without totals.
        classes: class number -> record.
        rows: number -> row.
        chunks: number of a big container -> its chunks by number.
        deltas: number, epoch and operations of containers.
    """

    meta: Meta
    classes: dict[int, ClassRecord] = field(default_factory=dict)
    rows: dict[int, Row] = field(default_factory=dict)
    chunks: dict[int, dict[int, bytes]] = field(default_factory=dict)
    deltas: list[tuple[int, int, bytes]] = field(default_factory=list)


def compose(document: Any, name: str) -> Content:
    """Return the content that a document describes.

    Args:
        document: a JSON value, perhaps edited.
        name: of the document, for messages.

    Raises:
        TapError: naming the place of the first thing that is wrong.
    """
    with _placed_in(name):
        return _Composer(expect(document, dict)).compose()


def compose_object(
    key: str,
    entry: Any,
    *,
    name: str,
    classes: Mapping[str, ClassRecord],
    cids: Mapping[ClassRecord, int],
    numbers: Mapping[str, int],
    meta: Meta,
) -> Content:
    """Return the content that one entry of a document describes, without classes.

    Args:
        key: its id.
        entry: a JSON value, perhaps edited.
        name: of the document, for messages.
        classes: key of a class in the document -> record.
        cids: record -> number.
        numbers: id of an object -> its number.
        meta: of the tap.

    Raises:
        TapError: naming the place of the first thing that is wrong.
    """
    content = Content(meta)
    with _placed_in(name):
        _put(content, Undocumenter(classes, numbers), InertPacker(dict(cids)), key, entry)
    return content


@contextmanager
def _placed_in(name: str) -> Iterator[None]:
    """Turn what is wrong in a document into one line with its place."""
    try:
        yield
    except Problem as problem:
        where = place_text(problem.place[::-1])
        cure = "correct it; nothing was written"
        raise TapError(str(problem), path=name, where=where, cure=cure) from problem
    except RecursionError as error:
        raise TapError("is nested too deep", path=name, cure="nothing was written") from error


def object_numbers(document: Mapping[str, Any]) -> dict[str, int]:
    """Return the row number of each object of a document: of the plan, of its id (``Node@17``), or a new one.

    Raises:
        Problem: if two objects have one number, or the plan names an object that is not there.
    """
    objects = expect(document.get("objects"), dict, "objects")
    plan = expect(document.get("plan"), dict, "plan")
    labels = expect(plan.get("objects", {}), dict, "objects", "plan")
    for label, number in labels.items():
        if not 0 < expect(number, int, label, "objects", "plan") < MAX_OID:
            raise Problem(f"{number} is no number of an object", label, "objects", "plan")
    numbers: dict[str, int] = {}
    for key in objects:
        found = _NUMBERED.fullmatch(key)
        numbers[key] = int(found[1]) if found else labels.get(key, 0)
    after = max([0, *numbers.values()]) + 1
    given = document.get("next_number", 1)
    after = max(after, given if type(given) is int else 1)
    seen: dict[int, str] = {}
    for key, number in numbers.items():
        if not number:
            numbers[key], after = after, after + 1
        other = seen.setdefault(numbers[key], key)
        if other != key or numbers[key] >= MAX_OID:
            raise Problem(f"has the number of {other!r:.80}", key, "objects")
    for label, number in labels.items():
        if number not in seen:
            raise Problem(f"there is no object {label!r:.80} in objects", label, "objects", "plan")
    return numbers


class _Composer:
    """Composes one document."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document

    def compose(self) -> Content:
        self._keys()
        numbers = object_numbers(self.document)
        meta = self._meta(max(numbers.values(), default=0) + 1)
        classes, by_key = self._classes()
        packer = InertPacker({record: cid for cid, record in classes.items()})
        content = Content(meta, classes)
        undocumenter = Undocumenter(by_key, numbers)
        for key, entry in self.document["objects"].items():
            _put(content, undocumenter, packer, key, entry)
        root = content.rows.get(1)
        if root is None or root[0] < FIRST_CLASS or classes[root[0]].kind != "durable":
            raise Problem("there is no object of number 1, the application", "objects")
        return content

    def _keys(self) -> None:
        document = self.document
        version = document.get("document")
        if type(version) is not int or version < 1:
            raise Problem(f'is no tap as a document; such a one begins with "document": {DOCUMENT}')
        if version > DOCUMENT:
            raise Problem(f"has form {version}; this taphouse reads up to {DOCUMENT}", "document")
        role = expect(document.get("role"), str, "role")
        if role not in ROLES:
            raise Problem(f"{role!r:.40} is neither 'seed' nor 'state'", "role")
        known = (*_HEAD, *_STATE, *_REST)
        for key in document:
            if key not in known:
                near = difflib.get_close_matches(key, known, 1)
                raise Problem("no tap has that" + (f"; did you mean {near[0]}?" if near else ""), key)
            if key in _STATE and role == "seed":
                raise Problem("only a state has that, and role is 'seed'", key)
        for key in ("name", "plan", "classes", "objects"):
            if key not in document:
                raise Problem(f"{key} is missing")

    def _meta(self, after: int) -> Meta:
        document = self.document
        name = expect(document["name"], str, "name")
        try:
            check_application_name(name)
        except ConfigurationError as error:
            raise Problem(error.message, "name") from error
        plan = document["plan"]
        if plan.get("name", name) != name:
            raise Problem(f"{plan['name']!r:.80} is not the name above, {name!r}", "name", "plan")
        try:
            text = plan_text(plan)
            text.encode("utf-8")
        except (TypeError, ValueError) as error:
            raise Problem(f"cannot be stored: {error!s:.100}", "plan") from error
        meta = fresh_meta(None, text, role=document["role"]).with_(name=name)
        changes: dict[str, Any] = {
            "lineage": self._hex("lineage", os.urandom(16).hex()),
            "chain": bytes.fromhex(self._hex("chain", "0" * 32)),
            "epoch": self._number("epoch", 1 if meta.role == "state" else 0),
            "next_oid": max(after, self._number("next_number", 1)),
        }
        changes["begin"] = self._number("begin", changes["epoch"])
        if changes["begin"] > changes["epoch"]:
            raise Problem(f"is after epoch {changes['epoch']}", "begin")
        if changes["next_oid"] > MAX_OID:
            raise Problem("is too big", "next_number")
        return meta.with_(**changes, **self._written())

    def _written(self) -> dict[str, str]:
        changes: dict[str, str] = {}
        if "created" in self.document:
            changes["created"] = expect(self.document["created"], str, "created")
            try:
                datetime.datetime.fromisoformat(changes["created"])
            except ValueError as error:
                raise Problem("is no date and time", "created") from error
        for key, version in expect(self.document.get("written_by", {}), dict, "written_by").items():
            if key not in ("taphouse", "python"):
                raise Problem("is neither taphouse nor python", key, "written_by")
            changes[key] = expect(version, str, key, "written_by")
            if _is_unwritable(version):
                raise Problem("cannot be stored", key, "written_by")
        return changes

    def _hex(self, key: str, default: str) -> str:
        text: str = expect(self.document.get(key, default), str, key)
        if _HEX.fullmatch(text) is None:
            raise Problem("is not 32 digits of base 16", key)
        return text

    def _number(self, key: str, default: int) -> int:
        number: int = expect(self.document.get(key, default), int, key)
        if not 0 <= number < 1 << 62:
            raise Problem(f"{number} is out of range", key)
        return number

    def _classes(self) -> tuple[dict[int, ClassRecord], dict[str, ClassRecord]]:
        by_key: dict[str, ClassRecord] = {}
        for key, entry in expect(self.document["classes"], dict, "classes").items():
            place = (key, "classes")
            for name in expect(entry, dict, *place):
                if name not in ("name", "kind", "version", "module", "qualname"):
                    raise Problem("no class has that", name, *place)
            columns = [
                expect(entry.get(name, key if name == "name" else None), str, name, *place)
                for name in ("name", "module", "qualname", "kind")
            ]
            if columns[3] not in KINDS:
                raise Problem(f"{columns[3]!r:.40} is none of {', '.join(KINDS)}", "kind", *place)
            version = expect(entry.get("version"), int, "version", *place)
            try:
                record = make_class([*columns, version])
            except CodecError as error:
                raise Problem(str(error), *place) from error
            if record in by_key.values():
                raise Problem("is there twice", *place)
            if record.version >= 1 << 31 or any(map(_is_unwritable, columns)):
                raise Problem("has a version or name that no tap holds", *place)
            by_key[key] = record
        return dict(enumerate(by_key.values(), FIRST_CLASS)), by_key


def _put(content: Content, make: Undocumenter, packer: InertPacker, key: str, entry: Any) -> None:
    """Put what one entry describes into ``content``."""
    oid = make.ids[key]
    try:
        expect(entry, dict)
        is_container = "kind" in entry
        needed = ("kind", "value") if is_container else ("class", "state")
        for name in entry:
            if name not in needed and not (is_container and name == "operations"):
                raise Problem(f"an object with {needed[0]!r} has no such entry", name)
        for name in needed:
            if name not in entry:
                raise Problem(f"{name!r} is missing")
        (_container if is_container else _object)(content, make, packer, oid, entry)
    except Problem as problem:
        problem.place += [key, "objects"]
        raise
    except PackFailure as failure:
        raise Problem(f"{failure.path}: {failure.why}".removeprefix(": "), key, "objects") from failure
    except CodecError as error:
        raise Problem(str(error), key, "objects") from error


def _object(
    content: Content, make: Undocumenter, packer: InertPacker, oid: int, entry: dict[str, Any]
) -> None:
    record = placed(make.record, "class")(entry["class"], "durable", "plain")
    content.rows[oid] = packer.object(record, placed(make.attributes, "state")(entry["state"]))


def _container(
    content: Content, make: Undocumenter, packer: InertPacker, oid: int, entry: dict[str, Any]
) -> None:
    cid = KIND_CIDS.get(expect(entry["kind"], str, "kind"))
    if cid is None:
        raise Problem(f"{entry['kind']!r:.40} is none of {', '.join(KIND_CIDS)}", "kind")
    make.allows_gone = bool(entry.get("operations"))
    try:
        value = placed(make.value, "value")(entry["value"])
        operations = placed(make.operations, "operations")(entry.get("operations", []))
    finally:
        make.allows_gone = False
    try:
        parts_of(value, cid)
    except CodecError as error:
        why = f"{_SHAPES[cid % 8]} is expected, since the kind is {entry['kind']}"
        raise Problem(why, "value") from error
    content.rows[oid], chunks = packer.container(cid, value)
    if chunks:
        content.chunks[oid] = dict(enumerate(chunks))
    if operations:
        if content.meta.role == "seed" or cid > 7 or not content.meta.epoch:
            raise Problem("only a tracked container of a state tap has operations", "operations")
        content.deltas.append((oid, content.meta.epoch, packer.operations(operations)))


def _is_unwritable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return "\0" in text
