"""`tap backup`: copy the state of a running or stopped server into one whole file.

It must never stop a server, nor leave half a file under the name asked for.
"""

from __future__ import annotations

from taphouse.cli.parsing import Parser, positive
from taphouse.errors import UsageError

__all__ = ["make_parser", "run"]

_EPILOG = """\
examples:
  tap backup otk otk-backup.tap           of the running server otk
  tap backup otk-shutdown.tap safe.tap    of a state tap, whether a server runs on it or not
  tap backup otk -o /srv/backups          as /srv/backups/otk-20261123T031500Z.tap
  tap backup otk -o /srv/backups --keep 7 the same, and only the seven newest remain

The copy is a tap like any other: show it, check it, start it, put it back with
tap restore. --keep removes nothing but backups of the same server that were
made this way and that nobody has run since, and only when the new one has been
read back whole."""


def make_parser() -> Parser:
    """Return the parser of `tap backup`."""
    parser = Parser(
        "tap backup",
        usage="tap backup [options] NAME|FILE.tap [COPY.tap]",
        description="Copy the state of a server, running or stopped, as of its last commit.",
        epilog=_EPILOG,
    )
    parser.add_argument("server", metavar="NAME|FILE.tap", help="a running server's name, or a tap")
    parser.add_argument(
        "copy",
        metavar="COPY.tap",
        nargs="?",
        help="the file to make, not replaced if it is there (default: NAME-TIME.tap in the folder)",
    )
    parser.add_argument(
        "-o", "--output", dest="folder", metavar="DIR", help="folder of NAME-TIME.tap (default: .)"
    )
    parser.add_argument(
        "--keep",
        type=positive,
        metavar="N",
        help="remove older backups there, so that N remain with this one",
    )
    parser.add_argument("-b", "--debug", action="store_true", help="tracebacks of errors")
    return parser


def run(arguments: list[str]) -> int:
    """Make the backup that ``arguments`` name.

    Raises:
        UsageError: if a file is named, and a folder too.
    """
    options = make_parser().parse(arguments)
    if options.copy is not None:
        if options.folder is not None or options.keep is not None:
            option = "-o" if options.folder is not None else "--keep"
            raise UsageError(
                f"{option} does not go with {options.copy}",
                cure="leave the name of the copy out, or the option",
            )
        from taphouse.cli.inspecting.servers import back_up

        print(back_up(options.server, options.copy))
        return 0

    from taphouse.cli.inspecting.backups import back_up_into

    for line in back_up_into(options.server, options.folder or ".", options.keep or 0):
        print(line)
    return 0
