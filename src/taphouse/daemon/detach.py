"""Detach: become a daemon, and let the command wait until it is ready.

Parent, middle child, daemon: the middle one makes a new session and ends, so
the daemon belongs to init, leads no session and can never get a terminal.  The
parent waits at the readiness pipe and ends with what the daemon reports.

Both forked halves end with ``_exit``: a normal interpreter exit there would run
atexit handlers twice and tear down memory that is shared with the daemon.  This
must be called before any loop, thread, SQLite handle or application import.
This module must never know what the daemon does.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import NoReturn

from taphouse.daemon.readiness import Readiness, Report, ReportReader
from taphouse.daemon.system import System
from taphouse.errors import InternalError

__all__ = ["detach"]

DEFAULT_TIMEOUT_S = 90.0
_GRACE_S = 2.0
_END_S = 30.0
"""How long one that has said why it fails may take to end; a busy machine needs more than a moment."""
_INTERRUPTED = 128 + signal.SIGINT


def detach(
    program: str,
    *,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    log_path: str = "",
    system: System | None = None,
) -> Readiness:
    """Fork a daemon; return in it, and never in the process that called.

    The caller's process prints one line if the start fails, and ends with the
    daemon's code.  In the daemon, stdin is /dev/null at once; stdout and stderr
    stay until :meth:`Readiness.ready`.

    Args:
        program: name in front of the lines printed on the terminal.
        timeout_s: how many seconds without a sign of life are too long; every
            :meth:`Readiness.step` starts them anew.
        log_path: named in messages about a daemon that cannot speak for itself.
        system: the operating system.

    Raises:
        InternalError: there is a second thread already, which fork would lose.
    """
    system = system or System()
    if system.thread_count() > 1:
        raise InternalError("a process with threads cannot become a daemon", cure="start it with --nodaemon")
    sys.stdout.flush()
    sys.stderr.flush()
    # The daemon's own end, seen by the parent even though the middle child is gone.
    system.become_subreaper()
    read_end, write_end = system.pipe()
    middle = system.fork()
    if middle:
        system.close(write_end)
        _wait_and_exit(program, read_end, middle, timeout_s, log_path, system)
    system.close(read_end)
    system.setsid()
    if system.fork():
        system.exit_now(0)
    null = system.open_null()
    system.dup2(null, 0)
    if null:
        system.close(null)
    readiness = Readiness(write_end, system=system, quiet_stdio=True)
    readiness.say_pid()
    return readiness


def _wait_and_exit(
    program: str, read_end: int, middle: int, timeout_s: float, log_path: str, system: System
) -> NoReturn:
    """The parent's whole remaining life."""

    def say(text: str) -> None:
        sys.stderr.write(f"{program}: {text}\n")
        sys.stderr.flush()

    def say_waiting(seconds: float, step: str) -> None:
        say(f"not ready after {seconds:.0f} s{f', {step}' if step else ''}; waiting")

    code = 70
    try:
        system.waitpid(middle)
        reader = ReportReader(read_end, timeout_s=timeout_s, on_waiting=say_waiting, system=system)
        report = reader.wait()
        code = report.code
        if report.outcome == "reported":
            if report.code:
                say(report.error)
                # So that the next command finds no lock of a server that is still on its way out.
                _reap(report.pid, system)
        elif report.outcome == "died":
            say(
                _with_log(f"the server {_how_it_ended(report, system)} before it was ready", report, log_path)
            )
        else:
            # The middle child led the group the daemon is in.
            _end_group(middle, read_end, system)
            say(_with_log(f"the server gave no sign of life for {timeout_s:g} s, stopped", report, log_path))
    except KeyboardInterrupt:
        _end_group(middle, read_end, system)
        say("interrupted before the server was ready, stopped")
        code = _INTERRUPTED
    except Exception as problem:
        say(f"cannot tell whether the server is ready: {problem!r}")
    finally:
        system.exit_now(code)
    raise AssertionError("exit_now returned")  # only with a System that does not end the process


def _end_group(group: int, read_end: int, system: System) -> None:
    """Ask the daemon to stop; after a grace period, make it.  End of file means it is gone."""
    system.killpg(group, signal.SIGTERM)
    deadline = system.monotonic() + _GRACE_S
    while system.wait_readable(read_end, max(0.0, deadline - system.monotonic())):
        if not system.read(read_end, 65536):
            return
    system.killpg(group, signal.SIGKILL)


def _reap(pid: int, system: System) -> None:
    """Wait for the daemon's end, for a while; we are its parent now that the middle child is gone."""
    if pid and system.wait_end(pid, _END_S):
        with contextlib.suppress(ChildProcessError):
            system.waitpid(pid, block=False)


def _how_it_ended(report: Report, system: System) -> str:
    if not report.pid:
        return "died"
    try:
        _, status = system.waitpid(report.pid)
    except ChildProcessError:  # no subreaper here
        return "died"
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return f"was killed by signal {number} ({signal.strsignal(number)})"
    return f"exited with status {os.waitstatus_to_exitcode(status)}"


def _with_log(text: str, report: Report, log_path: str) -> str:
    if report.last_step:
        text += f" ({report.last_step})"
    return f"{text}; see {log_path}" if log_path else text
