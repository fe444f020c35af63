"""`tap restore`: put a backup in the place of a stopped server's tap.

It must never lose what was there, nor touch the tap of a running server.
"""

from __future__ import annotations

from taphouse.cli.parsing import Parser

__all__ = ["make_parser", "run"]

_EPILOG = """\
examples:
  tap restore otk-20261123T031500Z.tap otk-shutdown.tap
  tap restore safe.tap /srv/otk/otk-shutdown.tap

The server must be stopped (tap stop). What was there is kept as FILE.tap.1, and
the backup is only read. Then start the server as ever."""


def make_parser() -> Parser:
    """Return the parser of `tap restore`."""
    parser = Parser(
        "tap restore",
        usage="tap restore [options] BACKUP.tap FILE.tap",
        description="Put a backup in the place of a stopped server's tap, which is kept beside it.",
        epilog=_EPILOG,
    )
    parser.add_argument("backup", metavar="BACKUP.tap", help="what tap backup has made; it is only read")
    parser.add_argument("file", metavar="FILE.tap", help="the tap that the server goes on with")
    parser.add_argument(
        "--force", action="store_true", help="even if FILE.tap is of another application than BACKUP.tap"
    )
    parser.add_argument("-b", "--debug", action="store_true", help="tracebacks of errors")
    return parser


def run(arguments: list[str]) -> int:
    """Restore what ``arguments`` name."""
    options = make_parser().parse(arguments)

    from taphouse.cli.inspecting.backups import restore

    for line in restore(options.backup, options.file, force=options.force):
        print(line)
    return 0
