"""The start sequence, as a literal list, and what becomes of a step that fails.

Nothing that lasts is written before the first commit (step 10): a start that
fails before it leaves every file as it was.
"""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Awaitable, Callable

from taphouse.cli.output import describe_error
from taphouse.cli.settings import Settings
from taphouse.cli.starting.start import MergeSeed, Start
from taphouse.cli.starting.steps_live import say_ready, start_runtime
from taphouse.cli.starting.steps_process import (
    become_daemon,
    check_run_directory,
    open_log,
    register_server,
    take_identity,
)
from taphouse.cli.starting.steps_state import (
    bind_ports,
    load_application,
    open_store,
    prepare_chroot,
    read_plan_and_lock,
)
from taphouse.daemon import find_manager, take_sockets
from taphouse.errors import InternalError, TaphouseError

__all__ = ["IN_LOOP", "SEQUENCE", "prepare", "run_sequence", "start_server"]

_RARELY = 1_000_000
_log = logging.getLogger("taphouse")

Step = Callable[[Start], Awaitable[None] | None]

SEQUENCE: tuple[tuple[str, str, Step], ...] = (
    ("1", "checking the run directory", check_run_directory),
    ("2", "becoming a daemon", become_daemon),
    ("3", "reading the plan, taking the locks", read_plan_and_lock),
    ("4", "writing the pidfile, opening the log", open_log),
    ("5", "binding the ports", bind_ports),
    ("6", "registering the server", register_server),
    ("6", "preparing the chroot", prepare_chroot),
    ("6", "dropping privileges", take_identity),
    ("7", "opening the state", open_store),
    ("8", "loading the application", load_application),
)
"""Number, what is being done, and the step; step 1 has begun with parsing."""

IN_LOOP: tuple[tuple[str, str, Step], ...] = (
    # 9 start(), 10 first commit, 11 accept, 12 connectors and schedule
    ("9-12", "starting services, committing, accepting", start_runtime),
    ("13", "being ready", say_ready),
)
"""The steps that need the loop to run; the first of them is the table `Runtime.START`."""


def start_server(settings: Settings, *, merge: MergeSeed) -> int:
    """Start the server that ``settings`` name and, in the process that serves, run it to its end.

    Args:
        settings: what was asked for.
        merge: merges a new seed into the state, if the start finds one.

    Returns:
        The exit code of the whole run.  In a command that waited for its daemon this
        never returns: the process ends with the daemon's report.

    Raises:
        TaphouseError: the start failed, in the foreground (a daemon has reported it instead).
    """
    return run_sequence(Start(settings, merge=merge))


def run_sequence(start: Start) -> int:
    """Take all steps of ``start``, serve, and take everything back; see `start_server`."""
    try:
        with start.undo:
            try:
                _relax_collector(start)
                _meet_manager(start)
                prepare(start, SEQUENCE)
                code = _serve(start)
            except BaseException as error:
                _log_failure(start, error)
                raise
            _log.info("Main loop terminated.")
            _log.info("Server Shut Down.")
            # What is taken back now begins with the log and ends with pidfile and lock: who sees
            # the pidfile go finds the log complete.
        return code
    except BaseException as error:
        if isinstance(error, SystemExit) and start.runtime is not None:
            # Application code that calls sys.exit() inside of the loop has crashed the server.
            crash = InternalError(f"the loop was left by sys.exit({error.code!r})", cure="see the log")
            start.manager.failed(*describe_error(crash))
            raise crash from error
        if not isinstance(error, SystemExit | KeyboardInterrupt):
            start.manager.failed(*describe_error(error), error)
        if not start.readiness.is_detached or isinstance(error, SystemExit):
            raise
        line, code = describe_error(error, hint=f"see {start.log_path}" if start.logs is not None else "")
        return start.readiness.failed(line, code=code)
    finally:
        start.manager.close()


def _meet_manager(start: Start) -> None:
    """Find the service manager that has started us, and take the sockets that it has opened."""
    start.manager = find_manager(os.environ)
    if start.manager.problem:
        start.notes.append(start.manager.problem)
    start.given = take_sockets(os.environ)
    for _, sock in start.given:
        start.undo.callback(sock.close)


def _relax_collector(start: Start) -> None:
    """Until the server is ready, look for garbage rarely: imports make none, and it costs 6 % of a start."""
    before = gc.get_threshold()
    gc.set_threshold(_RARELY, *before[1:])

    def restore() -> None:
        if gc.get_threshold()[0] == _RARELY:  # else the application has chosen for itself
            gc.set_threshold(*before)

    start.collector.callback(restore)
    start.undo.callback(start.collector.close)


def prepare(start: Start, steps: tuple[tuple[str, str, Step], ...]) -> None:
    """Take the steps before the loop runs."""
    for _number, what, step in steps:
        start.step(what)
        step(start)


async def go_live(start: Start) -> None:
    """Take the steps inside of the loop."""
    for _number, what, step in IN_LOOP:
        start.step(what)
        taken = step(start)
        if taken is not None:
            await taken


def _serve(start: Start) -> int:
    """Run the loop from the first service to the last commit; returns the exit code."""
    assert start.loop is not None
    settings = start.settings
    if settings.profile:
        from taphouse.daemon import Profile

        with Profile(start.inside(settings.profile), stats=settings.savestats):
            return start.loop.run_until_complete(_live(start))
    return start.loop.run_until_complete(_live(start))


async def _live(start: Start) -> int:
    await go_live(start)
    start.collector.close()
    assert start.runtime is not None
    code = await start.runtime.wait_stopped()
    start.manager.leave()
    if start.control is not None:
        await start.control.close()
    if start.runtime.failure is not None:
        raise start.runtime.failure
    return code


def _log_failure(start: Start, error: BaseException) -> None:
    """Let the log end with the reason, as the terminal does; the traceback only if it is ours to find."""
    if start.logs is None:
        return
    if isinstance(error, KeyboardInterrupt):
        _log.info("Interrupted before the server was ready.")
        return
    if isinstance(error, TaphouseError):
        _log.error("%s", describe_error(error)[0], exc_info=error if start.settings.debug else None)
        return
    from taphouse.daemon import write_crash_report

    _log.critical("%s", describe_error(error)[0], exc_info=error)
    write_crash_report(
        error, program=start.name or start.settings.command.partition(" ")[0], folder=os.getcwd()
    )
