"""Outputs: where what is made is to lie, looked at before the costly part.

This module must never write a file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from taphouse.errors import CannotCreateError, NotPermittedError, UsageError

__all__ = ["check_output", "output_path"]


def check_output(given: str, inputs: Iterable[str]) -> None:
    """Refuse where nothing can be made, or what is given would be lost; the rest shows when it is written.

    Args:
        given: a file, or a folder.
        inputs: what it is made of; paths that are not there, and "", are passed over.

    Raises:
        CannotCreateError: there is no such folder.
        NotPermittedError: it may not be written.
        UsageError: one of the inputs would be replaced.
    """
    folder = given if _is_folder(given) else os.path.dirname(given) or "."
    if not os.path.isdir(folder):
        raise CannotCreateError(f"{folder}: is no folder", cure="name one that is there (-o)")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise NotPermittedError(f"{folder}: may not be written", cure="choose another folder (-o)")
    _refuse_loss(given, inputs)


def output_path(given: str, name: str, inputs: Iterable[str]) -> str:
    """Return the file to make.

    Args:
        given: it, or its folder.
        name: what it is called if nobody has said.
        inputs: see `check_output`.

    Raises:
        UsageError: one of the inputs would be replaced.
    """
    path = given
    if _is_folder(given):
        path = name if given == "." else os.path.join(given, name)
    _refuse_loss(path, inputs)
    return path


def _refuse_loss(path: str, inputs: Iterable[str]) -> None:
    for given in inputs:
        if os.path.isfile(path) and os.path.exists(given) and os.path.samefile(path, given):
            raise UsageError(f"{path} is what it would be made of", cure="name another file (-o)")


def _is_folder(given: str) -> bool:
    return os.path.isdir(given) or given.endswith("/")
