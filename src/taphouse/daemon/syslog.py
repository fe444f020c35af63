"""Records to syslog(3), over its socket, one record a line.

Written without the C library, whose syslog() may block for as long as the
daemon behind /dev/log likes.  Form: RFC 3164, as every /dev/log reader
understands it.  This module must never know where else a record goes.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import socket
import time
from collections.abc import Sequence

from taphouse.errors import ConfigurationError, UsageError

__all__ = ["SyslogSink"]

_DAEMON_FACILITY = 3
_SEVERITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_DEBUG_SEVERITY = 7
_TIMEOUT_S = 1.0
_PATIENCE_S = 5.0
_LINE_BYTES = 8000  # journald and rsyslog take at least 8 KiB
_PREFIX = r"[!-~]{1,48}"


class SyslogSink:
    """The syslog daemon of this machine.

    Args:
        prefix: the tag in front of every record, ``prefix[pid]: ``.
        path: its socket.

    Raises:
        ConfigurationError: nobody listens there (78).
        UsageError: the prefix is not a word (64).
    """

    def __init__(self, prefix: str, *, path: str = "/dev/log") -> None:
        if not re.fullmatch(_PREFIX, prefix):
            raise UsageError(f"--prefix {prefix!r:.60} is no syslog tag", cure="use up to 48 visible letters")
        self._prefix = prefix
        self._path = path
        self._socket: socket.socket | None = None
        self._mute_until = 0.0
        try:
            self._connect()
        except OSError as problem:
            raise ConfigurationError(
                f"--syslog: no syslog daemon listens at {path} ({os.strerror(problem.errno or 0)})",
                cure="start one, or log to a file with -l",
            ) from None

    def write(self, records: Sequence[bytes], level: int = logging.INFO) -> None:
        """Send every line of ``records`` as a record of its own.

        A daemon that is away or does not read is tried again later: lines for it are lost
        meanwhile, time is not.
        """
        if time.monotonic() < self._mute_until:
            return
        severity = next((number for at, number in _SEVERITIES if level >= at), _DEBUG_SEVERITY)
        stamp = time.strftime("%b %e %H:%M:%S")
        head = f"<{_DAEMON_FACILITY * 8 + severity}>{stamp} {self._prefix}[{os.getpid()}]: ".encode()
        for record in records:
            for line in record.splitlines():
                for start in range(0, len(line) or 1, _LINE_BYTES):
                    if not self._send(head + line[start : start + _LINE_BYTES]):
                        self._mute_until = time.monotonic() + _PATIENCE_S
                        return

    def rotate(self) -> None:
        """Nothing to rotate."""

    def rebase(self, root: str) -> None:
        """The socket is open; after chroot(2) it cannot be opened again, which is said in the docs."""

    def close(self) -> None:
        """Let go of the socket."""
        if self._socket:
            self._socket.close()
            self._socket = None

    def _connect(self) -> socket.socket:
        self.close()
        try:
            self._socket = self._connect_as(socket.SOCK_DGRAM)
        except OSError as problem:
            if problem.errno != errno.EPROTOTYPE:
                raise
            self._socket = self._connect_as(socket.SOCK_STREAM)
        return self._socket

    def _connect_as(self, kind: socket.SocketKind) -> socket.socket:
        attempt = socket.socket(socket.AF_UNIX, kind)
        attempt.settimeout(_TIMEOUT_S)
        try:
            attempt.connect(self._path)
        except OSError:
            attempt.close()
            raise
        return attempt

    def _send(self, message: bytes) -> bool:
        for _ in range(2):  # the second time over a new connection: the daemon may have been restarted
            try:
                open_socket = self._socket or self._connect()
                stream = open_socket.type == socket.SOCK_STREAM
                open_socket.sendall(message + b"\0" if stream else message)
            except TimeoutError:
                break
            except OSError:
                with contextlib.suppress(OSError):
                    self.close()
                continue
            return True
        return False
