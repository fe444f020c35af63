"""`tap run`: run a tap or Python code in the foreground.

It must never do more than turn options into settings for the start sequence.
"""

from __future__ import annotations

from taphouse.cli.options import add_run_options
from taphouse.cli.parsing import Parser

__all__ = ["make_parser", "run"]

_EPILOG = """\
examples:
  tap run otk:app                 module otk, attribute app, here or installed
  tap run otk.py                  the Application that otk.py builds
  tap run otk-shutdown.tap        go on from a tap

A tap is what you ship; you never need one to start.  Code goes on from
NAME-shutdown.tap in the run directory if that is there."""


def make_parser() -> Parser:
    """Return the parser of `tap run`."""
    parser = Parser(
        "tap run",
        usage="tap run [options] FILE.tap|FILE.py|MODULE:ATTR",
        description="Run a server in the foreground until SIGINT or SIGTERM, logging to standard output.",
        epilog=_EPILOG,
    )
    parser.add_argument(
        "target", metavar="FILE.tap|FILE.py|MODULE:ATTR", help="what to run: a tap or Python code"
    )
    add_run_options(parser, daemon=False)
    return parser


def run(arguments: list[str]) -> int:
    """Run the server that ``arguments`` name; returns when it has stopped."""
    options = make_parser().parse(arguments)

    from taphouse.cli.carrying.merging import merge_seed
    from taphouse.cli.settings import settings_from, target_option
    from taphouse.cli.starting.sequence import start_server

    settings = settings_from(
        options,
        command="tap run",
        daemon=False,
        pidfile=options.pidfile or "",
        **target_option(options.target),
    )
    return start_server(settings, merge=merge_seed)
