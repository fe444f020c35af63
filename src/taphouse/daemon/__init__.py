"""Live: what makes a process a daemon, and a good one.

Detaching with a readiness pipe, the pidfile, the log, privileges, signals,
crash reports.  Every piece stands alone; the order they are used in is written
where the whole is put together.  This room must never know what an Application
or a tap is, nor the other rooms of its floor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from taphouse.daemon.detach import detach
from taphouse.daemon.preload import preload
from taphouse.lazy import lazy_door

if TYPE_CHECKING:
    from taphouse.daemon.crash import write_crash_report as write_crash_report
    from taphouse.daemon.handed import take_sockets as take_sockets
    from taphouse.daemon.identity import Identity as Identity
    from taphouse.daemon.identity import resolve_identity as resolve_identity
    from taphouse.daemon.logline import parse_level as parse_level
    from taphouse.daemon.logs import Logs as Logs
    from taphouse.daemon.logs import LogSettings as LogSettings
    from taphouse.daemon.logs import open_logs as open_logs
    from taphouse.daemon.notify import Condition as Condition
    from taphouse.daemon.notify import Manager as Manager
    from taphouse.daemon.notify import find_manager as find_manager
    from taphouse.daemon.paths import check_rundir as check_rundir
    from taphouse.daemon.paths import check_trusted as check_trusted
    from taphouse.daemon.pidfile import PidFile as PidFile
    from taphouse.daemon.pidfile import find_pidfile_holder as find_pidfile_holder
    from taphouse.daemon.privileges import CAP_NET_BIND_SERVICE as CAP_NET_BIND_SERVICE
    from taphouse.daemon.privileges import DROP_STEPS as DROP_STEPS
    from taphouse.daemon.privileges import drop_privileges as drop_privileges
    from taphouse.daemon.privileges import enter_chroot as enter_chroot
    from taphouse.daemon.privileges import parse_umask as parse_umask
    from taphouse.daemon.process import ProcessInfo as ProcessInfo
    from taphouse.daemon.process import read_process as read_process
    from taphouse.daemon.process import send_signal as send_signal
    from taphouse.daemon.process import start_time as start_time
    from taphouse.daemon.process import wait_gone as wait_gone
    from taphouse.daemon.profile import Profile as Profile
    from taphouse.daemon.readiness import Readiness as Readiness
    from taphouse.daemon.signals import SIGNAL_TABLE as SIGNAL_TABLE
    from taphouse.daemon.signals import Intention as Intention
    from taphouse.daemon.signals import Intentions as Intentions
    from taphouse.daemon.signals import Signals as Signals
    from taphouse.daemon.signals import dump_stacks as dump_stacks
    from taphouse.daemon.signals import hold_signals as hold_signals
    from taphouse.daemon.system import Account as Account
    from taphouse.daemon.system import System as System

__all__ = [
    "CAP_NET_BIND_SERVICE",
    "DROP_STEPS",
    "SIGNAL_TABLE",
    "Account",
    "Condition",
    "Identity",
    "Intention",
    "Intentions",
    "LogSettings",
    "Logs",
    "Manager",
    "PidFile",
    "ProcessInfo",
    "Profile",
    "Readiness",
    "Signals",
    "System",
    "check_rundir",
    "check_trusted",
    "detach",
    "drop_privileges",
    "dump_stacks",
    "enter_chroot",
    "find_manager",
    "find_pidfile_holder",
    "hold_signals",
    "open_logs",
    "parse_level",
    "parse_umask",
    "preload",
    "read_process",
    "resolve_identity",
    "send_signal",
    "start_time",
    "take_sockets",
    "wait_gone",
    "write_crash_report",
]

if not TYPE_CHECKING:  # a type checker knows every name; it should miss the others
    __getattr__ = lazy_door(
        __name__,
        {
            "crash": ["write_crash_report"],
            "handed": ["take_sockets"],
            "identity": ["Identity", "resolve_identity"],
            "logline": ["parse_level"],
            "logs": ["Logs", "LogSettings", "open_logs"],
            "notify": ["Condition", "Manager", "find_manager"],
            "paths": ["check_rundir", "check_trusted"],
            "pidfile": ["PidFile", "find_pidfile_holder"],
            "privileges": [
                "CAP_NET_BIND_SERVICE",
                "DROP_STEPS",
                "drop_privileges",
                "enter_chroot",
                "parse_umask",
            ],
            "process": ["ProcessInfo", "read_process", "send_signal", "start_time", "wait_gone"],
            "profile": ["Profile"],
            "readiness": ["Readiness"],
            "signals": ["SIGNAL_TABLE", "Intention", "Intentions", "Signals", "dump_stacks", "hold_signals"],
            "system": ["Account", "System"],
        },
    )
