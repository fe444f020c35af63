"""`tap get`: print one value of a tap's state as JSON, without its code.

A reader: not a byte of the tap changes, and a server may run on it.
"""

from __future__ import annotations

from taphouse.cli.parsing import Parser

__all__ = ["make_parser", "run"]

_EPILOG = """\
examples:
  tap get otk-shutdown.tap Keys#1.nextkey
  tap get bank-shutdown.tap 'Bank#1.users["ann"].balance'

The tap of a running server can be asked too: as of its last commit."""


def make_parser() -> Parser:
    """Return the parser of `tap get`."""
    parser = Parser(
        "tap get",
        usage="tap get [options] FILE.tap PATH",
        description="Print one value of a server's state as JSON.",
        epilog=_EPILOG,
    )
    parser.add_argument("file", metavar="FILE.tap", help="a seed or state tap")
    parser.add_argument("path", metavar="PATH", help='what to print: Keys#1.nextkey, Keys#1.users["ann"]')
    parser.add_argument("-b", "--debug", action="store_true", help="tracebacks of errors")
    return parser


def run(arguments: list[str]) -> int:
    """Print what ``arguments`` name."""
    options = make_parser().parse(arguments)

    from taphouse.cli.inspecting.changing import get_value
    from taphouse.cli.inspecting.converting import print_document

    print_document(get_value(options.file, options.path))
    return 0
