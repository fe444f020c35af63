"""`tap show`: print what a tap holds, as text or JSON, without its application's code.

A reader: nothing of the tap runs, not a byte of it changes, and however big or
hostile it is, the output is bounded.
"""

from __future__ import annotations

from taphouse.cli.parsing import Parser, whole

__all__ = ["make_parser", "run"]

_EPILOG = """\
examples:
  tap show otk-shutdown.tap       plan, classes, the first objects
  tap show --limit 0 otk.tap      every object
  tap show --json otk.tap | python3 -m json.tool

The tap of a running server can be shown too: as of its last commit."""
_DEFAULT_LIMIT = 100


def make_parser() -> Parser:
    """Return the parser of `tap show`."""
    parser = Parser(
        "tap show",
        usage="tap show [options] FILE.tap",
        description="Print what a tap holds: who made it, what it listens on, its objects and their values.",
        epilog=_EPILOG,
    )
    parser.add_argument("file", metavar="FILE.tap", help="a seed or state tap")
    parser.add_argument("--json", action="store_true", help="as one JSON document")
    parser.add_argument(
        "--limit",
        type=whole,
        default=_DEFAULT_LIMIT,
        metavar="N",
        help=f"show at most N objects, N entries of each container; 0 for all (default: {_DEFAULT_LIMIT})",
    )
    parser.add_argument("-b", "--debug", action="store_true", help="tracebacks of errors")
    return parser


def run(arguments: list[str]) -> int:
    """Show the tap that ``arguments`` name."""
    options = make_parser().parse(arguments)

    from taphouse.cli.showing import describe_tap, print_tap

    shown = describe_tap(options.file, limit=options.limit)
    if options.json:
        import json

        print(json.dumps(shown, indent=2, ensure_ascii=True, default=str))
    else:
        print_tap(shown)
    return 0
