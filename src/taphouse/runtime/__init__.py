"""runtime: run.  An application living inside one event loop.

Makes the loop through which all transports pass, binds and accepts, connects,
keeps services and scheduled calls going, and commits what changed at the end of
each turn.  It must never know signals, pidfiles, arguments or forks: whoever
starts the process tells a `Runtime` to start and to stop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from taphouse.lazy import lazy_door

if TYPE_CHECKING:
    from taphouse.runtime.binding import Address as Address
    from taphouse.runtime.binding import Bound as Bound
    from taphouse.runtime.binding import Sockets as Sockets
    from taphouse.runtime.binding import bind_listener as bind_listener
    from taphouse.runtime.binding import bind_plan as bind_plan
    from taphouse.runtime.binding import try_port as try_port
    from taphouse.runtime.clock import Clock as Clock
    from taphouse.runtime.clock import LoopClock as LoopClock
    from taphouse.runtime.clock import Timer as Timer
    from taphouse.runtime.connection import Connection as Connection
    from taphouse.runtime.connection import Owner as Owner
    from taphouse.runtime.context import acting as acting
    from taphouse.runtime.context import current_context as current_context
    from taphouse.runtime.crowd import Connections as Connections
    from taphouse.runtime.epochs import Epochs as Epochs
    from taphouse.runtime.holders import describe_path_holder as describe_path_holder
    from taphouse.runtime.limits import Limits as Limits
    from taphouse.runtime.loop import loop_name as loop_name
    from taphouse.runtime.loop import make_loop as make_loop
    from taphouse.runtime.runtime import Runtime as Runtime
    from taphouse.runtime.statistics import EpochStatistics as EpochStatistics
    from taphouse.runtime.statistics import RuntimeStatistics as RuntimeStatistics
    from taphouse.runtime.tls import make_client_context as make_client_context
    from taphouse.runtime.tls import make_server_context as make_server_context

__all__ = [
    "Address",
    "Bound",
    "Clock",
    "Connection",
    "Connections",
    "EpochStatistics",
    "Epochs",
    "Limits",
    "LoopClock",
    "Owner",
    "Runtime",
    "RuntimeStatistics",
    "Sockets",
    "Timer",
    "acting",
    "bind_listener",
    "bind_plan",
    "current_context",
    "describe_path_holder",
    "loop_name",
    "make_client_context",
    "make_loop",
    "make_server_context",
    "try_port",
]

if not TYPE_CHECKING:  # a type checker knows every name; it should miss the others
    __getattr__ = lazy_door(
        __name__,
        {
            "binding": ["Address", "Bound", "Sockets", "bind_listener", "bind_plan", "try_port"],
            "clock": ["Clock", "LoopClock", "Timer"],
            "connection": ["Connection", "Owner"],
            "context": ["acting", "current_context"],
            "crowd": ["Connections"],
            "epochs": ["Epochs"],
            "holders": ["describe_path_holder"],
            "limits": ["Limits"],
            "loop": ["loop_name", "make_loop"],
            "runtime": ["Runtime"],
            "statistics": ["EpochStatistics", "RuntimeStatistics"],
            "tls": ["make_client_context", "make_server_context"],
        },
    )
