"""`tap completion`: let a shell complete our commands; the shell asks by it, too.

A shell that asks must never see an error: it would stand in the middle of the line that is being typed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from taphouse.cli.parsing import Parser

if TYPE_CHECKING:
    from taphouse.cli.guide.completing import Offer

__all__ = ["make_parser", "run"]

_ASKED_BY = "_TAPHOUSE_COMPLETE"
_EPILOG = """\
examples:
  source <(tap completion bash)                               in ~/.bashrc
  source <(tap completion zsh)                                in ~/.zshrc, behind compinit
  tap completion fish >~/.config/fish/completions/tap.fish    once, and after an upgrade

Verbs, types of servers, options and their values are completed, names of running
servers and files where they are wanted."""


def make_parser() -> Parser:
    """Return the parser of `tap completion`."""
    parser = Parser(
        "tap completion",
        usage="tap completion [options] bash|zsh|fish",
        description="Print a script that lets a shell complete the commands of taphouse.",
        epilog=_EPILOG,
    )
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell that reads the script")
    parser.add_argument("-b", "--debug", action="store_true", help="tracebacks of errors")
    return parser


def run(arguments: list[str]) -> int:
    """Print the script; or, asked by a shell, what could be typed."""
    asked = os.environ.get(_ASKED_BY)
    if asked and not arguments:
        with suppress(Exception, SystemExit):
            with _silence():
                from taphouse.cli.guide.shells import answer

                told = answer(asked, _offers)
            print(told)
        return 0
    shell = make_parser().parse(arguments).shell

    from taphouse.cli.guide.commands import NAMES
    from taphouse.cli.guide.shells import script

    print(script(shell, NAMES), end="")
    return 0


def _offers(name: str, words: list[str], begun: str) -> Sequence[Offer]:
    from taphouse.cli.guide.commands import NAMES, command_named
    from taphouse.cli.guide.completing import complete

    return complete(command_named(name if name in NAMES else "tap"), words, begun)


@contextmanager
def _silence() -> Iterator[None]:
    """Let nothing be said meanwhile, whatever a maker does when it is imported."""
    sys.stdout.flush()
    kept = [os.dup(1), os.dup(2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        yield
    finally:
        sys.stdout.flush()
        for number, copy in enumerate(kept, 1):
            os.dup2(copy, number)
            os.close(copy)
        os.close(nowhere)
