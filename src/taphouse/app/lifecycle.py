"""Lifecycle: the states of a service, as a table.

Who drives a service (the runtime, a MultiService, a test) asks :func:`next_state`
and never decides itself; the documentation's diagram is drawn from the same
table.  Pure data: this module must know no service, no loop, no clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

__all__ = ["TRANSITIONS", "Event", "LifecycleError", "State", "next_state"]

State = Literal["stopped", "starting", "running", "restarting", "stopping", "failed"]
Event = Literal["start", "started", "died", "restarted", "stop", "stopped", "error"]

TRANSITIONS: Mapping[tuple[State, Event], State] = {
    # start() is called, and returns or raises
    ("stopped", "start"): "starting",
    ("starting", "started"): "running",
    ("starting", "error"): "stopped",
    # run() raises; it is waited for and run again, or given up
    ("running", "died"): "restarting",
    ("restarting", "restarted"): "running",
    ("restarting", "error"): "failed",
    ("running", "error"): "failed",
    # stop() is called once for every start() that returned, and returns or raises
    ("running", "stop"): "stopping",
    ("restarting", "stop"): "stopping",
    ("failed", "stop"): "stopping",
    ("stopping", "stopped"): "stopped",
    ("stopping", "error"): "stopped",
}
"""(state, event) -> next state; a pair that is not here cannot happen."""


class LifecycleError(RuntimeError):
    """A service was asked for what its state does not allow, such as a second start."""


def next_state(state: State, event: Event, name: str) -> State:
    """Return the state after ``event``.

    Args:
        name: whose state it is, for the message.

    Raises:
        LifecycleError: if the table has no such transition.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise LifecycleError(f"service {name} is {state}: {event!r} is not possible now") from None
