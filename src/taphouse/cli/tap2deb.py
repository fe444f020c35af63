"""`tap2deb`: an installable Debian package from a tap.  `tap deb` is the same.

It must never do more than turn options into what `taphouse.cli.shipping` makes.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from taphouse.cli.options import add_allow_module
from taphouse.cli.output import end_with, run_command, say
from taphouse.cli.parsing import Parser
from taphouse.cli.shipping.sourceoptions import add_source_options, source_options
from taphouse.errors import UsageError

if TYPE_CHECKING:
    from taphouse.cli.shipping.packagetree import PackageOrder

__all__ = [
    "add_contents",
    "add_service",
    "add_words",
    "epoch_argument",
    "main",
    "make_parser",
    "make_with",
    "order",
]

_DYNAMIC = "dynamic"
_DEFAULT_TAP = "twistd.tap"
_EXAMPLES = """\
examples:
  tap2deb otk-start.tap
  tap2deb -m 'Ann Author <ann@example.org>' --set-version 1.1 otk-start.tap
  tap2deb --user _otk --profile sealed otk-start.tap
  tap2deb --lint -o /srv/packages/ otk-start.tap

The server goes on from its state after each boot, crash and upgrade.  Give each
new package a higher version, so that machines see it as an upgrade."""


def make_parser(prog: str = "tap2deb") -> Parser:
    """Return the parser of the command, by whichever name."""
    parser = Parser(
        prog,
        usage=f"{prog} [options] FILE.tap",
        description="Make a Debian package that installs, runs and upgrades the server of a tap.",
        epilog=_EXAMPLES,
    )
    parser.add_argument(
        "file", metavar="FILE.tap", nargs="?", help=f"the seed to ship (default: {_DEFAULT_TAP})"
    )
    parser.add_argument("-t", "--tapfile", metavar="FILE.tap", help="the same, as an option")
    add_words(parser.add_argument_group("what it says of itself"))
    add_service(parser.add_argument_group("how it runs"))
    add_contents(parser.add_argument_group("what goes in"))
    _add_output(parser.add_argument_group("the file"))
    return parser


def add_words(group: argparse._ArgumentGroup) -> None:
    """Add what a package says of itself."""
    group.add_argument("--name", metavar="NAME", help="name of the package (default: the application's)")
    group.add_argument("-d", "--debfile", metavar="NAME", help="the same, as in 2002")
    group.add_argument(
        "--set-version",
        metavar="VERSION",
        default="1.0",
        help="version of the package; an upgrade needs a higher one (default: 1.0)",
    )
    group.add_argument(
        "-m",
        "--maintainer",
        metavar="WHO",
        help="who answers for it, 'Name <name@example.org>' (default: $DEBFULLNAME and $DEBEMAIL, or what git"
        " knows)",
    )
    group.add_argument("-p", "--protocol", metavar="WORD", help="what it speaks, for its description")
    group.add_argument("-e", "--description", metavar="TEXT", help="what it is, on one line")
    group.add_argument(
        "-l", "--long-description", metavar="TEXT", help="the same at length; empty lines part paragraphs"
    )
    group.add_argument(
        "--license", metavar="NAME|FILE", help="licence of your code: a short name, or a file with its text"
    )


def add_service(group: argparse._ArgumentGroup) -> None:
    """Add how its service runs."""
    group.add_argument(
        "--profile",
        choices=("auto", "lowport", "highport", "local", "sealed"),
        default="auto",
        help="what the server may do: open low ports, open high ports, talk to this machine only, use nothing"
        " but the sockets of systemd; auto takes lowport or highport (default: auto)",
    )
    group.add_argument(
        "--user",
        metavar="USER",
        default=_DYNAMIC,
        help="the account to run as, made at installation; dynamic lets systemd make one for each run"
        " (default: dynamic)",
    )
    group.add_argument(
        "--no-socket", dest="sockets", action="store_false", help="let the server open its ports itself"
    )
    group.add_argument(
        "--allow-jit",
        action="store_true",
        help="let it make memory executable, as code that compiles itself does",
    )


def add_contents(group: argparse._ArgumentGroup) -> None:
    """Add where its parts come from."""
    add_source_options(group, "tap2deb")
    add_allow_module(group)


def _add_output(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "-o",
        "--output",
        metavar="FILE|DIR",
        default=".",
        help="the file to make, or a folder for NAME_VERSION_MACHINE.deb (default: .)",
    )
    group.add_argument(
        "--epoch",
        type=epoch_argument,
        metavar="SECONDS",
        help="time of the files, since 1970 (default: $SOURCE_DATE_EPOCH, or when the tap was made)",
    )
    group.add_argument(
        "--lint",
        action="store_true",
        help="let lintian and systemd-analyze look at it, as far as they are here",
    )
    group.add_argument("-u", "--unsigned", action="store_true", help="does nothing: packages are not signed")
    group.add_argument("--dry-run", action="store_true", help="say what it would be, and write nothing")
    group.add_argument("-b", "--debug", action="store_true", help="tracebacks of errors")


def main(argv: Sequence[str] | None = None) -> int:
    """Run `tap2deb` with ``argv`` (default: the process's arguments) and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    code = run_command("tap2deb", lambda: make_with(make_parser(), arguments))
    return end_with(code) if argv is None else code


def make_with(parser: Parser, arguments: list[str]) -> int:
    """Do what ``arguments`` say.

    Raises:
        UsageError: options contradict each other, or there is no tap.
    """
    if not arguments and not os.path.exists(_DEFAULT_TAP):
        parser.print_help(sys.stderr)
        return 64
    options = parser.parse(arguments)
    from taphouse.cli.shipping.debpackage import make_deb
    from taphouse.cli.shipping.reporting import lint, report
    from taphouse.cli.shipping.sourcing import choose_source

    sourced = choose_source(source_options(options))
    wanted = order(options, python=sourced.python)
    made = make_deb(wanted, sourced.source, options.output, writes=not options.dry_run)
    for line in (*made.warnings, *sourced.notes()):
        say(parser.prog, line)
    for line in report(made, written=not options.dry_run):
        print(line)
    if options.lint and not options.dry_run:
        for line in lint(made):
            print(line)
    return 0


def order(options: argparse.Namespace, *, python: str) -> PackageOrder:
    """Return what was asked for.

    Raises:
        UsageError: options contradict each other.
    """
    from taphouse.cli.shipping.packagetree import PackageOrder

    return PackageOrder(
        tap=_one(options.file, options.tapfile, "FILE.tap", "-t") or _DEFAULT_TAP,
        name=_one(options.name, (options.debfile or "").removesuffix(".deb"), "--name", "-d"),
        version=options.set_version,
        maintainer=options.maintainer or "",
        protocol=options.protocol or "",
        description=options.description or "",
        long_description=options.long_description or "",
        license=options.license or "",
        profile=options.profile,
        account="" if options.user == _DYNAMIC else options.user,
        python=python,
        sockets=options.sockets,
        allow_jit=options.allow_jit,
        epoch=options.epoch,
        allowed=tuple(options.allow_modules or ()),
    )


def _one(first: str | None, second: str | None, one: str, other: str) -> str:
    if first and second and first != second:
        raise UsageError(f"{one} and {other} contradict each other", cure="give one of them")
    return first or second or ""


def epoch_argument(text: str) -> int:
    """Return the number of seconds that an option's argument is."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds since 1970")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
