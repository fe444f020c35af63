"""ar: the archive that a .deb is, as ar(5) and deb(5) have it.

Fixed owner and mode, one time for all: nothing of the machine it is made on.
This module must never know what its members hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final

from taphouse.errors import ConfigurationError

__all__ = ["ArWriter"]

_MAGIC: Final = b"!<arch>\n"
_SIZE_AT: Final = 48  # of the size field in a header of 60 bytes
_MOST_BYTES: Final = 10**10 - 1  # what ten decimal digits can say


class ArWriter:
    """Writes members one after the other.

    Args:
        file: what to write to, at its beginning; it can seek.
        epoch: time of every member, seconds since 1970.
    """

    def __init__(self, file: BinaryIO, epoch: int) -> None:
        self._file = file
        self._epoch = epoch
        file.write(_MAGIC)

    @contextmanager
    def member(self, name: str) -> Iterator[BinaryIO]:
        """Give the file to write a member's content to; its size is filled in when the block ends.

        Args:
            name: 1 to 15 ASCII characters: longer ones need an extension that dpkg does not read.

        Raises:
            ConfigurationError: the member is larger than ar can say.
        """
        if not name.isascii() or not 0 < len(name) <= 15 or set(name) & {"/", " "}:
            raise ValueError(f"{name!r} cannot name a member of an ar archive")
        start = self._file.tell()
        self._file.write(f"{name:<16}{self._epoch:<12}{0:<6}{0:<6}{'100644':<8}{0:<10}`\n".encode("ascii"))
        content = self._file.tell()
        yield self._file
        end = self._file.tell()
        size = end - content
        if size > _MOST_BYTES:
            raise ConfigurationError(f"{name}: {size} bytes are more than a .deb can hold")
        self._file.seek(start + _SIZE_AT)
        self._file.write(f"{size:<10}".encode("ascii"))
        self._file.seek(end)
        if size % 2:
            self._file.write(b"\n")
