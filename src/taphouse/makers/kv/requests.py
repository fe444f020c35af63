"""Requests: bytes become commands, each a list of words.

What programs send most of the time, whole requests in the usual spelling, taphouse splits; hiredis
parses the rest.  It is as trusting as a client of a server may be, so what a server has to fear is
looked for before: arrays that are announced but never sent (it would make room for them), requests
without end, and words that are none.  Lines as typed by hand ("inline commands") are read here.  It must
not know what a command means.
"""

from __future__ import annotations

import re
import shlex

import hiredis

from taphouse.protocols import split_requests

__all__ = ["MAX_REQUEST_BYTES", "Budget", "ProtocolError", "Requests"]

MAX_WORDS = 99_999
MAX_REQUEST_BYTES = 32 << 20
MAX_LINE_BYTES = 64 << 10
MAX_UNFINISHED_BYTES = 256 << 20

# More than MAX_WORDS, unless it is part of a value.  Honest clients need only the first, which is faster.
_huge_array = re.compile(rb"\*\d{6}")
_huge_any = re.compile(rb"[*>]\d{6}")
_broken_header = re.compile(rb"[*>$]\d*\Z")
_ARRAY_BYTES = 64  # what hiredis takes for the smallest array, of four bytes
_FROM_A_PROGRAM = b"*$"
_NOTHING = object()


class ProtocolError(Exception):
    """The peer does not speak the protocol; there is no way to go on."""


class Budget:
    """What all requests that have begun and not ended may take together.

    Attributes:
        used_bytes: what they take.
    """

    def __init__(self) -> None:
        self.used_bytes = 0


class Requests:
    """What one client says.

    Args:
        budget: shared by all clients.

    Attributes:
        unfinished_bytes: how much there is of a request whose end has not come; 0 for none.
        fed: how often more of such a request came.
        most_bytes: that such a request may have.
    """

    __slots__ = ("_budget", "_feed", "_gets", "_has_data", "_held", "fed", "most_bytes", "unfinished_bytes")

    def __init__(self, budget: Budget) -> None:
        reader = hiredis.Reader(notEnoughData=_NOTHING)
        self._feed, self._gets, self._has_data = reader.feed, reader.gets, reader.has_data
        self._budget = budget
        self._held = b""
        self.unfinished_bytes = 0
        self.fed = 0
        self.most_bytes = MAX_REQUEST_BYTES

    def feed(self, data: bytes, commands: list[list[bytes]]) -> None:
        """Append to ``commands`` those that ``data`` completes.

        Raises:
            ProtocolError: after ``commands`` got what came before the mistake.
        """
        if not self.unfinished_bytes and not self._held:
            taken = split_requests(data, commands, MAX_WORDS)
            if taken == len(data):
                return
            data = data[taken:]
        if self._held:
            data, self._held = self._held + data, b""
        known = len(commands)
        if data[0] not in _FROM_A_PROGRAM and not self._has_data():
            data = self._read_lines(data, commands)
        self._read_words(data, commands)
        new = len(commands) - known
        arrays = data.count(b"\n*") - new  # -1 if all that was begun has ended
        if arrays >= 0 or new == 0 or self._held or self._has_data():
            before = 0 if new else self.unfinished_bytes
            self._count(before + len(data) + _ARRAY_BYTES * max(0, arrays))
        elif self.unfinished_bytes:
            self._count(0)

    def _read_words(self, data: bytes, commands: list[list[bytes]]) -> None:
        if data[-1:] != b"\n" and (broken := _broken_header.search(data)):
            self._held = data[broken.start() :]
            data = data[: broken.start()]
        if _huge_array.search(data) or (b">" in data and _huge_any.search(data)):
            data = self._refuse_huge(data, commands)
        self._feed(data)
        self._take(commands)

    def _take(self, commands: list[list[bytes]]) -> None:
        try:
            for command in iter(self._gets, _NOTHING):
                if type(command) is not list:
                    raise ProtocolError("expected '*'")
                for word in command:
                    if type(word) is not bytes:
                        raise ProtocolError("expected '$'")
                if command:
                    commands.append(command)
        except (hiredis.ProtocolError, MemoryError) as error:
            raise ProtocolError(str(error)) from None

    def _refuse_huge(self, data: bytes, commands: list[list[bytes]]) -> bytes:
        """Return what is left of ``data`` behind all that looked like a huge array and was part of a value.

        hiredis tells the two apart: fed with all that comes before, it has nothing left over where an
        array may begin, and a value that waits for its end where none may.
        """
        start = 0
        for huge in _huge_any.finditer(data):
            self._feed(data[start : huge.start()])
            self._take(commands)
            if not self._has_data():
                raise ProtocolError("invalid multibulk length")
            start = huge.start()
        return data[start:]

    def _read_lines(self, data: bytes, commands: list[list[bytes]]) -> bytes:
        """Take commands typed as lines off ``data``; return what a program has sent after them."""
        while data and data[0] not in _FROM_A_PROGRAM:
            line, newline, rest = data.partition(b"\n")
            if len(line) > MAX_LINE_BYTES:
                raise ProtocolError("too big inline request")
            if not newline:
                self._held = data
                return b""
            if words := _split_line(line):
                commands.append(words)
            data = rest
        return data

    def _count(self, unfinished_bytes: int) -> None:
        self._budget.used_bytes += unfinished_bytes - self.unfinished_bytes
        self.unfinished_bytes = unfinished_bytes
        self.fed += 1
        if unfinished_bytes > self.most_bytes:
            raise ProtocolError("too big request")
        if unfinished_bytes and self._budget.used_bytes > MAX_UNFINISHED_BYTES:
            raise ProtocolError("too many unfinished requests")

    def close(self) -> None:
        """Give back what the budget holds for this client."""
        self._count(0)


def _split_line(line: bytes) -> list[bytes]:
    """Split a line into words, as a shell would."""
    line = line.rstrip(b"\r")
    if b'"' not in line and b"'" not in line:
        return line.split()
    try:
        return [word.encode("latin-1") for word in shlex.split(line.decode("latin-1"))]
    except ValueError:
        raise ProtocolError("unbalanced quotes in request") from None
