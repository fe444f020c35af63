"""`tap man`: the manual page of a command, or of a type of server.

It must never need a page to be installed.
"""

from __future__ import annotations

from taphouse.cli.parsing import Parser

__all__ = ["make_parser", "run"]

_EPILOG = """\
examples:
  tap man twistd | man -l -                        read a page
  tap man qotd | man -l -                          the options of a server type
  tap man twistd >~/.local/share/man/man1/twistd.1 install it

The page is printed in the language of man(7)."""


def make_parser() -> Parser:
    """Return the parser of `tap man`."""
    parser = Parser(
        "tap man",
        usage="tap man [options] COMMAND|TYPE",
        description="Print the manual page of a command, or of a server type that mktap makes.",
        epilog=_EPILOG,
    )
    parser.add_argument(
        "page", metavar="COMMAND|TYPE", help="tap, twistd, mktap, tap2deb, tapconvert, or a server type"
    )
    parser.add_argument("-b", "--debug", action="store_true", help="tracebacks of errors")
    return parser


def run(arguments: list[str]) -> int:
    """Print the page that ``arguments`` name."""
    options = make_parser().parse(arguments)

    from taphouse.cli.guide.manual import page

    print(page(options.page), end="")
    return 0
