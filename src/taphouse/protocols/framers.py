"""Framers: bytes in, messages out, and no more memory than was allowed.

Each framer holds what has come and not yet been taken; :meth:`Framer.next_message`
takes one message, so a caller can stop between two.  No I/O, no clock, no
callback: the same code serves any loop, and tests need none.
"""

from __future__ import annotations

import re
import struct
from typing import ClassVar

__all__ = ["Framer", "FramingError", "LengthFramer", "LineFramer", "NetstringFramer"]


class FramingError(ValueError):
    """The peer sent what cannot be framed: too long, or not of the form.  The stream is lost after it."""


class Framer:
    """Holds a stream's bytes until they make messages.

    Args:
        max_bytes: longest message accepted; longer ones raise :class:`FramingError` before they are held.
    """

    def __init__(self, max_bytes: int) -> None:
        if max_bytes < 1:
            raise ValueError(f"max_bytes must be at least 1, got {max_bytes}")
        self.max_bytes = max_bytes
        self._held = bytearray()
        self._start = 0

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take in what was received."""
        # What was taken is dropped here and not message by message: cutting a
        # bytearray's head costs its whole length each time.
        if self._start:
            del self._held[: self._start]
            self._moved(self._start)
            self._start = 0
        self._held += data

    @property
    def held_bytes(self) -> int:
        """How many bytes wait to be taken."""
        return len(self._held) - self._start

    def take_rest(self) -> bytes:
        """Take everything that waits, framed or not."""
        rest = bytes(self._held[self._start :])
        self._held.clear()
        self._moved(self._start + len(rest))
        self._start = 0
        return rest

    def next_message(self) -> bytes | None:
        """Take the next message, or ``None`` if it has not wholly come.

        Raises:
            FramingError: if it is too long or not of the form.
        """
        raise NotImplementedError

    def frame(self, message: bytes) -> bytes:
        """Return ``message`` as it goes over the wire.

        Raises:
            ValueError: if it is too long for the frame or for ``max_bytes``, or breaks the form.
        """
        raise NotImplementedError

    def _moved(self, count: int) -> None:
        """``count`` bytes at the head are gone; a subclass forgets its place in them."""

    def _check_length(self, message: bytes) -> None:
        if len(message) > self.max_bytes:
            raise ValueError(f"a message of {len(message)} bytes is longer than max_bytes, {self.max_bytes}")


class LineFramer(Framer):
    """Messages that end with a delimiter, which is not part of them.

    Args:
        max_bytes: longest line accepted, without its delimiter.
        delimiter: what ends a line.  With the default, a line feed, one carriage return before it
            is taken off too: what people type into ``nc`` and what RFCs demand are both lines.
    """

    def __init__(self, max_bytes: int = 16 * 1024, delimiter: bytes = b"\n") -> None:
        super().__init__(max_bytes)
        if not delimiter:
            raise ValueError("delimiter is empty")
        self.delimiter = delimiter
        self._searched = 0
        """Up to here there is no delimiter: a line that trickles in is searched once, not n times."""

    def next_message(self) -> bytes | None:
        """Take the next line, without its delimiter."""
        delimiter = self.delimiter
        end = self._held.find(delimiter, max(self._start, self._searched))
        if end < 0:
            self._searched = max(self._start, len(self._held) - len(delimiter) + 1)
            # A carriage return or part of a delimiter may follow the longest line.
            if self.held_bytes > self.max_bytes + max(1, len(delimiter) - 1):
                raise FramingError(f"a line is longer than {self.max_bytes} bytes")
            return None
        line = bytes(memoryview(self._held)[self._start : end])
        if delimiter == b"\n" and line.endswith(b"\r"):
            line = line[:-1]
        if len(line) > self.max_bytes:
            raise FramingError(f"a line is longer than {self.max_bytes} bytes")
        self._start = end + len(delimiter)
        return line

    def frame(self, message: bytes) -> bytes:
        """Return ``message`` with its delimiter; one inside of it is refused: it would be two lines."""
        self._check_length(message)
        if self.delimiter in message:
            raise ValueError(f"a line cannot contain its delimiter, {self.delimiter!r}")
        return message + self.delimiter

    def _moved(self, count: int) -> None:
        self._searched = max(0, self._searched - count)


class LengthFramer(Framer):
    """Messages after their length, an unsigned integer in network order.

    Args:
        max_bytes: longest message accepted.
        prefix_bytes: 1, 2 or 4.
    """

    _FORMATS: ClassVar[dict[int, struct.Struct]] = {
        1: struct.Struct("!B"),
        2: struct.Struct("!H"),
        4: struct.Struct("!I"),
    }

    def __init__(self, max_bytes: int, prefix_bytes: int) -> None:
        super().__init__(max_bytes)
        self._prefix = self._FORMATS[prefix_bytes]
        self._longest = min(max_bytes, 256**prefix_bytes - 1)

    def next_message(self) -> bytes | None:
        """Take the next message, without its length."""
        size = self._prefix.size
        if self.held_bytes < size:
            return None
        (length,) = self._prefix.unpack_from(self._held, self._start)
        if length > self._longest:
            raise FramingError(f"a message of {length} bytes is announced, at most {self._longest} are taken")
        if self.held_bytes < size + length:
            return None
        begin = self._start + size
        self._start = begin + length
        return bytes(memoryview(self._held)[begin : self._start])

    def frame(self, message: bytes) -> bytes:
        """Return ``message`` after its length."""
        if len(message) > self._longest:
            raise ValueError(f"a message of {len(message)} bytes is too long; at most {self._longest} fit")
        return self._prefix.pack(len(message)) + message


class NetstringFramer(Framer):
    """Netstrings, ``12:hello world!,`` (D. J. Bernstein, https://cr.yp.to/proto/netstrings.txt).

    Strict: no leading zeros, no spaces, digits only.

    Args:
        max_bytes: longest message accepted.
    """

    _LENGTH = re.compile(rb"(0|[1-9][0-9]*):")
    _BEGINNING = re.compile(rb"0|[1-9][0-9]*|")

    def __init__(self, max_bytes: int = 64 * 1024) -> None:
        super().__init__(max_bytes)
        self._digits = len(str(max_bytes))

    def next_message(self) -> bytes | None:
        """Take the next message, without length and comma."""
        # One look at most at the few bytes a length may have: a peer that sends
        # digits for ever is refused, not collected.
        head = bytes(self._held[self._start : self._start + self._digits + 1])
        match = self._LENGTH.match(head)
        if match is None:
            if len(head) > self._digits or self._BEGINNING.fullmatch(head) is None:
                raise FramingError(f"a netstring begins with a length up to {self.max_bytes}, not {head!r}")
            return None
        length = int(match[1])
        if length > self.max_bytes:
            raise FramingError(
                f"a message of {length} bytes is announced, at most {self.max_bytes} are taken"
            )
        begin = self._start + match.end()
        end = begin + length
        if len(self._held) <= end:
            return None
        if self._held[end] != 0x2C:
            raise FramingError(f"a netstring ends with a comma, not {bytes(self._held[end : end + 1])!r}")
        self._start = end + 1
        return bytes(memoryview(self._held)[begin:end])

    def frame(self, message: bytes) -> bytes:
        """Return ``message`` between its length and a comma."""
        self._check_length(message)
        return b"%d:%b," % (len(message), message)
