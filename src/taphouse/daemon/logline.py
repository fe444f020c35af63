"""Log lines: a logging record becomes text or JSON, safe to show on a terminal.

Text form: ``<ISO local time with offset> [<context>] <text>``; text of several
lines carries the same head on each.  What a client sent may end up in a log, so
control characters are written as escapes.  This module must never open a file.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable

from taphouse.errors import UsageError

__all__ = ["JSONFormatter", "TextFormatter", "parse_level"]

# C0 without tab and newline, DEL, C1: what a terminal may obey, or a reader take for a new line.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_LONGEST_CHARACTERS = 262_144
_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_LEVELS = ("debug", "info", "warning", "error", "critical")


def parse_level(text: str) -> int:
    """Turn ``--log-level``'s word into the number :mod:`logging` uses.

    Raises:
        UsageError: there is no such level.
    """
    if text.lower() not in _LEVELS:
        raise UsageError(f"--log-level {text!r:.40} is no level", cure=f"use one of {', '.join(_LEVELS)}")
    return logging.getLevelNamesMapping()[text.upper()]


class _LocalTime:
    """ISO 8601 local time with offset; the part that changes once a second is made once a second."""

    def __init__(self) -> None:
        self._second = -1
        self._head = self._tail = ""

    def __call__(self, moment: float) -> str:
        second = int(moment)
        if second != self._second:
            local = time.localtime(second)
            offset = time.strftime("%z", local)
            self._head = time.strftime("%Y-%m-%dT%H:%M:%S.", local)
            self._tail = f"{offset[:3]}:{offset[3:5]}"
            self._second = second
        return f"{self._head}{int((moment - second) * 1000):03d}{self._tail}"


class _Formatter(logging.Formatter):
    def __init__(self, context: Callable[[], str]) -> None:
        super().__init__()
        self._context = context
        self._time = _LocalTime()

    def text_of(self, record: logging.LogRecord) -> str:
        """The record's message with its traceback and stack; never raises."""
        try:
            text = record.getMessage()
        except Exception as problem:  # the caller's % arguments, or their __str__
            text = f"{record.msg!r:.1000} (arguments that do not fit: {type(problem).__name__})"
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        for more in (record.exc_text, record.stack_info):
            if more:
                text = f"{text}\n{more}" if text else more
        if len(text) > _LONGEST_CHARACTERS:
            text = f"{text[:_LONGEST_CHARACTERS]}... ({len(text)} characters)"
        return text

    @staticmethod
    def escaped(text: str) -> str:
        """Return ``text`` without what a terminal would obey."""
        return _escape(text)

    def context_of(self, record: logging.LogRecord) -> str:
        """The bracketed word; a provider that fails must not cost the line."""
        try:
            return str(getattr(record, "context", None) or self._context() or "-")
        except Exception:
            return "-"


class TextFormatter(_Formatter):
    """``2026-11-22T17:18:01.123+01:00 [Keys,3,127.0.0.1] giving key 7``.

    Args:
        context: gives the bracketed word, asked once a record, on the thread that logs.
        with_time: whether the time stands in front (syslog puts its own there).
    """

    def __init__(self, context: Callable[[], str], *, with_time: bool = True) -> None:
        super().__init__(context)
        self._with_time = with_time

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's lines, without a newline at the end."""
        head = f"[{_escape(self.context_of(record)).replace(chr(10), ' ')}] "
        if self._with_time:
            head = f"{self._time(record.created)} {head}"
        text = _escape(self.text_of(record).rstrip("\n"))
        if "\n" not in text:
            return head + text
        return "\n".join(head + line for line in text.split("\n"))


class JSONFormatter(_Formatter):
    """One JSON object a line: time, level, logger, context, text, and what ``extra=`` added."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line."""
        fields: dict[str, object] = {
            "time": self._time(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "context": self.context_of(record),
            "text": self.text_of(record).rstrip("\n"),
        }
        for name, value in vars(record).items():
            if name not in _STANDARD_FIELDS and name not in fields:
                fields[name] = value
        return json.dumps(fields, default=_shown, skipkeys=True)


def _escape(text: str) -> str:
    if text.isprintable():
        return text
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def _shown(value: object) -> str:
    try:
        return repr(value)
    except Exception:
        return f"<{type(value).__name__}>"
