"""`tap show`: print what a tap holds, as text or JSON, without its application's code.

A reader: nothing of the tap runs, not a byte of it changes, and however big or
hostile it is, the output is bounded.
"""

from __future__ import annotations

from taphouse.cli.parsing import Parser, whole
from taphouse.errors import UsageError

__all__ = ["make_parser", "run"]

_EPILOG = """\
examples:
  tap show otk-shutdown.tap       plan, classes, the first objects
  tap show --limit 0 otk.tap      every object
  tap show --json otk.tap | python3 -m json.tool
  tap show --toml site.tap > site.toml
                                  the options that mktap was given

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
        "--toml", action="store_true", help="the servers and their options, as mktap --from builds them again"
    )
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

    if options.toml:
        if options.json:
            raise UsageError("--json and --toml contradict each other", cure="give one of them")
        from taphouse.cli.making.serverfile import write_server_file
        from taphouse.persist import read_info

        print(write_server_file(read_info(options.file).plan, options.file), end="")
        return 0

    from taphouse.cli.inspecting.showing import describe_tap, print_tap

    shown = describe_tap(options.file, limit=options.limit)
    if options.json:
        import json

        print(json.dumps(shown, indent=2, ensure_ascii=True, default=str))
    else:
        print_tap(shown)
    return 0
