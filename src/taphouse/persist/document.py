"""A tap as a document: plan, classes and state as one JSON-able value that a person can edit.

The classes are data: nothing is imported, nothing runs.  What a document holds
is all that a tap holds, but not how: chunks, operations and journal are one state.
This module must never know what an application is.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from taphouse.durable import ClassRecord
from taphouse.errors import TapError
from taphouse.persist.codes import CodecError
from taphouse.persist.containers import FIRST_CLASS, MADE_BY_CID
from taphouse.persist.documenting import Documenter
from taphouse.persist.image import Image
from taphouse.persist.jsontext import render_text
from taphouse.persist.opening import damage_as_tap_error
from taphouse.persist.origin import plan_text
from taphouse.persist.pending import settle
from taphouse.persist.reading import info_of, load_image
from taphouse.persist.showing import InertObject, objects_of

__all__ = [
    "DOCUMENT",
    "KIND_CIDS",
    "KIND_WORDS",
    "class_keys",
    "document_object",
    "document_of",
    "object_ids",
    "read_document",
    "render_document",
]

DOCUMENT: Final = 1
"""What ``document`` says: the version of this form."""


def _word(cid: int, kind: type) -> str:
    name = kind.__qualname__.removeprefix("Tracked").lower()
    return name if cid <= 8 else f"plain {name}"


KIND_WORDS: Final = {cid: _word(cid, kind) for cid, kind in MADE_BY_CID.items()}
"""Number of a kind of container -> its word in a document: ``dict``, ``plain dict``."""
KIND_CIDS: Final = {word: cid for cid, word in KIND_WORDS.items()}
_LABEL_IS_NONE: Final = re.compile(r".*@\d+|", re.DOTALL)
_SHORT: Final = re.compile(r"[A-Za-z0-9_]+")


def read_document(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a tap, from a private copy, as a JSON-able value.

    Raises:
        TapError: if it is damaged, foreign, newer, or its WAL is missing or not its own.
        NotPermittedError: if it may not be read.
    """
    name = Path(path)
    return document_of(load_image(name), name)


def render_document(document: dict[str, Any]) -> str:
    """Return a document as text; the same text for the same document.

    Raises:
        TapError: if it is nested too deep to be text.
    """
    try:
        return render_text(document)
    except RecursionError as error:
        raise TapError(
            "is nested too deep for JSON", cure="convert it to .tap, or look with tap show"
        ) from error


def document_of(image: Image, name: Path) -> dict[str, Any]:
    """Return the document of what was read from the tap ``name``.

    Raises:
        TapError: naming the first damaged row.
    """
    info = info_of(image, name)
    found = list(objects_of(image, name))
    keys = class_keys(image.classes)
    ids = object_ids({row.oid: row.cid for row in found}, image.classes, info.plan)
    documenter = Documenter({image.classes[cid]: key for cid, key in keys.items()}, ids)
    document: dict[str, Any] = {
        "document": DOCUMENT,
        "role": info.role,
        "name": info.name,
        "lineage": info.lineage,
        "created": info.created,
        "written_by": dict(info.versions),
    }
    if info.role == "state":
        document |= {"epoch": info.epoch, "begin": info.base_epoch, "chain": image.chain.hex()}
    document["next_number"] = image.next_oid
    with damage_as_tap_error(name, "meta"):
        document["plan"] = _sorted(info.plan)
    document["classes"] = {key: _class_entry(image.classes[cid], key) for cid, key in keys.items()}
    document["objects"] = objects = {}
    for row in found:
        with damage_as_tap_error(name, f"row {row.oid}"):
            if not 0 < row.oid < image.next_oid:
                raise CodecError("has a number never given")
            objects[ids[row.oid]] = document_object(row, documenter, keys)
    return document


def _sorted(plan: Mapping[str, Any]) -> Any:
    """Return a plan in the order in which it is written."""
    try:
        return json.loads(plan_text(dict(plan)))
    except ValueError as error:
        raise CodecError(f"row 'plan' is no JSON: {error!s:.100}") from error


def class_keys(classes: dict[int, ClassRecord]) -> dict[int, str]:
    """Return class number -> key in the document: the name, or with a number if versions share it."""
    keys: dict[int, str] = {}
    taken: set[str] = set()
    for cid, record in sorted(classes.items()):
        key, count = record.name, 1
        while key in taken:
            count += 1
            key = f"{record.name} ({count})"
        taken.add(key)
        keys[cid] = key
    return keys


def _class_entry(record: ClassRecord, key: str) -> dict[str, Any]:
    entry: dict[str, Any] = {} if record.name == key else {"name": record.name}
    return {
        **entry,
        "kind": record.kind,
        "version": record.version,
        "module": record.module,
        "qualname": record.qualname,
    }


def object_ids(kinds: Mapping[int, int], classes: Mapping[int, ClassRecord], plan: Any) -> dict[int, str]:
    """Return row number -> id in the document: its label in the plan (``Keys#1``), else ``Node@17``.

    Args:
        kinds: row number -> class number.
        classes: class number -> record.
        plan: of the tap.
    """
    labels = plan.get("objects")
    named: dict[int, str] = {}
    for label, oid in labels.items() if type(labels) is dict else ():
        if type(oid) is int and _LABEL_IS_NONE.fullmatch(label) is None:
            named.setdefault(oid, label)
    words: dict[int, str] = {cid: word.split()[-1] for cid, word in KIND_WORDS.items()}
    for cid, record in classes.items():
        word = record.name.rpartition(".")[2]
        words[cid] = word if _SHORT.fullmatch(word) else "object"
    return {oid: named.get(oid) or f"{words.get(cid, 'object')}@{oid}" for oid, cid in kinds.items()}


def document_object(row: InertObject, documenter: Documenter, keys: Mapping[int, str]) -> dict[str, Any]:
    """Return the entry of one object.

    Args:
        row: the object.
        documenter: makes its values.
        keys: class number -> key in the document.

    Raises:
        CodecError: if it is nothing that taphouse writes.
    """
    if row.cid >= FIRST_CLASS:
        if any(type(name) is not str for name in row.state):
            raise CodecError("an attribute whose name is no text")
        return {"class": keys[row.cid], "state": documenter.value(row.state)}
    value, operations = settle(row)
    entry: dict[str, Any] = {"kind": KIND_WORDS[row.cid]}
    documenter.allows_gone = bool(operations)
    try:
        entry["value"] = documenter.value(value)
        if operations:
            entry["operations"] = documenter.operations(operations)
    finally:
        documenter.allows_gone = False
    return entry
