"""Converting a tap: to JSON that a person can edit, and back.

What is written appears whole or not at all; what holds state is not written
over unless that was said.  It must never import application code.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from taphouse.cli.inspecting.copying import as_private_as
from taphouse.cli.inspecting.fitting import check_plan
from taphouse.errors import CannotCreateError, NotPermittedError, TapError, UsageError
from taphouse.persist import (
    check_document,
    is_tap,
    parse_document,
    read_document,
    render_document,
    write_document,
)
from taphouse.wholefile import whole_file

__all__ = ["FORMATS", "convert", "format_of", "print_document"]

FORMATS = ("tap", "json")


def convert(source: str, target: str, *, typein: str = "", typeout: str = "", force: bool = False) -> str:
    """Convert ``source`` to ``target`` and return what to say about it, "" if the output says it.

    Args:
        source: a tap or a JSON document; ``-`` is standard input, JSON.
        target: what to make; ``-`` is standard output, JSON.
        typein: ``tap`` or ``json``; "" to tell by the suffix.
        typeout: the same, of ``target``.
        force: set a state that is there aside.

    Raises:
        UsageError: if a format cannot be told.
        TapError: if the source is damaged, or an edited document describes no tap.
        StateExistsError: if the target holds state, and nothing was said.
        CannotCreateError, NotPermittedError: if something cannot be read or written.
    """
    kind, wanted = format_of(source, typein, "-f"), format_of(target, typeout, "-t")
    if "-" in (source if kind == "tap" else "", target if wanted == "tap" else ""):
        raise UsageError("a tap is a file, not a stream", cure="give -i and -o the names of files")
    if kind == "tap":
        document = read_document(source)
    else:
        document = parse_document(_read(source), source)
        check_document(document, source)
        check_plan(document, source)
    if wanted == "tap":
        with as_private_as(source, target):
            kept = write_document(document, target, name=source, force=force)
        return f"{_summary(target, document)}{f' What was there is {kept.name} now.' if kept else ''}"
    text = render_document(document)
    if target == "-":
        print_document(text)
        return ""
    _write(text, target, like=source if kind == "tap" else "")
    return _summary(target, document)


def print_document(text: str) -> None:
    """Print a document in UTF-8, whatever the locale says: JSON is nothing else."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8"))


def format_of(name: str, given: str, option: str) -> str:
    """Return the format of a file: what was said, else what its suffix tells.

    Raises:
        UsageError: if neither does.
    """
    if given:
        return given
    if name == "-":
        return "json"
    suffix = os.path.splitext(name)[1].lower().removeprefix(".")
    if suffix not in FORMATS:
        raise UsageError(
            f"{name}: neither .tap nor .json", cure=f"say its format with {option} tap or {option} json"
        )
    return suffix


def _summary(target: str, document: Mapping[str, Any]) -> str:
    count = len(document["objects"])
    facts = [f"{document['role']} of {document['name']}"]
    if "epoch" in document:
        facts.append(f"epoch {document['epoch']}")
    return f"{target}: {', '.join(facts)}, {count} object{'s' if count != 1 else ''}."


def _read(source: str) -> bytes:
    try:
        if source == "-":
            return sys.stdin.buffer.read()
        with open(source, "rb") as file:
            return file.read()
    except PermissionError as error:
        raise NotPermittedError(
            f"{source}: {error.strerror}", cure="run as a user who may read it"
        ) from error
    except OSError as error:
        raise TapError(f"cannot be read: {error.strerror}", path=source, cure="check the name") from error


def _write(text: str, target: str, *, like: str) -> None:
    """Write a document, atomically if it is to be a file.

    Args:
        text: of the document.
        target: its name.
        like: the tap whose mode it gets, since it holds the same secrets; "" for a private one.
    """
    path = os.path.realpath(target)
    mode = 0o600
    if like:
        with suppress(OSError):
            mode = os.stat(like).st_mode & 0o666
    if os.path.exists(target) and not os.path.isfile(target):
        _write_into(text, target)
        return
    if is_tap(path):
        raise CannotCreateError(f"{target} is a tap, and JSON was to be written", cure="choose another name")
    with whole_file(path, mode=mode) as file:
        file.write(text.encode())


def _write_into(text: str, target: str) -> None:
    """Write into a pipe or a device, which is never replaced."""
    try:
        with open(target, "w", encoding="utf-8") as stream:
            stream.write(text)
    except PermissionError as error:
        raise NotPermittedError(
            f"{target}: {error.strerror}", cure="run as a user who may write there"
        ) from error
    except OSError as error:
        raise CannotCreateError(
            f"{target}: {error.strerror}", cure="choose a folder with space that you may write"
        ) from error
