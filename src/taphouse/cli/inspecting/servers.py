"""Running servers seen from outside: status, stop, backup.

Finds them in the registry and asks them; it must never touch a tap that a
server owns except through that server.
"""

from __future__ import annotations

import os

from taphouse.control import (
    ControlError,
    Entry,
    NotRunningError,
    ask,
    find_server,
    format_list,
    format_status,
    list_servers,
    to_json,
)
from taphouse.daemon import wait_gone
from taphouse.errors import CannotCreateError, TaphouseError

__all__ = ["back_up", "find_running", "print_status", "say_whether_ready", "stop_server"]

_BACKUP_TIMEOUT_S = 3600.0


def find_running(which: str) -> Entry | None:
    """Return the server named ``which`` (a name or a file), or ``None`` if there is none."""
    try:
        return find_server(which)
    except NotRunningError:
        return None


def print_status(which: str | None, *, as_json: bool) -> int:
    """Print the status of one server, or of all of this user's.

    Raises:
        NotRunningError: the one that was named does not run (69).
    """
    if which is not None:
        status = ask(find_server(which), "status")
        print(to_json(status) if as_json else format_status(status))
        return 0
    rows = [_row(entry) for entry in list_servers()]
    print(to_json(rows) if as_json else format_list(rows))
    return 0


def say_whether_ready(which: str) -> int:
    """Print whether a server takes clients, and return 0 if it does.

    Raises:
        NotRunningError: it does not run (69).
        ControlError: it turns clients away: its disk is full or does not answer, or it is about to end (69).
    """
    entry = find_server(which)
    state = ask(entry, "status").get("state", "running")
    if state != "running":
        raise ControlError(
            f"{entry.name} (PID {entry.pid}) is {state}", exit_code=69, cure="its log says what it waits for"
        )
    print(f"{entry.name} (PID {entry.pid}) is ready")
    return 0


def _row(entry: Entry) -> dict[str, object]:
    try:
        return ask(entry, "status")
    except TaphouseError as error:
        return {
            "name": entry.name,
            "pid": entry.pid,
            "since": entry.since,
            "tap": entry.tap,
            "rundir": entry.rundir,
            "error": str(error),
        }


def stop_server(which: str, timeout_s: float) -> str:
    """Stop a server, wait for its end, and return what to say.

    Raises:
        NotRunningError: there is none (69).
        ControlError: it does not end in time (75).
    """
    entry = find_server(which)
    pid, started = entry.pid, entry.started
    try:
        answer = ask(entry, "stop")
        pid, started = int(str(answer["pid"])), int(str(answer["started"]))
    except NotRunningError:
        pass  # it was quicker than we
    if not wait_gone(pid, started=started or None, timeout=timeout_s):
        raise ControlError(
            f"{entry.name} (PID {pid}) has not ended within {timeout_s:g} s",
            exit_code=75,
            cure=f"wait, or let kill -QUIT {pid} write to its log what it does",
        )
    return f"{entry.name} (PID {pid}) has stopped."


def back_up(which: str, copy: str, *, fresh: bool = False) -> str:
    """Copy the state of a server, running or stopped, and return what to say.

    Args:
        which: a running server's name, or a tap.
        copy: the file to make.
        fresh: also of a stopped one make a file that shows whether a server ran on it since.

    Raises:
        CannotCreateError: a file is there already, or cannot be made.
        TapError: there is neither such a server nor such a tap, or it is damaged.
    """
    target = os.path.abspath(copy)
    if os.path.lexists(target):
        raise CannotCreateError(f"{copy} is there already", cure="choose another name, or move it away")
    entry = find_running(which)
    if entry is not None and entry.tap:
        facts = ask(entry, "backup", {"path": target}, timeout=_BACKUP_TIMEOUT_S)
        return f"{copy}: {entry.name} as of epoch {facts.get('epoch', '?')}, while it runs."
    from taphouse.cli.inspecting.copying import copy_closed, copy_stopped

    info = copy_closed(which, target) if fresh else copy_stopped(which, target)
    return f"{copy}: {info.name} as of epoch {info.epoch}."
