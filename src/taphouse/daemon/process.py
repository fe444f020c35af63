"""Processes seen through /proc: who is behind a number, is it still the same one.

A process id alone names nobody, because numbers are given out again; an id
together with its start time does.  This module must never know why one asks.
"""

from __future__ import annotations

import os
import select
import signal
import time

from taphouse.value import Value

__all__ = ["ProcessInfo", "count_threads", "read_process", "send_signal", "start_time", "wait_gone"]

_LOOKS = 100
_LOOK_S = 0.01


class ProcessInfo(Value):
    """A running process, as much of it as we may see."""

    pid: int
    started: int
    """Start time in clock ticks since boot, field 22 of proc(5) stat; with the pid it is unique."""
    command: str
    """Its command line, or its name in brackets, cut at 200 characters."""
    cwd: str
    """Its working directory, empty if we may not see it."""

    def __str__(self) -> str:
        place = f", in {self.cwd}" if self.cwd else ""
        return f"PID {self.pid} ({self.command}{place})"


def start_time(pid: int) -> int | None:
    """Return when process ``pid`` started, in ticks since boot, or ``None`` if there is none.

    A zombie counts as gone: it holds no lock and no port.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except OSError:
        return None
    # The name in brackets may itself hold brackets and blanks: count after the last one.
    fields = text[text.rindex(b")") + 2 :].split()
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def read_process(pid: int) -> ProcessInfo | None:
    """Describe process ``pid``, or return ``None`` if there is no such process."""
    started = start_time(pid)
    if started is None:
        return None
    command = cwd = ""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            command = file.read(4096).replace(b"\0", b" ").decode("utf-8", "backslashreplace").strip()
        if not command:
            with open(f"/proc/{pid}/comm", "rb") as file:
                command = f"[{file.read().decode('utf-8', 'backslashreplace').strip()}]"
    except OSError:
        command = command or "?"
    try:
        cwd = os.readlink(f"/proc/{pid}/cwd")
    except OSError:  # another user's
        pass
    shown = "".join(letter if letter.isprintable() else "?" for letter in command)
    return ProcessInfo(pid, started, shown[:200], cwd)


def count_threads() -> int:
    """Return how many threads this process has, Python's and others'.

    The kernel lists one that was joined for another moment, which is waited for: it holds nothing any more.

    Raises:
        OSError: there is no /proc.
    """
    count = len(os.listdir("/proc/self/task"))
    if count > 1:
        import threading

        for _ in range(_LOOKS):
            if count <= threading.active_count():
                break
            time.sleep(_LOOK_S)
            count = len(os.listdir("/proc/self/task"))
    return count


def send_signal(pid: int, number: signal.Signals, *, started: int | None = None) -> bool:
    """Send a signal to exactly the process meant, never to a later one of the same number.

    Args:
        pid: its process id.
        number: the signal.
        started: its start time as :func:`start_time` gave it; checked after the process is held.

    Returns:
        False if that process is gone.

    Raises:
        PermissionError: it is another user's.
    """
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        if started is not None and start_time(pid) != started:
            return False
        signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(pidfd)
    return True


def wait_gone(pid: int, *, started: int | None = None, timeout: float) -> bool:
    """Wait until the process has ended; say whether it did within ``timeout`` seconds."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        if started is not None and start_time(pid) != started:
            return True
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        return bool(poll.poll(max(0, round(timeout * 1000))))
    finally:
        os.close(pidfd)
