"""`tapconvert`: a tap becomes JSON, and JSON a tap, with nothing lost.  `tap convert` is the same.

It must never run what a tap holds, nor write over state that nobody gave up.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from taphouse.cli.output import end_with, run_command
from taphouse.cli.parsing import Parser

__all__ = ["main", "make_parser"]

_EXAMPLES = """\
examples:
  tapconvert -i otk-shutdown.tap -o otk.json      to read and edit
  tapconvert -i otk.json -o otk-shutdown.tap      back, checked before it is written
  tapconvert -i otk-shutdown.tap -o - | less      to look at; of a running server too
  tapconvert -i state -f tap -o state.json        where the name tells nothing

Nothing is written on any error. exit status: 0, 64 usage, 73 cannot create,
75 a server runs on the tap, 77 not permitted, 78 what is wrong in the document."""


def make_parser(prog: str = "tapconvert") -> Parser:
    """Return the parser of the command, by whichever name."""
    parser = Parser(
        prog,
        usage=f"{prog} [options] -i IN -o OUT",
        description="Convert a tap to JSON and back, losslessly: plan, classes and state.",
        epilog=_EXAMPLES,
    )
    parser.add_argument(
        "-i", "--in", dest="source", metavar="IN", help="the tap or JSON file to read; - is standard input"
    )
    parser.add_argument(
        "-o", "--out", dest="target", metavar="OUT", help="the file to make; - is standard output, JSON"
    )
    parser.add_argument(
        "-f", "--typein", choices=("tap", "json"), help="format of IN (default: by its suffix)"
    )
    parser.add_argument(
        "-t", "--typeout", choices=("tap", "json"), help="format of OUT (default: by its suffix)"
    )
    parser.add_argument(
        "--force", action="store_true", help="write over a tap that holds state; it is kept as OUT.1"
    )
    parser.add_argument("-b", "--debug", action="store_true", help="tracebacks of errors")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run `tapconvert` with ``argv`` (default: the process's arguments) and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    code = run_command("tapconvert", lambda: convert_with(make_parser(), arguments))
    return end_with(code) if argv is None else code


def convert_with(parser: Parser, arguments: list[str]) -> int:
    """Do what ``arguments`` say.

    Raises:
        UsageError: if IN or OUT is missing.
    """
    if not arguments:
        parser.print_help(sys.stderr)
        return 64
    options = parser.parse(arguments)
    if options.source is None or options.target is None:
        parser.error(f"{'-i IN' if options.source is None else '-o OUT'} is missing")

    from taphouse.cli.inspecting.converting import convert

    said = convert(
        options.source,
        options.target,
        typein=options.typein or "",
        typeout=options.typeout or "",
        force=options.force,
    )
    if said:
        print(said)
    return 0


if __name__ == "__main__":
    sys.exit(main())
