"""Steps of a start inside of the loop: from the first service to "ready".

They must never know how state is stored.
"""

from __future__ import annotations

import sys

from taphouse.cli.start import Start
from taphouse.daemon import Intentions, Signals

__all__ = ["say_ready", "start_runtime"]


async def start_runtime(start: Start) -> None:
    """Start services and factories, commit, accept, connect: the table `Runtime.START`."""
    from taphouse.runtime import Limits, Runtime

    loaded, settings = start.loaded, start.settings
    assert loaded is not None
    start.runtime = Runtime(
        loaded.application,
        loaded.ledger,
        loaded.freezer,
        start.store if settings.save else None,
        loop=start.loop,
        sockets=start.sockets,
        limits=Limits(**settings.limits()),  # type: ignore[arg-type]
    )
    if settings.owns_process:
        _handle_signals(start)
    await start.runtime.start()


def _handle_signals(start: Start) -> None:
    """Let signals mean what `taphouse.daemon.SIGNAL_TABLE` says; none ends the process unsaved."""
    runtime, loop, logs = start.runtime, start.loop, start.logs
    assert runtime is not None and loop is not None and logs is not None

    def stop(reason: str) -> None:
        task = loop.create_task(runtime.stop(reason))
        start.tasks.add(task)  # the loop itself holds tasks weakly
        task.add_done_callback(start.tasks.discard)

    rotates = start.log_path != "-" and not start.settings.syslog
    signals = Signals(
        loop,
        Intentions(
            stop=lambda name: stop(f"of {name}"),
            hurry=lambda: stop("of a second signal"),
            rotate=logs.rotate if rotates else None,
        ),
        on_terminal=not start.settings.daemon and _has_terminal(),
    )
    signals.install()
    start.undo.callback(signals.remove)


def _has_terminal() -> bool:
    try:
        return sys.stdin is not None and sys.stdin.isatty()
    except ValueError:  # closed
        return False


async def say_ready(start: Start) -> None:
    """Let the command that waits return 0; the terminal is given back."""
    if start.readiness.is_detached and start.logs is not None:
        start.logs.redirect_stdio()
    start.readiness.ready(keep_stdio=start.log_path != "-" and not start.settings.syslog)
