"""`tap check`: thaw a copy of a tap with the code installed now, and say what a start would say.

It must never open a port, write beside the tap, or start a service.
"""

from __future__ import annotations

from taphouse.cli.parsing import Parser

__all__ = ["make_parser", "run"]

_EPILOG = """\
examples:
  tap check otk-shutdown.tap      before installing a new version of the code
  tap check -d /srv/otk otk.tap   as if started in /srv/otk

Returns 0 if a start would find everything it needs, else the status the start
would return."""


def make_parser() -> Parser:
    """Return the parser of `tap check`."""
    parser = Parser(
        "tap check",
        usage="tap check [options] FILE.tap",
        description="Say whether the code installed now can run a tap: sums, modules, classes, upgrades.",
        epilog=_EPILOG,
    )
    parser.add_argument("file", metavar="FILE.tap", help="a seed or state tap; it is not changed")
    parser.add_argument(
        "-d", "--rundir", dest="run_directory", metavar="DIR", help="where it would run (default: .)"
    )
    parser.add_argument(
        "--allow-module",
        dest="allow_modules",
        metavar="MODULE",
        action="append",
        help="as for a start (repeatable)",
    )
    parser.add_argument("-b", "--debug", action="store_true", help="tracebacks of errors")
    return parser


def run(arguments: list[str]) -> int:
    """Check the tap that ``arguments`` name."""
    options = make_parser().parse(arguments)

    from taphouse.cli.checking import check_tap

    for line in check_tap(
        options.file, run_directory=options.run_directory or ".", allowed=tuple(options.allow_modules or ())
    ):
        print(line)
    return 0
