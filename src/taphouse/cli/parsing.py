"""argparse, bent to the manners of our commands.

Usage errors become one-line `UsageError`s with the nearest spelling, options
may be written with the underscores of 2002, help shows examples.  It must
never know which options there are.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Sequence
from typing import NoReturn

from taphouse import usage
from taphouse.errors import UsageError

__all__ = ["Parser", "bytes_size", "duration_s", "octal_mode", "positive", "whole", "with_hyphens"]


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """argparse makes one for each option it is told of; its own asks the terminal each time."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_width())


def _width() -> int:
    """Return how wide help may be: ``$COLUMNS``, as a shell exports it, else 80."""
    columns = os.environ.get("COLUMNS", "")
    return max(40, int(columns) if columns.isdecimal() and len(columns) < 5 else 80) - 2


class Parser(argparse.ArgumentParser):
    """An `argparse.ArgumentParser` whose errors are `UsageError`s."""

    def __init__(self, prog: str, *, usage: str | None = None, description: str, epilog: str = "") -> None:
        super().__init__(
            prog=prog,
            usage=usage,
            description=description,
            epilog=epilog,
            formatter_class=_Formatter,
            allow_abbrev=True,
            add_help=False,
        )
        self.add_argument("-h", "--help", action="help", help="show this help and exit")

    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        """Parse ``argv`` (without the command's name).

        Raises:
            UsageError: for anything that is not an option, verb or value of ours.
        """
        options, rest = self.parse_known_args(with_hyphens(argv))
        if rest:
            unknown = rest[0].split("=", 1)[0]
            if not unknown.startswith("-"):
                raise UsageError(f"unexpected argument {unknown!r}", cure=f"see {self.prog} --help")
            raise UsageError(f"unknown option {unknown}", cure=self._nearest(unknown))
        return options

    def _nearest(self, unknown: str) -> str:
        import difflib

        near = difflib.get_close_matches(unknown, self.option_names(), n=1)
        return f"did you mean {near[0]}?" if near else f"see {self.prog} --help"

    def option_names(self) -> list[str]:
        """Return every spelling of every option, ``-f`` and ``--file``, but not hidden ones."""
        return [
            name
            for action in self._actions
            if action.help is not argparse.SUPPRESS
            for name in action.option_strings
        ]

    def actions_by_name(self) -> dict[str, argparse.Action]:
        """Return every spelling of every option, hidden ones too, with what it does."""
        return {name: action for action in self._actions for name in action.option_strings}

    def own_options(self) -> list[argparse.Action]:
        """Return every option that help shows, but help."""
        return [
            action
            for action in self._actions
            if action.option_strings and action.dest != "help" and action.help is not argparse.SUPPRESS
        ]

    def titled_actions(self) -> list[tuple[str, list[argparse.Action]]]:
        """Return each group's title with its options and arguments, hidden ones left out."""
        titled = [
            (group.title or "", [one for one in group._group_actions if one.help is not argparse.SUPPRESS])
            for group in self._action_groups
        ]
        return [(title, actions) for title, actions in titled if actions]

    def error(self, message: str) -> NoReturn:
        """Raise what argparse found wrong as a `UsageError`."""
        # argparse: "argument -r/--reactor: invalid choice: 'x' (choose from ...)"
        raise UsageError(message.removeprefix("argument "), cure=f"see {self.prog} --help")


def with_hyphens(argv: Iterable[str]) -> list[str]:
    """Return ``argv`` with ``--no_save`` spelled ``--no-save``; values and what follows ``--`` stay."""
    result: list[str] = []
    ended = False
    for argument in argv:
        ended = ended or argument == "--"
        if not ended and argument.startswith("--"):
            name, equals, value = argument.partition("=")
            argument = name.replace("_", "-") + equals + value
        result.append(argument)
    return result


def duration_s(text: str) -> float:
    """Return the seconds that ``5s``, ``2h``, ``1h30m``, ``150ms`` or a bare number mean."""
    try:
        return usage.duration_s(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def bytes_size(text: str) -> int:
    """Return the bytes that ``10MiB``, ``500k`` or a bare number mean."""
    try:
        return usage.size_bytes(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def octal_mode(text: str) -> int:
    """Return the mode that ``027`` or ``0o27`` means.

    Octal always, as for umask(1): a mode without its leading zero is still a mode.
    """
    try:
        mode = int(text.removeprefix("0o"), 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o777:
        raise argparse.ArgumentTypeError(f"{text!r} is no octal mode between 0 and 777")
    return mode


def positive(text: str) -> int:
    """Return a whole number above zero."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return number


def whole(text: str) -> int:
    """Return a whole number from zero up."""
    try:
        number = int(text)
    except ValueError:
        number = -1
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 up")
    return number
