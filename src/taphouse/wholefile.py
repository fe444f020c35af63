"""Whole files: one that is there whole, or not at all, and names that a power cut does not take.

It is written under a temporary name in its own folder, synced, and then given
its name.  This module must never know what is written.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from taphouse.errors import CannotCreateError, NotPermittedError

__all__ = ["sync_folder", "whole_file"]


@contextmanager
def whole_file(path: str | os.PathLike[str], *, mode: int | None = None) -> Iterator[BinaryIO]:
    """Give a file to write to, which replaces ``path`` at the end of the block, unless that raises.

    Args:
        path: the file to make.
        mode: its permissions, ``None`` for what the umask leaves of 0666.

    Raises:
        CannotCreateError: its folder is not there, the disk is full, or something else is in the way.
        NotPermittedError: the system does not let us write there.
    """
    final = os.fspath(path)
    folder = os.path.dirname(final) or "."
    temporary = os.path.join(folder, f".{os.path.basename(final)}.{os.urandom(4).hex()}.tmp")
    try:
        if os.path.isdir(final):
            raise CannotCreateError(f"{final}: is a folder", cure="name a file")
        if os.path.exists(final) and not os.path.isfile(final):
            raise CannotCreateError(f"{final}: is no file that could be replaced", cure="name another")
        with _told_of(final):
            # Writing happens through a descriptor that knows its error when it is closed, too.
            file = open(temporary, "x+b", opener=None if mode is None else _private)  # noqa: SIM115
        try:
            yield _Told(file, final)  # type: ignore[misc]
            with _told_of(final):
                file.flush()
                if mode is not None:
                    os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
        finally:
            with suppress(OSError):  # what could not be flushed was told of above
                file.close()
        with _told_of(final):
            os.replace(temporary, final)
            sync_folder(folder)
    finally:
        with suppress(OSError):
            os.unlink(temporary)


def sync_folder(folder: str | os.PathLike[str]) -> None:
    """Make names in ``folder`` durable.

    Raises:
        OSError: if it cannot.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _Told:
    """A binary file whose errors name the file that is being made."""

    def __init__(self, file: BinaryIO, final: str) -> None:
        self._file = file
        self._final = final

    def write(self, data: bytes) -> int:
        with _told_of(self._final):
            return self._file.write(data)

    def flush(self) -> None:
        with _told_of(self._final):
            self._file.flush()

    def seek(self, offset: int, whence: int = 0) -> int:
        with _told_of(self._final):  # flushes what was written before
            return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def truncate(self) -> int:
        with _told_of(self._final):
            return self._file.truncate()


@contextmanager
def _told_of(final: str) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise NotPermittedError(
            f"{final}: {error.strerror}", cure="choose a folder that you may write (-o)"
        ) from error
    except OSError as error:
        raise CannotCreateError(
            f"{final}: {error.strerror}", cure="choose a folder that is there and has space (-o)"
        ) from error


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
