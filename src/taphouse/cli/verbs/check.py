"""`tap check`: thaw a copy of a tap with the code installed now, look around, and say what a start would say.

It must never open a port to anybody, write beside the tap, or start a service.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from taphouse.cli.output import one_line
from taphouse.cli.parsing import Parser
from taphouse.errors import ConfigurationError, UsageError

if TYPE_CHECKING:
    from taphouse.cli.inspecting.findings import Finding

__all__ = ["make_parser", "report", "run"]

_EPILOG = """\
examples:
  tap check otk-shutdown.tap      before installing a new version of the code
  tap check -d /srv/otk otk.tap   as if started in /srv/otk
  tap check --upgrade-from otk-shutdown.tap new/otk-start.tap
                                  before going on with another seed, of a newer version

Each thing is one line, ok or problem: sums, modules, classes and upgrades, types
of servers and their options, ports, users, certificates. Returns 0 if a start
would find everything it needs, else 78. A port that this application's own
server holds is no problem, nor one that systemd holds for it."""


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
        "--upgrade-from",
        metavar="STATE",
        help="say what a start with --state STATE would make of it, if FILE.tap is the seed of a new version:"
        " tried on a copy, the old version may be running",
    )
    parser.add_argument(
        "--drop",
        metavar="NAME",
        action="append",
        help="with --upgrade-from: forget the stored object NAME, which the new seed does not hold"
        " (repeatable)",
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

    allowed, folder = tuple(options.allow_modules or ()), options.run_directory or "."
    if options.upgrade_from is not None:
        from taphouse.cli.inspecting.upgrading import check_upgrade

        drop = tuple(options.drop or ())
        findings = check_upgrade(
            options.upgrade_from, options.file, run_directory=folder, allowed=allowed, drop=drop
        )
        return report(options.upgrade_from, findings, "a start would carry the state over")
    if options.drop:
        raise UsageError("--drop only means something with --upgrade-from", cure="leave it out")
    from taphouse.cli.inspecting.checking import check_tap

    findings = check_tap(options.file, run_directory=folder, allowed=allowed)
    return report(options.file, findings, "a start would find everything it needs")


def report(path: str, findings: Iterable[Finding], outcome: str) -> int:
    """Print findings, a line each, and how it comes out.

    Args:
        path: what was checked.
        findings: told as they are found.
        outcome: the last line if there is no problem.

    Raises:
        ConfigurationError: the only problem that was found, or the first with the number of others.
    """
    errors = []
    for finding in findings:
        print(one_line(f"{'ok' if finding.is_ok else 'problem'}: {finding.text}"), flush=True)
        if finding.error is not None:
            errors.append(finding.error)
    if not errors:
        print(outcome)
        return 0
    first = errors[0]
    more = f"; {len(errors) - 1} more problem{'s' if len(errors) > 2 else ''} above" if errors[1:] else ""
    message = first.message if first.message.startswith(path) else f"{path}: {first.message}"
    raise ConfigurationError(message, cure=f"{first.cure}{more}".removeprefix("; "))
