"""runtime: run.  An application living inside one event loop.

Makes the loop through which all transports pass, binds and accepts, connects,
keeps services and scheduled calls going, and commits what changed at the end of
each turn.  It must never know signals, pidfiles, arguments or forks: whoever
starts the process tells a `Runtime` to start and to stop.
"""

from taphouse.runtime.binding import Address, Bound, Sockets, bind_listener, bind_plan
from taphouse.runtime.clock import Clock, LoopClock, Timer
from taphouse.runtime.connection import Connection, Owner
from taphouse.runtime.context import acting, current_context
from taphouse.runtime.crowd import Connections
from taphouse.runtime.epochs import Epochs, EpochStatistics
from taphouse.runtime.limits import Limits
from taphouse.runtime.loop import loop_name, make_loop
from taphouse.runtime.runtime import Runtime, RuntimeStatistics
from taphouse.runtime.tls import make_client_context, make_server_context

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
    "loop_name",
    "make_client_context",
    "make_loop",
    "make_server_context",
]
