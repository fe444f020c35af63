"""Captured output: what a program prints becomes log lines.

``print`` is INFO, stderr is ERROR.  A line is logged when its newline arrives,
each thread's own; so the words of two threads never mix in a line.  This module
must never know where log lines end.
"""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Iterable

__all__ = ["LogStream"]

_LONGEST_CHARACTERS = 65_536


class LogStream(io.TextIOBase):
    """A text stream that logs.

    Args:
        logger: gets the lines.
        level: their level.
        original: what it stands in for; used when logging itself prints, and for ``fileno()``.
    """

    def __init__(self, logger: logging.Logger, level: int, original: io.TextIOBase) -> None:
        super().__init__()
        self._logger = logger
        self._level = level
        self._original = original
        self._own = threading.local()
        self.buffer = _ByteStream(self)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """What bytes written to ``buffer`` are read as."""
        return "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        """Any bytes can be logged."""
        return "backslashreplace"

    def writable(self) -> bool:
        """It is."""
        return True

    def fileno(self) -> int:
        """The descriptor of the stream this one stands in for."""
        return self._original.fileno()

    def write(self, text: str) -> int:
        """Log every line that is complete now; keep the rest."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        own = self._own
        if getattr(own, "busy", False):  # a handler failed and prints its own error
            return self._original.write(text)
        pending = getattr(own, "pending", "") + text
        own.pending = ""
        if "\n" not in text and len(pending) < _LONGEST_CHARACTERS:
            own.pending = pending
            return len(text)
        complete, newline, rest = pending.rpartition("\n")
        if not newline:
            complete, rest = pending, ""
        own.pending = rest
        self._log(complete)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:  # type: ignore[override]
        """Write each of ``lines``."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Nothing: half a line is no line.  See :meth:`finish`."""

    def finish(self) -> None:
        """Log what this thread wrote without a newline at the end."""
        pending, self._own.pending = getattr(self._own, "pending", ""), ""
        if pending:
            self._log(pending)

    def _log(self, text: str) -> None:
        self._own.busy = True
        try:
            for line in text.split("\n"):
                self._logger.log(self._level, "%s", line)
        finally:
            self._own.busy = False


class _ByteStream(io.RawIOBase):
    """``sys.stdout.buffer`` of a captured stream."""

    def __init__(self, text: LogStream) -> None:
        super().__init__()
        self._text = text

    def writable(self) -> bool:
        return True

    def write(self, data: bytes | bytearray | memoryview) -> int:  # type: ignore[override]
        raw = bytes(data)
        self._text.write(raw.decode("utf-8", "backslashreplace"))
        return len(raw)
