"""`tap check`: thaw a copy of a tap with the code installed now, look around, and say what a start would say.

It must never open a port to anybody, write beside the tap, or start a service.
"""

from __future__ import annotations

from taphouse.cli.output import one_line
from taphouse.cli.parsing import Parser
from taphouse.errors import ConfigurationError

__all__ = ["make_parser", "run"]

_EPILOG = """\
examples:
  tap check otk-shutdown.tap      before installing a new version of the code
  tap check -d /srv/otk otk.tap   as if started in /srv/otk

Each thing is one line, ok or problem: sums, modules, classes and upgrades, types
of servers and their options, ports, users, certificates. Returns 0 if a start
would find everything it needs, else 78. A port that this application's own
server holds is no problem."""


def make_parser() -> Parser:
    """Return the parser of `tap check`."""
    parser = Parser(
        "tap check",
        usage="tap check [options] FILE.tap",
        description="Say whether a tap would start: sums, installed code, options, ports, users, files.",
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
    """Check the tap that ``arguments`` name.

    Raises:
        TaphouseError: the only problem that was found, or one that counts them (78).
    """
    options = make_parser().parse(arguments)

    from taphouse.cli.inspecting.checking import check_tap

    errors = []
    for finding in check_tap(
        options.file, run_directory=options.run_directory or ".", allowed=tuple(options.allow_modules or ())
    ):
        print(one_line(f"{'ok' if finding.is_ok else 'problem'}: {finding.text}"))
        if finding.error is not None:
            errors.append(finding.error)
    if not errors:
        print("a start would find everything it needs")
        return 0
    first = errors[0]
    more = f"; {len(errors) - 1} more problem{'s' if len(errors) > 2 else ''} above" if errors[1:] else ""
    raise ConfigurationError(
        f"{options.file}: {first.message}", cure=f"{first.cure}{more}".removeprefix("; ")
    )
