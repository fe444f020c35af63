"""`tap backup`: copy the state of a running or stopped server into one whole file.

It must never stop a server, nor leave half a file under the name asked for.
"""

from __future__ import annotations

from taphouse.cli.parsing import Parser

__all__ = ["make_parser", "run"]

_EPILOG = """\
examples:
  tap backup otk otk-backup.tap           of the running server otk
  tap backup otk-shutdown.tap safe.tap    of a state tap, whether a server runs on it or not

The copy is a tap like any other: show it, check it, start it."""


def make_parser() -> Parser:
    """Return the parser of `tap backup`."""
    parser = Parser(
        "tap backup",
        usage="tap backup [options] NAME|FILE.tap COPY.tap",
        description="Copy the state of a server, running or stopped, as of its last commit.",
        epilog=_EPILOG,
    )
    parser.add_argument("server", metavar="NAME|FILE.tap", help="a running server's name, or a tap")
    parser.add_argument(
        "copy", metavar="COPY.tap", help="the file to make; one that is there is not replaced"
    )
    parser.add_argument("-b", "--debug", action="store_true", help="tracebacks of errors")
    return parser


def run(arguments: list[str]) -> int:
    """Make the backup that ``arguments`` name."""
    options = make_parser().parse(arguments)

    from taphouse.cli.servers import back_up

    print(back_up(options.server, options.copy))
    return 0
