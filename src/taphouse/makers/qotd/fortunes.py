"""Fortunes: a file of quotes, read whole, or refused in one line.

Between two quotes stands a line that is only ``%``, as in the files of fortune(6); a file without such a line
has a quote on every line.  It must not know who asks for quotes.
"""

from __future__ import annotations

import os
import re
import stat

from taphouse.errors import ConfigurationError
from taphouse.value import Value

__all__ = ["AUTO", "LINE", "MAX_FILE_BYTES", "MAX_QUOTE_CHARACTERS", "Fortunes", "Source", "signature_of"]

AUTO, LINE = "auto", "line"
MAX_FILE_BYTES = 64 << 20
MAX_QUOTE_CHARACTERS = 64 << 10
_LONG_CHARACTERS = 511  # RFC 865: "should be limited to ... less than 512 characters"
_PERCENT = "%"

Signature = tuple[int, int, int, int, int]


class Fortunes(Value):
    """What a file holds.

    Attributes:
        quotes: at least one.
        notes: what is remarkable about them, for the log.
        signature: of the file when it was read.
    """

    quotes: tuple[str, ...]
    notes: tuple[str, ...]
    signature: Signature


class Source(Value):
    """Where quotes come from.

    Attributes:
        path: the file.
        separator: ``"auto"``, ``"line"``, or what a line consists of that stands between two quotes.
        encoding: of the file.
    """

    path: str
    separator: str = AUTO
    encoding: str = "utf-8"

    def read(self) -> Fortunes:
        """Read the file; it may take its time, so never call it in the loop.

        Raises:
            ConfigurationError: if it cannot be read, is too big, or holds no quote; names the file.
        """
        signature, data = _read_file(self.path)
        text, notes = self._decode(data)
        quotes = _split(text, self.separator)
        if not quotes:
            raise ConfigurationError(f"{self.path} holds no quote", cure="write one into it")
        longest = max(quotes, key=len)
        if len(longest) > MAX_QUOTE_CHARACTERS:
            raise ConfigurationError(
                f"{self.path}: the quote {longest[:20]!r}... has {len(longest):,} characters; "
                f"at most {MAX_QUOTE_CHARACTERS:,} are sent",
                cure="see whether --separator is right",
            )
        if long := sum(len(quote) > _LONG_CHARACTERS for quote in quotes):
            notes.append(f"{long} of them longer than the {_LONG_CHARACTERS} characters of RFC 865")
        return Fortunes(tuple(quotes), tuple(notes), signature)

    def _decode(self, data: bytes) -> tuple[str, list[str]]:
        try:
            return data.decode(self.encoding).removeprefix("\ufeff"), []
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
        except (LookupError, ValueError) as error:
            raise ConfigurationError(
                f"{self.path} cannot be read as {self.encoding}: {error}", cure="give another --encoding"
            ) from error
        note = f"line {line} is not {self.encoding}: what cannot be read is sent as U+FFFD; see --encoding"
        return data.decode(self.encoding, "replace").removeprefix("\ufeff"), [note]


def signature_of(status: os.stat_result) -> Signature:
    """Return what changes whenever a file does, its permissions included; the last two are nanoseconds."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _read_file(path: str) -> tuple[Signature, bytes]:
    try:
        # Not blocking: a FIFO would have us wait for somebody to write.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            raise ConfigurationError(f"{path} is no regular file", cure="give a file of quotes")
        with open(descriptor, "rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error.strerror}", cure="see that it is there and may be read"
        ) from error
    if len(data) > MAX_FILE_BYTES:
        raise ConfigurationError(
            f"{path} has more than {MAX_FILE_BYTES >> 20} MiB", cure="split it, or serve a part of it"
        )
    return signature_of(status), data


def _split(text: str, separator: str) -> list[str]:
    text = text.replace("\r\n", "\n")
    if separator == AUTO:
        separator = _PERCENT if _border(_PERCENT).search(text) else LINE
    if separator == LINE:
        return [line.strip() for line in text.split("\n") if line.strip()]
    return [quote.strip("\n") for quote in _border(separator).split(text) if quote.strip()]


def _border(separator: str) -> re.Pattern[str]:
    return re.compile(rf"^{re.escape(separator)}[ \t]*$", re.MULTILINE)
