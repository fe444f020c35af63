"""Live: what makes a process a daemon, and a good one.

Detaching with a readiness pipe, the pidfile, the log, privileges, signals,
crash reports.  Every piece stands alone; the order they are used in is written
where the whole is put together.  This room must never know what an Application
or a tap is, nor the other rooms of its floor.
"""

from taphouse.daemon.crash import write_crash_report
from taphouse.daemon.detach import detach
from taphouse.daemon.identity import Identity, resolve_identity
from taphouse.daemon.logline import parse_level
from taphouse.daemon.logs import Logs, LogSettings, open_logs
from taphouse.daemon.paths import check_rundir, check_trusted
from taphouse.daemon.pidfile import PidFile, find_pidfile_holder
from taphouse.daemon.preload import preload
from taphouse.daemon.privileges import (
    CAP_NET_BIND_SERVICE,
    DROP_STEPS,
    drop_privileges,
    enter_chroot,
    parse_umask,
)
from taphouse.daemon.process import ProcessInfo, read_process, send_signal, start_time, wait_gone
from taphouse.daemon.profile import Profile
from taphouse.daemon.readiness import Readiness
from taphouse.daemon.signals import (
    SIGNAL_TABLE,
    Intention,
    Intentions,
    Signals,
    dump_stacks,
    hold_signals,
)
from taphouse.daemon.system import Account, System

__all__ = [
    "CAP_NET_BIND_SERVICE",
    "DROP_STEPS",
    "SIGNAL_TABLE",
    "Account",
    "Identity",
    "Intention",
    "Intentions",
    "LogSettings",
    "Logs",
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
    "wait_gone",
    "write_crash_report",
]
