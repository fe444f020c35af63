"""Steps of a start that make the process: run directory, daemon, log, pidfile, privileges.

They must never know what the process will serve.
"""

from __future__ import annotations

import logging
import os

from taphouse.cli.starting.start import Start
from taphouse.cli.version import python_version, version
from taphouse.daemon import (
    LogSettings,
    PidFile,
    check_rundir,
    detach,
    hold_signals,
    open_logs,
    parse_level,
    resolve_identity,
)
from taphouse.errors import TaphouseError
from taphouse.value import replace

__all__ = ["become_daemon", "check_run_directory", "open_log", "register_server", "take_identity"]

_log = logging.getLogger("taphouse")
_DAEMON_UMASK = 0o077
_PIDFILE_WAIT_S = 1.0


def check_run_directory(start: Start) -> None:
    """See that the run directory is there and ours to write, and go there.

    Root's check waits for the plan if that may name the user to run as: the
    directory may belong to that user.
    """
    settings = start.settings
    start.identity = resolve_identity(settings.uid, settings.gid) if settings.uid is not None else None
    if os.geteuid() != 0 or settings.uid is not None or not os.path.isdir(settings.run_directory):
        check_rundir(settings.run_directory, trusted=start.trusted)
    os.chdir(settings.run_directory)


def become_daemon(start: Start) -> None:
    """Fork the daemon; the command that was typed waits in here until it is ready, and ends."""
    settings = start.settings
    if settings.daemon:
        command = settings.command.partition(" ")[0]
        start.readiness = detach(command, log_path=start.log_path if start.paths_are_known else "")
        start.manager.forked()
    umask = _DAEMON_UMASK if settings.daemon and settings.umask is None else settings.umask
    if umask is not None:
        start.undo.callback(os.umask, os.umask(umask))
    start.undo.callback(start.signals.close)
    if settings.owns_process:
        hold_signals()


def open_log(start: Start) -> None:
    """Write the pidfile, then open the log and begin it; make the loop that the log names.

    In this order: a start that is refused must not write into the log of the
    server that runs.
    """
    from taphouse.runtime import current_context, loop_name, make_loop

    settings = start.settings
    if start.pidfile_path:
        start.pidfile = PidFile(start.pidfile_path)
        start.pidfile.acquire(wait_s=_PIDFILE_WAIT_S)
        start.undo.callback(start.pidfile.release)
    start.logs = open_logs(_log_settings(start), context=current_context, application=lambda: start.name)
    start.undo.callback(start.logs.close)
    command = settings.command.partition(" ")[0]
    name = command if command in ("twistd", "tap") else "taphouse"
    _log.info("%s %s (python %s) starting up", name, version(), python_version())
    if start.pidfile is not None and start.pidfile.stale and not settings.quiet:
        _log.info("Removing stale pidfile %s (PID %d)", start.pidfile.path, start.pidfile.stale)
    start.loop = make_loop(settings.reactor)
    start.undo.callback(start.loop.close)
    start.loop.set_debug(settings.debug)
    _log.info("reactor class: %s", loop_name(start.loop))


def _log_settings(start: Start) -> LogSettings:
    settings = start.settings
    made = LogSettings(
        path="" if settings.syslog else start.log_path,
        format=settings.log_format,
        level=logging.DEBUG if settings.debug else parse_level(settings.log_level),
        syslog=settings.syslog,
        prefix=settings.prefix or "taphouse",
        daemon=settings.daemon,
    )
    return made if settings.log_size_bytes is None else replace(made, rotate_bytes=settings.log_size_bytes)


def register_server(start: Start) -> None:
    """Let `tap status` find this server; one that cannot be found serves all the same."""
    from taphouse.control import register

    settings = start.settings
    source = settings.tap or (settings.python or "").partition(":")[0]
    try:
        start.registration = register(
            name=start.name,
            tap=start.choice.state if start.choice is not None else "",
            source=source if os.path.exists(source) else "",
            rundir=settings.run_directory,
            version=version(),
        )
    except TaphouseError as error:
        _log.warning("tap status and tap stop will not find this server: %s", error)
        return
    start.undo.callback(start.registration.release)


def take_identity(start: Start) -> None:
    """Enter the chroot and become the user to run as."""
    from taphouse.daemon import drop_privileges, enter_chroot

    settings = start.settings
    if settings.chroot:
        root = enter_chroot(settings.chroot)
        os.chdir(settings.run_directory_inside)
        if start.logs is not None:
            start.logs.rebase(root)
    if start.identity is not None and start.logs is not None and os.geteuid() == 0:
        start.logs.give_to(start.identity.uid, start.identity.gid)
    if start.identity is not None and drop_privileges(start.identity):
        _log.info("set uid/gid %d/%d", start.identity.uid, start.identity.gid)
