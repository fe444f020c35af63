"""The options of everything that starts a server, declared once for `twistd`, `tap run` and `tap start`.

It must never act on an option.
"""

from __future__ import annotations

import argparse

from taphouse.cli.parsing import Parser, bytes_size, duration_s, octal_mode, positive

__all__ = ["add_allow_module", "add_run_options", "add_source_options"]


def add_source_options(parser: Parser) -> None:
    """Add `twistd`'s way to say what to run: ``-f``, ``-y``."""
    group = parser.add_argument_group("what to run")
    group.add_argument(
        "-f", "--file", dest="tap", metavar="TAP", help="the tap to start from (default: twistd.tap)"
    )
    group.add_argument(
        "-y",
        "--python",
        metavar="FILE.py|MODULE:ATTR",
        help="build the application by running Python code instead of thawing a tap",
    )


def add_run_options(parser: Parser, *, daemon: bool | None) -> None:
    """Add the options of a start.

    Args:
        parser: where to.
        daemon: what the command does; ``None`` if it lets the operator choose (``-n``).
    """
    _add_state_options(parser)
    _add_process_options(parser, daemon)
    _add_log_options(parser)
    _add_limit_options(parser)
    group = parser.add_argument_group("finding faults")
    group.add_argument(
        "-b",
        "--debug",
        action="store_true",
        default=None,
        help="asyncio's debug mode and tracebacks of errors"
        + {None: "; implies -n", True: "; stays in the foreground", False: ""}[daemon],
    )
    group.add_argument("-p", "--profile", metavar="FILE", help="profile the run, write the profile to FILE")
    group.add_argument(
        "--savestats",
        action="store_true",
        default=None,
        help="write the profile as data for the pstats module, not as text",
    )


def _add_state_options(parser: Parser) -> None:
    group = parser.add_argument_group("state")
    group.add_argument(
        "--state",
        metavar="FILE",
        help="go on from the state tap FILE, or begin it if there is none (default: NAME-shutdown.tap"
        " in the run directory)",
    )
    group.add_argument(
        "--fresh",
        action="store_true",
        default=None,
        help="set aside the state that is there (as NAME-shutdown.tap.1) and begin anew",
    )
    group.add_argument(
        "--drop",
        metavar="NAME",
        action="append",
        help="with Python code or a new seed: forget the stored object NAME that it no longer builds"
        " (repeatable)",
    )
    group.add_argument(
        "-o",
        "--no-save",
        dest="save",
        action="store_false",
        default=None,
        help="keep no state: open no tap, save nothing, not even at the end",
    )
    group.add_argument(
        "--durability",
        choices=("gate", "interval", "exit"),
        help="when changes are saved: gate, before the replies that tell of them; interval, within a second;"
        " exit, at an orderly stop only (default: what the application says, gate if nothing)",
    )
    add_allow_module(group)


def _add_process_options(parser: Parser, daemon: bool | None) -> None:
    group = parser.add_argument_group("process")
    if daemon is None:
        group.add_argument(
            "-n",
            "--nodaemon",
            dest="daemon",
            action="store_false",
            default=None,
            help="stay in the foreground, log to standard output unless -l is given",
        )
        group.add_argument(
            "--daemon",
            dest="daemon",
            action="store_true",
            default=None,
            help="become a daemon also where a service manager has started twistd (NOTIFY_SOCKET is set),"
            " which else means -n and no pidfile",
        )
    group.add_argument(
        "-d",
        "--rundir",
        dest="run_directory",
        metavar="DIR",
        help="change to DIR before running (default: .)",
    )
    default_pidfile = {None: "twistd.pid", True: "NAME.pid", False: "none"}[daemon]
    group.add_argument(
        "--pidfile", metavar="FILE", help=f"where to write the process id (default: {default_pidfile})"
    )
    group.add_argument(
        "-r",
        "--reactor",
        choices=("auto", "uvloop", "asyncio"),
        help="the event loop (default: auto, uvloop where it is installed)",
    )
    group.add_argument(
        "--umask",
        metavar="MODE",
        type=octal_mode,
        help="octal file mode mask" + ("" if daemon is False else " (default: 077 for a daemon)"),
    )
    group.add_argument("--uid", metavar="USER", help="user to run as once the ports are open, name or number")
    group.add_argument("--gid", metavar="GROUP", help="group to run as, name or number")
    group.add_argument("--chroot", metavar="DIR", help="make DIR the root directory once the ports are open")


def _add_log_options(parser: Parser) -> None:
    group = parser.add_argument_group("log")
    group.add_argument("-l", "--logfile", metavar="FILE", help="log to FILE, - for standard output")
    group.add_argument("--log-format", choices=("text", "json"), help="form of a log line (default: text)")
    group.add_argument(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        help="least severe message that is logged (default: info)",
    )
    group.add_argument(
        "--log-size",
        dest="log_size_bytes",
        metavar="SIZE",
        type=bytes_size,
        help="rotate the log file when it reaches SIZE, 0 for never",
    )
    group.add_argument(
        "--syslog", action="store_true", default=None, help="log to the system log, not to a file"
    )
    group.add_argument(
        "--prefix", metavar="TEXT", help="with --syslog: what each record begins with (default: taphouse)"
    )
    group.add_argument(
        "-q", "--quiet", action="store_true", default=None, help="do not mention a stale pidfile"
    )


def _add_limit_options(parser: Parser) -> None:
    group = parser.add_argument_group("limits")
    group.add_argument(
        "--max-connections", metavar="N", type=positive, help="connections served at the same time"
    )
    group.add_argument(
        "--max-connections-per-client",
        metavar="N",
        type=positive,
        help="connections served at the same time for one client address",
    )
    group.add_argument(
        "--idle-timeout",
        dest="idle_timeout_s",
        metavar="TIME",
        type=duration_s,
        help="close a connection that was silent for TIME (30s, 5m)",
    )
    group.add_argument(
        "--drain",
        dest="drain_s",
        metavar="TIME",
        type=duration_s,
        help="how long a stop waits for connections to end by themselves",
    )
    group.add_argument(
        "--commit-deadline",
        dest="commit_deadline_s",
        metavar="TIME",
        type=duration_s,
        help="turn new connections away while a commit takes longer than TIME, and end after three times as"
        " long (default: 10s; 0 for never)",
    )
    group.add_argument(
        "--free-space-warn",
        dest="free_space_warn_bytes",
        metavar="SIZE",
        type=bytes_size,
        help="warn while the state's disk has less than SIZE left",
    )
    group.add_argument(
        "--free-space-stop",
        dest="free_space_stop_bytes",
        metavar="SIZE",
        type=bytes_size,
        help="turn new connections away while the state's disk has less than SIZE left",
    )
    group.add_argument(
        "--free-space-fail",
        dest="free_space_fail_bytes",
        metavar="SIZE",
        type=bytes_size,
        help="stop in order, with status 74, when the state's disk has less than SIZE left",
    )


def add_allow_module(group: argparse._ArgumentGroup) -> None:
    """Add ``--allow-module``, for every command that imports what a tap names."""
    group.add_argument(
        "--allow-module",
        dest="allow_modules",
        metavar="MODULE",
        action="append",
        help="let the tap name classes of an installed MODULE that declares no taphouse entry point"
        " (repeatable)",
    )
