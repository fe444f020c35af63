"""`tap set`: change one value of a stopped server's state, without its code.

It must never change configuration, nor a tap on which a server runs.
"""

from __future__ import annotations

from taphouse.cli.parsing import Parser

__all__ = ["make_parser", "run"]

_EPILOG = """\
examples:
  tap set otk-shutdown.tap Keys#1.nextkey 100
  tap set quotes-shutdown.tap 'Quotes#1.words[3]' '"a better one"'
  tap set quotes-shutdown.tap Quotes#1.motto 'as it is' --type text
  tap set bank-shutdown.tap 'Bank#1.users["ann"].balance' '{"$decimal": "12.50"}'
  tap set --dry-run otk-shutdown.tap Keys#1.nextkey 100

VALUE is JSON, with the tags that tapconvert writes. tap show lists what there is.
Options are changed by mktap --update alone."""


def make_parser() -> Parser:
    """Return the parser of `tap set`."""
    parser = Parser(
        "tap set",
        usage="tap set [options] FILE.tap PATH VALUE",
        description="Change one value in the state of a server that does not run.",
        epilog=_EPILOG,
    )
    parser.add_argument("file", metavar="FILE.tap", help="a seed or state tap")
    parser.add_argument("path", metavar="PATH", help='what to change: Keys#1.nextkey, Keys#1.users["ann"]')
    parser.add_argument("value", metavar="VALUE", help="the new value, in JSON, of the type that is there")
    parser.add_argument(
        "--type",
        metavar="TYPE",
        choices=("null", "boolean", "int", "float", "text", "bytes", "list", "dict"),
        help="let it be of another type: null, boolean, int, float, text (taken as it is), bytes, list, dict",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would change, and write nothing")
    parser.add_argument("-b", "--debug", action="store_true", help="tracebacks of errors")
    return parser


def run(arguments: list[str]) -> int:
    """Change what ``arguments`` name."""
    options = make_parser().parse(arguments)

    from taphouse.cli.inspecting.changing import set_value

    print(
        set_value(options.file, options.path, options.value, kind=options.type or "", dry_run=options.dry_run)
    )
    return 0
