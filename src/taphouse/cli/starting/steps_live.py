"""Steps of a start inside of the loop: from the first service to "ready".

They must never know how state is stored.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from taphouse.cli.starting.start import Start
from taphouse.errors import ConfigurationError

if TYPE_CHECKING:
    from taphouse.control import Actions
    from taphouse.daemon import Condition

_log = logging.getLogger("taphouse")

__all__ = ["begin_stop", "condition_of", "say_ready", "start_runtime"]


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
        durability=settings.durability,
        on_ready=lambda _is_ready: start.manager.look(),
    )
    if settings.owns_process:
        _handle_signals(start)
    await start.runtime.start()
    if start.merges:
        from taphouse.persist import RenewedStore

        if isinstance(start.store, RenewedStore) and start.store.kept_as is not None:
            kept = start.store.kept_as.name
            _log.info("The state as it was before the new seed is kept as %s.", kept)


def _handle_signals(start: Start) -> None:
    """Let signals mean what `taphouse.daemon.SIGNAL_TABLE` says; none ends the process unsaved."""
    from taphouse.daemon import Intentions, Signals

    loop, logs = start.loop, start.logs
    assert loop is not None
    assert logs is not None

    rotates = start.log_path != "-" and not start.settings.syslog
    signals = Signals(
        loop,
        Intentions(
            stop=lambda name: begin_stop(start, f"of {name}"),
            hurry=lambda: begin_stop(start, "of a second signal"),
            rotate=logs.rotate if rotates else None,
        ),
        on_terminal=not start.settings.daemon and _has_terminal(),
    )
    signals.install()
    start.signals.callback(signals.remove)
    start.undo.callback(signals.retire)


def begin_stop(start: Start, reason: str) -> None:
    """Begin an orderly stop, or hurry the one that is under way."""
    assert start.runtime is not None
    assert start.loop is not None
    task = start.loop.create_task(start.runtime.stop(reason))
    start.tasks.add(task)  # the loop itself holds tasks weakly
    task.add_done_callback(start.tasks.discard)


def _has_terminal() -> bool:
    try:
        return sys.stdin is not None and sys.stdin.isatty()
    except ValueError:  # closed
        return False


async def say_ready(start: Start) -> None:
    """Answer on the control socket, and let the command that waits return 0; the terminal is given back."""
    from taphouse.control import ControlServer
    from taphouse.runtime import Connection, Owner

    if start.registration is not None:
        operators = Owner()  # nothing of what they are told is the application's state: no gate for them
        start.control = ControlServer(
            start.registration, _actions(start), dressed=lambda caller: Connection(operators, caller)
        )
        await start.control.start()
    if start.logs is not None:
        if start.readiness.is_detached:
            start.logs.redirect_stdio()
        # Not earlier: who sees the command return finds all of the start in the log.
        start.logs.start_thread()
    assert start.loop is not None
    start.manager.ready(condition_of(start).text)
    start.manager.attend(start.loop, lambda: condition_of(start))
    start.readiness.ready(keep_stdio=start.log_path != "-" and not start.settings.syslog)


def condition_of(start: Start) -> Condition:
    """Return what a service manager is told of a server that runs."""
    from taphouse.daemon import Condition

    runtime = start.runtime
    assert runtime is not None
    late, closed = runtime.gatekeeper.late_because, runtime.gatekeeper.closed_because
    count = runtime.gatekeeper.total
    words = [f"{count} connection{'s' if count != 1 else ''}"]
    if start.settings.save and start.store is not None:
        words.append(f"epoch {start.store.epoch}")
    else:
        words.append("nothing is saved")
    head = "stopping: " if runtime.is_stopping else f"not ready, {late or closed}: " if late or closed else ""
    # A disk that does not answer is no better than a loop that does not turn.
    return Condition(head + ", ".join(words), is_well=not late, is_stopping=runtime.is_stopping)


def _actions(start: Start) -> Actions:
    """Return what the verbs of the control socket do."""
    from taphouse.control import Actions
    from taphouse.runtime import loop_name

    runtime, store, settings = start.runtime, start.store, start.settings
    assert runtime is not None
    assert store is not None

    def status() -> Mapping[str, object]:
        numbers = runtime.statistics()
        epochs = numbers.epochs
        return {
            "state": "stopping" if runtime.is_stopping else "running" if runtime.is_ready else "not ready",
            "durable": settings.save,
            "durability": epochs.mode,
            "addresses": {label: [_address(a) for a in found] for label, found in runtime.addresses.items()},
            "connections": numbers.connections,
            "accepted": numbers.accepted,
            "refused": numbers.refused,
            "commits": epochs.commits,
            "commit_path": epochs.path,
            "commit": {"p50_s": epochs.p50_s, "p99_s": epochs.p99_s, "max_s": epochs.max_s},
            "sync": {"p50_s": epochs.sync_p50_s},
            "held": {"now_bytes": epochs.held_bytes, "most_bytes": epochs.held_most_bytes},
            "journal_bytes": epochs.journal_bytes,
            "wal_bytes": epochs.wal_bytes,
            "memory_bytes": _resident_bytes(),
            "loop": loop_name(runtime.loop),
        }

    async def backup(path: str) -> Mapping[str, object]:
        if not settings.save:
            raise ConfigurationError(
                f"{start.name} keeps no state (--no-save)", cure="there is nothing to copy"
            )
        from taphouse.durable import durable

        await durable.committed()
        await runtime.keeping.backup(Path(path))
        return {"path": path, "epoch": store.epoch}

    return Actions(status=status, stop=lambda reason: begin_stop(start, f"of {reason}"), backup=backup)


def _resident_bytes() -> int:
    """Return the memory this process holds, from proc(5) statm; 0 where there is none."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def _address(address: tuple[str, int] | str) -> str:
    """Return an address as people write it: ``127.0.0.1:8123``, ``[::1]:8123``, a path."""
    if isinstance(address, str):
        return address
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
