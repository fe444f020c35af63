"""Crash reports: what is left behind when an exception escapes everything.

One file, ``<program>-crash.log`` in the run directory, appended to and kept
small; stderr if it cannot be written.  This module must never try to go on.
"""

from __future__ import annotations

import os
import sys
import time
import traceback

from taphouse.errors import TaphouseError

__all__ = ["write_crash_report"]

_LARGEST_BYTES = 1_000_000


def write_crash_report(
    error: BaseException, *, program: str, folder: str, about: str = ""
) -> tuple[int, str]:
    """Write down how the program died.

    Args:
        error: the exception that escaped.
        program: names the file, and the process in it.
        folder: the run directory.
        about: one line more, such as versions and the tap's name.

    Returns:
        The exit code to end with, never 0, and the file's path (``""``: it went to stderr).
    """
    trace = "".join(traceback.format_exception(error))
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    report = (
        f"{stamp} {program} (PID {os.getpid()}, Python {sys.version.split()[0]}) crashed: "
        f"{type(error).__name__}\n{about}{chr(10) if about else ''}{trace}\n"
    )
    code = error.exit_code if isinstance(error, TaphouseError) else 70
    path = os.path.join(folder, f"{program}-crash.log")
    try:
        _append(path, report.encode("utf-8", "backslashreplace"))
    except OSError:
        sys.stderr.write(report)
        return code, ""
    return code, path


def _append(path: str, report: bytes) -> None:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    fd = os.open(path, flags, 0o600)
    try:
        if os.fstat(fd).st_size > _LARGEST_BYTES:
            os.ftruncate(fd, 0)
        os.write(fd, report)
    finally:
        os.close(fd)
