"""Records to systemd's journal in its own protocol: one record each, with fields.

systemd.io/JOURNAL_NATIVE_PROTOCOL.  A datagram a record; one that is too big for
that goes as a sealed memory file.  A traceback stays one record, and what a
program prints keeps its severity.  This module must never know what a record says.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence

from taphouse.daemon.logline import TextFormatter

__all__ = ["JournalFormatter", "JournalSink", "find_journal"]

SOCKET = "/run/systemd/journal/socket"
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_DEBUG_PRIORITY = 7
_CAPTURED = ("stdout", "stderr")
_TIMEOUT_S = 1.0
_PATIENCE_S = 5.0


def find_journal(environment: Mapping[str, str], fd: int, *, path: str = SOCKET) -> JournalSink | None:
    """Return the journal if ``fd`` is its stream already, ``None`` else, or if it cannot be spoken to.

    Args:
        environment: ``JOURNAL_STREAM`` in it names device and inode of the stream, see systemd.exec(5).
        fd: where lines would go otherwise.
        path: the journal's socket.
    """
    try:
        found = os.fstat(fd)
    except OSError:
        return None
    if environment.get("JOURNAL_STREAM") != f"{found.st_dev}:{found.st_ino}":
        return None
    try:
        return JournalSink(path)
    except OSError:
        return None


class JournalSink:
    """The journal of this machine.

    Args:
        path: its socket, connected at once: after chroot(2) it could not be found.

    Raises:
        OSError: nobody listens there.
    """

    def __init__(self, path: str = SOCKET) -> None:
        self._path = path
        self._mute_until = 0.0
        self._socket = self._connect()

    def write(self, records: Sequence[bytes], level: int = logging.INFO) -> None:
        """Send each of ``records``; a journal that does not read costs records, not time."""
        for record in records:
            if time.monotonic() < self._mute_until:
                return
            if not self._send(record):
                self._mute_until = time.monotonic() + _PATIENCE_S

    def rotate(self) -> None:
        """Nothing to rotate."""

    def rebase(self, root: str) -> None:
        """The socket is connected, which chroot(2) does not change."""

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()

    def _connect(self) -> socket.socket:
        attempt = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        attempt.settimeout(_TIMEOUT_S)
        try:
            attempt.connect(self._path)
        except OSError:
            attempt.close()
            raise
        return attempt

    def _send(self, record: bytes) -> bool:
        for _ in range(2):  # the second time to a journal that was started anew
            try:
                try:
                    self._socket.send(record)
                except OSError as error:
                    if error.errno not in (errno.EMSGSIZE, errno.ENOBUFS):
                        raise
                    self._send_file(record)
            except TimeoutError:
                return False
            except OSError:
                with contextlib.suppress(OSError):
                    fresh = self._connect()
                    self._socket.close()
                    self._socket = fresh
                continue
            return True
        return False

    def _send_file(self, record: bytes) -> None:
        fd = os.memfd_create("journal", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            left = memoryview(record)
            while left:
                left = left[os.write(fd, left) :]
            # The journal reads it in place, and only if nobody can change it any more.
            seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
            socket.send_fds(self._socket, [b""], [fd])
        finally:
            os.close(fd)


class JournalFormatter(TextFormatter):
    """Fields of a record, as the journal's socket takes them.

    Args:
        context: gives ``TAPHOUSE_CONTEXT``, asked once a record, on the thread that logs.
        application: gives ``TAPHOUSE_APPLICATION``, "" while it is not known.
        identifier: ``SYSLOG_IDENTIFIER``, what journalctl shows in front.
    """

    def __init__(self, context: Callable[[], str], application: Callable[[], str], identifier: str) -> None:
        super().__init__(context, with_time=False)
        self._application = application
        self._identifier = identifier

    def fields(self, record: logging.LogRecord) -> bytes:
        """Return the record as the bytes to send."""
        priority = next((number for at, number in _PRIORITIES if record.levelno >= at), _DEBUG_PRIORITY)
        values: dict[str, object] = {
            "MESSAGE": self.escaped(self.text_of(record).rstrip("\n")),
            "PRIORITY": priority,
            "SYSLOG_IDENTIFIER": self._identifier,
            "TAPHOUSE_CONTEXT": self.context_of(record),
            "TAPHOUSE_LOGGER": record.name,
        }
        application = self._application()
        if application:
            values["TAPHOUSE_APPLICATION"] = application
        if record.name not in _CAPTURED:  # where that is logged from is no place of the program's
            values.update(CODE_FILE=record.pathname, CODE_LINE=record.lineno, CODE_FUNC=record.funcName)
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, OSError) and error.errno:
            values["ERRNO"] = error.errno
        return b"".join(_field(name, str(value)) for name, value in values.items())


def _field(name: str, value: str) -> bytes:
    data = value.encode("utf-8", "backslashreplace")
    if b"\n" not in data:
        return b"%s=%s\n" % (name.encode(), data)
    return b"%s\n%s%s\n" % (name.encode(), len(data).to_bytes(8, "little"), data)
