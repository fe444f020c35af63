"""`tap set` and `tap get`: one value of a tap's state, looked at or changed while no server runs.

What the plan owns is refused: it is changed by `mktap --update` alone.  It must
never import application code.
"""

from __future__ import annotations

import json
from typing import Any

from taphouse.cli.inspecting.statepath import Slot, find_slot, kind_of
from taphouse.cli.output import one_line
from taphouse.errors import ConfigurationError, TapError, UsageError
from taphouse.persist import TapEditor, TapLock, parse_document, render_document

__all__ = ["get_value", "set_value"]

_WORDS = {"int": "whole number"}
_ENDPOINTS = ("taphouse.app.listener.Listener", "taphouse.app.connector.Connector")
_ROOT = ("name", "uid", "gid", "durability", "listeners", "connectors", "services")
_SHOWN = 200


def get_value(path: str, where: str) -> str:
    """Return the value at ``where`` in the tap at ``path``, as JSON; a server may run on it.

    Raises:
        TapError: if the tap is damaged.
        UsageError: if there is no such value.
    """
    editor = TapEditor(path)
    return render_document(_whole(editor, find_slot(editor.objects, where)).value)


def set_value(path: str, where: str, text: str, *, kind: str = "", dry_run: bool = False) -> str:
    """Change one value in a tap on which no server runs, and return what to say.

    Args:
        path: the tap.
        where: what to change, see :func:`find_slot`.
        text: the new value, JSON with the tags of a document.
        kind: the type, in a word, if it may be another than the one that is there; ``text`` is no JSON.
        dry_run: only say what would change.

    Raises:
        AlreadyRunningError: if a server runs on it.
        UsageError: if there is no such value, or the new one is of another type.
        ConfigurationError: if the plan owns it.
        TapError: if the tap is damaged, or cannot hold the new value.
    """
    lock = TapLock(path)
    lock.acquire(wait_s=0)
    try:
        editor = TapEditor(path)
        slot = find_slot(editor.objects, where)
        _refuse_configuration(editor, slot, where)
        new = _parse(text, kind, where)
        if not (type(new) is dict and "$ref" in new):
            slot = _whole(editor, slot)
        old = slot.value
        new = _fitting(old, new, where) if not kind else new
        slot.holder[slot.key] = new
        said = f"{where}: {_short(old)} -> {_short(new)}"
        if dry_run:
            editor.check(slot.owner)
            return f"{said}; nothing was written"
        editor.write(slot.owner, json.dumps([where, new], sort_keys=True).encode())
        return said
    finally:
        lock.release()


def _whole(editor: TapEditor, slot: Slot) -> Slot:
    """Return where a container is that ``slot`` refers to, or ``slot``."""
    value = slot.value
    if type(value) is dict and "$ref" in value:
        entry = editor.objects[value["$ref"]]
        if "operations" in entry:
            raise TapError("holds operations that only its code can do", cure="start and stop it once")
        if "value" in entry:
            return Slot(entry, "value", value["$ref"], "")
    return slot


def _refuse_configuration(editor: TapEditor, slot: Slot, where: str) -> None:
    key = editor.objects[slot.owner].get("class")
    name = editor.classes[key].name if key is not None else ""
    is_root = slot.owner.endswith("@1") or (editor.plan.get("objects") or {}).get(slot.owner) == 1
    if name in _ENDPOINTS or (is_root and slot.attribute in _ROOT):
        raise ConfigurationError(f"{where} is configuration, which the plan owns", cure="use mktap --update")


def _parse(text: str, kind: str, where: str) -> Any:
    if kind == "text":
        return parse_document(json.dumps(text).encode(), where)
    try:
        new = parse_document(text.encode("utf-8", "surrogateescape"), where)
    except TapError as error:
        reason = error.message.removeprefix(f"{where}: ").removeprefix("line 1, ")
        raise UsageError(
            f"{where}: the new value is no JSON: {reason}",
            cure="write text as '\"text\"', or add --type text",
        ) from error
    if kind and kind_of(new) != _WORDS.get(kind, kind):
        if kind == "float" and type(new) is int:
            return float(new)
        raise UsageError(f"{where}: the new value is a {kind_of(new)}, not a {_WORDS.get(kind, kind)}")
    return new


def _fitting(old: Any, new: Any, where: str) -> Any:
    """Return ``new`` if it is of the type of ``old``."""
    was, now = kind_of(old), kind_of(new)
    if was == now:
        return new
    if was == "float" and type(new) is int:
        return float(new)
    raise UsageError(
        f"{where} is a {was} ({_short(old)}), and the new value a {now}",
        cure="give one of its type, or say the new type with --type",
    )


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return one_line(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")
