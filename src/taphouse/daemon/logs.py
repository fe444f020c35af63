"""The log of a server: the root logger, stdout and stderr, to one or two places.

From :func:`open_logs` on everything the program logs, warns or prints is a line
of the log.  This module must never know what runs: who speaks is told by a
callable that is handed in.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
from collections.abc import Callable
from functools import partial

from taphouse.daemon.capture import LogStream
from taphouse.daemon.journal import SOCKET, JournalFormatter, JournalSink, find_journal
from taphouse.daemon.logfile import DEFAULT_ROTATE_BYTES, LogFile, StreamSink
from taphouse.daemon.logline import JSONFormatter, TextFormatter
from taphouse.daemon.logwriter import LogWriter, Sink
from taphouse.daemon.syslog import SyslogSink
from taphouse.errors import UsageError
from taphouse.value import Value

__all__ = ["LogSettings", "Logs", "open_logs"]

_FORMATS = ("text", "json")


class LogSettings(Value):
    """Where and how to log.

    Raises:
        UsageError: the combination makes no sense.
    """

    path: str = "-"
    """A file, ``-`` for stdout, or empty for no file (syslog alone)."""
    format: str = "text"
    """``text`` or ``json``; syslog always gets text, and the journal its own fields instead of text."""
    level: int = logging.INFO
    rotate_bytes: int = DEFAULT_ROTATE_BYTES
    keep: int = 0
    """How many rotated files to keep; 0 for all."""
    syslog: bool = False
    prefix: str = "taphouse"
    syslog_path: str = "/dev/log"
    journal_path: str = SOCKET
    """Where the journal listens, should stdout be its stream."""
    daemon: bool = False
    """The process is detached: its terminal will be gone, its stderr follows the file."""

    def __post_init__(self) -> None:
        if self.format not in _FORMATS:
            raise UsageError(f"--log-format {self.format!r:.40} is no format", cure="use text or json")
        if self.daemon and self.path == "-":
            raise UsageError("a daemon cannot log to stdout", cure="add --nodaemon, or name a file with -l")
        if not self.path and not self.syslog:
            raise UsageError("there is no place to log to", cure="name a file with -l, or use --syslog")


class Logs:
    """The open log; made by :func:`open_logs`."""

    def __init__(
        self, settings: LogSettings, context: Callable[[], str], application: Callable[[], str] = str
    ) -> None:
        self.path = os.path.abspath(settings.path) if settings.path not in ("", "-") else settings.path
        """The absolute path of the file, ``-``, or empty."""
        self._handlers: list[_WriterHandler] = []
        try:
            if settings.syslog:
                sink = SyslogSink(settings.prefix, path=settings.syslog_path)
                self._add(sink, TextFormatter(context, with_time=False))
            journal = self._journal(settings)
            if journal is not None:
                identifier = application() or settings.prefix
                self._handlers.append(
                    _JournalHandler(journal, JournalFormatter(context, application, identifier))
                )
            elif settings.path:
                make = JSONFormatter if settings.format == "json" else TextFormatter
                self._add(self._file_or_stdout(settings), make(context))
        except BaseException:
            for handler in self._handlers:
                handler.writer.close()
            raise
        self._take_over(settings.level)

    def start_thread(self) -> None:
        """Write on a thread from now on.  Call it after the last fork and the drop of privileges."""
        for handler in self._handlers:
            handler.writer.start_thread()

    def rotate(self) -> None:
        """What SIGUSR1 asks for: a new file; only a reopening if somebody has moved the old one."""
        for handler in self._handlers:
            handler.writer.call_soon(handler.sink.rotate)

    def rebase(self, root: str) -> None:
        """Say that the process has called chroot(2) with ``root``."""
        for handler in self._handlers:
            handler.writer.call_soon(partial(handler.sink.rebase, root))

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until all that was logged is written; False if it took longer than ``timeout`` seconds.

        To be called before ``os._exit`` and before any fatal end.
        """
        written = [handler.writer.flush(timeout) for handler in self._handlers]
        return all(written)

    def close(self, timeout: float = 5.0) -> None:
        """Write what is left and give back the root logger, stdout and stderr.  May be called twice."""
        if not self._handlers:
            return
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, LogStream):
                stream.finish()
        sys.stdout, sys.stderr = self._streams
        logging.captureWarnings(False)
        root = logging.getLogger()
        for handler in self._handlers:
            root.removeHandler(handler)
            handler.close()
            handler.writer.close(timeout)
        for old in self._old_handlers:
            root.addHandler(old)
        root.setLevel(self._old_level)
        self._handlers = []
        atexit.unregister(self.close)

    def _add(self, sink: Sink, formatter: logging.Formatter) -> None:
        self._handlers.append(_WriterHandler(sink, formatter))

    @staticmethod
    def _file_or_stdout(settings: LogSettings) -> LogFile | StreamSink:
        if settings.path == "-":
            sys.stdout.flush()
            return StreamSink(1)
        return LogFile(settings.path, rotate_bytes=settings.rotate_bytes, keep=settings.keep)

    @staticmethod
    def _journal(settings: LogSettings) -> JournalSink | None:
        """Return the journal if our standard output is nothing else."""
        if settings.path != "-" or settings.format != "text":
            return None
        sys.stdout.flush()
        return find_journal(os.environ, 1, path=settings.journal_path)

    def _take_over(self, level: int) -> None:
        root = logging.getLogger()
        self._old_handlers, self._old_level = list(root.handlers), root.level
        for old in self._old_handlers:
            root.removeHandler(old)
        for handler in self._handlers:
            root.addHandler(handler)
        root.setLevel(level)
        logging.captureWarnings(True)
        self._streams = (sys.stdout, sys.stderr)
        sys.stdout = LogStream(logging.getLogger("stdout"), logging.INFO, sys.stdout)  # type: ignore[arg-type]
        sys.stderr = LogStream(logging.getLogger("stderr"), logging.ERROR, sys.stderr)  # type: ignore[arg-type]
        atexit.register(self.close)

    def give_to(self, uid: int, gid: int) -> None:
        """Make the log file belong to the user to run as, so that it can still be opened after a drop."""
        for handler in self._handlers:
            if isinstance(handler.sink, LogFile):
                handler.sink.give_to(uid, gid)

    def redirect_stdio(self) -> None:
        """Point descriptors 1 and 2 at the log file, so that what C code or a child prints is kept.

        For a daemon that is ready and gives its terminal back; they follow every rotation.
        """
        for handler in self._handlers:
            if isinstance(handler.sink, LogFile):
                handler.writer.call_soon(handler.sink.follow_with_stdio)


