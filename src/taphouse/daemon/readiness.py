"""The readiness pipe: what a daemon being born tells the command that waits for it.

JSON lines, oldest first: ``{"pid": n}`` once, ``{"step": text}`` any number of
times, then ``{"code": n, "error": text}`` or nothing more.  This module must
never fork and never know what the steps are.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable

from taphouse.daemon.system import System
from taphouse.errors import TaphouseError
from taphouse.value import Value

__all__ = ["Readiness", "Report", "ReportReader"]

_ERROR_CHARACTERS = 2000
_BUFFER_BYTES = 1 << 20


class Readiness:
    """The daemon's end of the pipe; without a pipe (foreground) every method is harmless.

    Args:
        fd: the write end, or -1 in the foreground.
        system: the operating system.
        quiet_stdio: whether :meth:`ready` puts /dev/null on stdout and stderr.
    """

    def __init__(self, fd: int = -1, *, system: System | None = None, quiet_stdio: bool = False) -> None:
        self._fd = fd
        self._system = system or System()
        self._quiet_stdio = quiet_stdio

    @property
    def is_detached(self) -> bool:
        """Whether a command waits for our report."""
        return self._fd >= 0

    def step(self, text: str) -> None:
        """Say what is being done, ``"loading otk-start.tap"``; it also restarts the waiter's patience."""
        self._send({"step": text[:_ERROR_CHARACTERS]})

    def ready(self, *, keep_stdio: bool = False) -> None:
        """Report that every listener accepts: the waiting command ends with 0.

        Args:
            keep_stdio: stdout and stderr have been pointed elsewhere already (at the log).
        """
        if self._quiet_stdio and not keep_stdio:
            sys.stdout.flush()
            sys.stderr.flush()
            for fd in (1, 2):
                self._system.dup2(0, fd)  # which is /dev/null: after chroot(2) there may be no other
        self._finish({"code": 0, "error": ""})

    def failed(self, error: BaseException | str, *, code: int | None = None) -> int:
        """Report why the start failed: the waiting command prints it and ends with the code.

        Args:
            error: the error, or its one line.
            code: the exit code; by default the error's own, else 70.

        Returns:
            The code, for this process to end with as well.
        """
        if code is None:
            code = error.exit_code if isinstance(error, TaphouseError) else 70
        text = " ".join(str(error).split()) or type(error).__name__
        self._finish({"code": code or 70, "error": text[:_ERROR_CHARACTERS]})
        return code or 70

    def say_pid(self) -> None:
        """Tell who we are, so that the waiter can name the signal that ends us."""
        self._send({"pid": self._system.getpid()})

    def _finish(self, message: dict[str, object]) -> None:
        if self._fd >= 0:
            self._send(message)
            self._system.close(self._fd)
            self._fd = -1

    def _send(self, message: dict[str, object]) -> None:
        if self._fd < 0:
            return
        data = json.dumps(message).encode("ascii") + b"\n"
        with contextlib.suppress(BrokenPipeError):  # nobody waits any more: no reason to fail
            while data:
                data = data[self._system.write(self._fd, data) :]


class Report(Value):
    """How the wait ended."""

    outcome: str
    """``"reported"``, ``"died"`` (the pipe closed without a report) or ``"silent"`` (patience ran out)."""
    code: int = 70
    error: str = ""
    pid: int = 0
    """The daemon's process id, 0 if it did not live to tell."""
    last_step: str = ""


class ReportReader:
    """The waiter's end of the pipe.

    Args:
        fd: the read end.
        timeout_s: how many seconds without any message are too long.
        on_waiting: called after 1, 2, 4, 8... seconds with the seconds waited and the last step.
        system: the operating system.
    """

    def __init__(
        self, fd: int, *, timeout_s: float, on_waiting: Callable[[float, str], None], system: System
    ) -> None:
        self._fd = fd
        self._timeout_s = timeout_s
        self._on_waiting = on_waiting
        self._system = system
        self._buffer = b""
        self._step = ""
        self._pid = 0

    def wait(self) -> Report:
        """Read until the daemon has reported, died, or been silent for too long."""
        begun = heard = self._system.monotonic()
        next_word = 1.0
        while True:
            now = self._system.monotonic()
            if now - begun >= next_word:
                self._on_waiting(now - begun, self._step)
                while next_word <= now - begun:
                    next_word *= 2
            left = min(heard + self._timeout_s, begun + next_word) - now
            if self._system.wait_readable(self._fd, max(0.0, left)):
                data = self._system.read(self._fd, 65536)
                if not data:
                    return Report("died", pid=self._pid, last_step=self._step)
                heard = self._system.monotonic()
                report = self._feed(data)
                if report:
                    return report
            elif self._system.monotonic() - heard >= self._timeout_s:
                return Report("silent", pid=self._pid, last_step=self._step)

    def _feed(self, data: bytes) -> Report | None:
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        self._buffer = self._buffer[:_BUFFER_BYTES]
        for line in lines:
            message = json.loads(line)
            self._pid = message.get("pid", self._pid)
            self._step = message.get("step", self._step)
            if "code" in message:
                return Report("reported", message["code"], message["error"], self._pid, self._step)
        return None
