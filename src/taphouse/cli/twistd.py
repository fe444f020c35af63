"""`twistd`: start a server from a tap (or Python code), as a daemon.

Parses, then hands over to the start sequence.  Nothing heavy may be imported
before the command line is known to be good: this is also what `--help` costs,
and what the forked daemon would inherit.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from taphouse.cli.options import add_run_options, add_source_options
from taphouse.cli.output import end_with, run_command
from taphouse.cli.parsing import Parser
from taphouse.errors import UsageError

__all__ = ["main", "make_parser"]

_DESCRIPTION = """\
Start the server that a tap holds, as a daemon.

Returns 0 when every port is open, or prints one line that says why it cannot
and returns the status for it.  What the server remembers goes to
NAME-shutdown.tap in the run directory, and survives any way of dying."""

_EXAMPLES = """\
examples:
  twistd -f otk-start.tap         start the seed; state begins in otk-shutdown.tap
  twistd -f otk-shutdown.tap      go on from that state, after a stop or a crash
  twistd -f otk-start.tap --state otk.tap
                                  go on from otk.tap, or begin it: good for services
  twistd -n -y otk.py             run the code in the foreground, keeping its state
  twistd -f web.tap --pidfile web.pid -l web.log
                                  a second server in the same directory
  kill `cat twistd.pid`           stop it

exit status: 0 started (-n: stopped in order), 64 usage, 69 address not
available, 70 internal error, 73 cannot create a file, 74 storage failed,
75 already running, 77 not permitted, 78 configuration or tap."""


def make_parser() -> Parser:
    """Return the parser of `twistd`'s options."""
    parser = Parser("twistd", usage="twistd [options]", description=_DESCRIPTION, epilog=_EXAMPLES)
    parser.add_argument("--version", action="store_true", help="show the version and exit")
    add_source_options(parser)
    add_run_options(parser, daemon=None)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run `twistd` with ``argv`` (default: the process's arguments) and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    code = run_command("twistd", lambda: _twistd(arguments))
    return end_with(code) if argv is None else code


def _twistd(arguments: list[str]) -> int:
    parser = make_parser()
    options = parser.parse(arguments)
    if options.version:
        from taphouse.cli.version import version_line

        print(version_line("twistd"))
        return 0

    from taphouse.cli.settings import DEFAULT_TAP, is_managed, settings_from

    if not (options.tap or options.python or options.state):
        if not os.path.lexists(DEFAULT_TAP):
            parser.print_help(sys.stderr)
            raise UsageError(
                f"nothing to run: there is no {DEFAULT_TAP} here", cure="give -f TAP or -y FILE.py"
            )
        options.tap = DEFAULT_TAP
    if options.debug:
        options.daemon = False
    if is_managed(os.environ) and not options.daemon:
        options.daemon = False
        options.pidfile = options.pidfile or ""  # the manager knows who its children are
    settings = settings_from(options, command="twistd", daemon=options.daemon is not False)

    from taphouse.cli.carrying.merging import merge_seed
    from taphouse.cli.starting.sequence import start_server

    return start_server(settings, merge=merge_seed)


if __name__ == "__main__":
    sys.exit(main())
