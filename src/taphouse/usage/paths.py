"""Paths: files and folders, absolute as soon as they are read, for a tap is started from anywhere.

It must never open one.
"""

from __future__ import annotations

import os
import pathlib
from typing import Annotated

from taphouse.usage.kinds import Kind, named, shown

__all__ = ["PATH", "ExistingFile", "ExistingFolder", "NewFile"]


class _Path(Kind):
    what = "path"
    metavar = "PATH"
    base = str
    limits = frozenset()
    completes = "file"

    def accept(self, value: object) -> pathlib.Path:
        if isinstance(value, os.PathLike):
            value = os.fspath(value)
        text = super().accept(value)
        if not text:
            raise ValueError("an empty path names nothing")
        return pathlib.Path(os.path.abspath(os.path.expanduser(text)))

    def plain(self, value: pathlib.Path) -> str:
        return str(value)


class _ExistingFile(_Path):
    what = "file"
    metavar = "FILE"

    def check(self, value: pathlib.Path) -> None:
        if value.is_dir():
            raise ValueError(f"{named(value)} is a folder, not a file")
        _must_exist(value)
        if not os.access(value, os.R_OK):
            raise ValueError(f"{named(value)} cannot be read")


class _ExistingFolder(_Path):
    what = "folder"
    metavar = "FOLDER"
    completes = "folder"

    def check(self, value: pathlib.Path) -> None:
        _must_exist(value)
        if not value.is_dir():
            raise ValueError(f"{named(value)} is no folder")


class _NewFile(_Path):
    what = "file"
    metavar = "FILE"

    def check(self, value: pathlib.Path) -> None:
        if value.is_dir():
            raise ValueError(f"{named(value)} is a folder, not a file")
        if not value.parent.is_dir():
            raise ValueError(f"{named(value)} cannot be made, there is no folder {named(value.parent)}")


def _must_exist(value: pathlib.Path) -> None:
    try:
        there = value.exists()
    except OSError as error:  # a name that is too long, a loop of links
        raise ValueError(f"{shown(str(value))}: {error.strerror}") from None
    if not there:
        raise ValueError(f"{named(value)} does not exist")


PATH = _Path()

ExistingFile = Annotated[pathlib.Path, _ExistingFile()]
"""A file that is there and can be read."""

ExistingFolder = Annotated[pathlib.Path, _ExistingFolder()]
"""A folder that is there."""

NewFile = Annotated[pathlib.Path, _NewFile()]
"""A file that may be made: its folder is there."""