def open_logs(
    settings: LogSettings,
    *,
    context: Callable[[], str] = lambda: "-",
    application: Callable[[], str] = str,
) -> Logs:
    """Open the log; its first line is "Log opened.".

    Args:
        settings: where and how.
        context: returns the bracketed word of a line; asked on the thread that logs.
        application: returns the application's name, "" while it is not known; the journal keeps it.

    Raises:
        CannotCreateError, NotPermittedError, ConfigurationError: the file or the syslog daemon
            cannot be had; nothing has changed then.
    """
    logs = Logs(settings, context, application)
    logging.getLogger("taphouse").info("Log opened.")
    return logs


class _WriterHandler(logging.Handler):
    """Formats on the thread that logs (only there is its context known), writes elsewhere."""

    def __init__(self, sink: Sink, formatter: logging.Formatter) -> None:
        super().__init__()
        self.sink = sink
        self.writer = LogWriter(sink, lost_line=self._lost_line)
        self.setFormatter(formatter)

    def emit(self, record: logging.LogRecord) -> None:
        self.writer.put(self.encoded(record), record.levelno)

    def encoded(self, record: logging.LogRecord) -> bytes:
        """Return what the sink is to get."""
        return (self.format(record) + "\n").encode("utf-8", "backslashreplace")

    def _lost_line(self, lost: int) -> bytes:
        text = f"{lost} log records were lost: they came faster than they could be written"
        return self.encoded(logging.LogRecord("taphouse", logging.WARNING, "", 0, text, None, None))


class _JournalHandler(_WriterHandler):
    """The same, with fields instead of a line."""

    def __init__(self, sink: Sink, formatter: JournalFormatter) -> None:
        super().__init__(sink, formatter)
        self._fields = formatter.fields

    def encoded(self, record: logging.LogRecord) -> bytes:
        return self._fields(record)
