"""`tap` (also `taphouse`, `python -m taphouse`): every verb under one name.

A table of verbs; the module of a verb is imported when it is asked for.  It
must never know what a verb does.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Protocol

from taphouse.cli.output import end_with, run_command, say
from taphouse.cli.parsing import Parser
from taphouse.errors import UsageError

__all__ = ["VERBS", "main", "verb_parser"]

VERBS = {
    "make": "make a tap for a server of some type (mktap)",
    "run": "run a tap or Python code in the foreground",
    "start": "start a server in the background, going on from its state",
    "stop": "stop a running server and wait until it is gone",
    "status": "say which servers run and how they are",
    "show": "show what a tap holds, without running its code",
    "check": "say whether the installed code can run a tap",
    "backup": "copy the state of a running or stopped server",
    "restore": "put a backup back in a stopped server's place",
    "get": "print one value of a tap's state",
    "set": "change one value of a stopped server's state",
    "convert": "convert a tap to JSON and back (tapconvert)",
    "deb": "make a Debian package from a tap (tap2deb)",
    "unit": "print the units with which systemd runs a tap",
    "tree": "write what a package would install into a folder",
    "oci": "make a container image of a tap, without an engine",
    "completion": "let a shell complete commands, options and names",
    "man": "print the manual page of a command or server type",
}
"""Each verb with what `tap --help` says of it; `taphouse.cli.verbs.<verb>` is its module."""


class Verb(Protocol):
    """What a verb's module offers."""

    def make_parser(self) -> Parser:
        """Return the parser of the verb's options."""

    def run(self, arguments: list[str]) -> int:
        """Do it; returns the exit code."""


_EXAMPLES = """\
examples:
  tap run otk:app                 build the application of otk.py, keep its state
  tap start otk-start.tap         in the background; goes on from otk-shutdown.tap
  tap status                      all of your servers
  tap show otk-shutdown.tap       what it holds
  tap stop otk                    stop it

Each verb has its own help: tap VERB --help."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run `tap` with ``argv`` (default: the process's arguments) and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    code = run_command("tap", lambda: _tap(arguments))
    return end_with(code) if argv is None else code


def make_parser() -> Parser:
    """Return the parser of what may stand before a verb."""
    verbs = "\n".join(f"  {name:<10} {summary}" for name, summary in VERBS.items())
    parser = Parser(
        "tap",
        usage="tap [--version] VERB ...",
        description=f"Start, stop and look into servers that remember.\n\nverbs:\n{verbs}",
        epilog=_EXAMPLES,
    )
    parser.add_argument("--version", action="store_true", help="show the version and exit")
    return parser


def verb_parser(name: str) -> Parser:
    """Return the parser of the verb ``name``, for documentation and its tests."""
    return _load(name).make_parser()


def _tap(arguments: list[str]) -> int:
    if not arguments:
        make_parser().print_help(sys.stderr)
        return 64
    first, *rest = arguments
    if first in VERBS:
        return _load(first).run(rest)
    if first == "help":
        arguments = [*rest[:1], "--help"]
        return _tap(arguments)
    if not first.startswith("-"):
        raise UsageError(f"there is no verb {first!r}", cure=_nearest(first))
    from taphouse.cli.path_check import foreign_twistd

    note = foreign_twistd()
    if note:
        say("tap", note)
    options = make_parser().parse(arguments)
    if options.version:
        from taphouse.cli.version import version_line

        print(version_line("tap"))
    return 0


def _load(name: str) -> Verb:
    module: Verb = import_module(f"taphouse.cli.verbs.{name}")
    return module


def _nearest(word: str) -> str:
    import difflib

    near = difflib.get_close_matches(word, VERBS, n=1)
    return f"did you mean {near[0]}?" if near else "see tap --help"


if __name__ == "__main__":
    sys.exit(main())
