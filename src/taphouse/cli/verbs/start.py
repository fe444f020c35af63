"""`tap start`: start a server in the background, going on from its state.

It must never do more than turn options into settings for the start sequence.
"""

from __future__ import annotations

from taphouse.cli.options import add_run_options
from taphouse.cli.output import say
from taphouse.cli.parsing import Parser

__all__ = ["make_parser", "run"]

_EPILOG = """\
examples:
  tap start otk-start.tap         the first time: begin otk-shutdown.tap;
                                  afterwards: go on from it
  tap start otk.py                the same from code

Its process id is in NAME.pid, its log in NAME.log, both in the run directory."""


def make_parser() -> Parser:
    """Return the parser of `tap start`."""
    parser = Parser(
        "tap start",
        usage="tap start [options] FILE.tap|FILE.py|MODULE:ATTR",
        description="Start a server in the background; returns 0 when every port is open.",
        epilog=_EPILOG,
    )
    parser.add_argument(
        "target", metavar="FILE.tap|FILE.py|MODULE:ATTR", help="what to start: a tap or Python code"
    )
    add_run_options(parser, daemon=True)
    return parser


def run(arguments: list[str]) -> int:
    """Start the server that ``arguments`` name."""
    options = make_parser().parse(arguments)

    from taphouse.cli.carrying.merging import merge_seed
    from taphouse.cli.path_check import foreign_twistd
    from taphouse.cli.settings import settings_from, target_option
    from taphouse.cli.starting.sequence import start_server

    note = foreign_twistd()
    if note:
        say("tap", note)
    settings = settings_from(
        options,
        command="tap start",
        daemon=not options.debug,
        resume=True,
        **target_option(options.target),
    )
    return start_server(settings, merge=merge_seed)
