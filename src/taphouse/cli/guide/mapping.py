"""Commands read off the parsers that parse them: argparse's and click's.

It must never know which commands there are.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from taphouse.cli.guide.tree import ANYTHING, Argument, Command, Expected, Group, Option
from taphouse.cli.parsing import Parser

if TYPE_CHECKING:
    import click

__all__ = ["EXPECTED", "from_click", "from_parser"]

_TAPS = Expected(suffixes=(".tap",))
_CODE = Expected(suffixes=(".py",))
_FILES = Expected(suffixes=("",))

EXPECTED = {
    "BACKUP.tap": _TAPS,
    "COMMAND|TYPE": Expected(known="pages"),
    "COPY.tap": _TAPS,
    "DIR": Expected(folders=True),
    "FILE": _FILES,
    "FILE.py|MODULE:ATTR": _CODE,
    "FILE.tap": _TAPS,
    "FILE.tap|FILE.py|MODULE:ATTR": Expected(suffixes=(".tap", ".py")),
    "FILE|DIR": Expected(suffixes=("",), folders=True),
    "FILE.toml": Expected(suffixes=(".toml",)),
    "GROUP": Expected(known="groups"),
    "IN": Expected(suffixes=(".tap", ".json")),
    "NAME|FILE": _FILES,
    "NAME|FILE.tap": Expected(suffixes=(".tap",), known="servers"),
    "OUT": Expected(suffixes=(".tap", ".json")),
    "PATH": Expected(known="state"),
    "STATE": _TAPS,
    "TAP": _TAPS,
    "USER": Expected(known="users"),
    **dict.fromkeys(
        (
            *("3.N", "MACHINE", "MODE", "MODULE", "N", "NAME", "NAME:TAG", "SECONDS", "SIZE", "TAG", "TEXT"),
            *("TIME", "TYPE", "UNIT", "URL", "VALUE", "VERSION", "WHO", "WORD"),
        ),
        ANYTHING,
    ),
}
"""What our own commands expect where their help says so."""


def from_parser(parser: Parser, *, summary: str = "") -> Command:
    """Return the command that ``parser`` reads."""
    groups = []
    arguments = []
    for title, actions in parser.titled_actions():
        options = tuple(_option(action) for action in actions if action.option_strings)
        if options:
            groups.append(Group(title, options))
        arguments += [_argument(action) for action in actions if not action.option_strings]
    description = parser.description or ""
    return Command(
        parser.prog,
        summary or description.partition("\n")[0],
        usage=parser.format_usage().strip().removeprefix("usage: "),
        description=description,
        examples=parser.epilog or "",
        groups=tuple(groups),
        arguments=tuple(arguments),
    )


def _option(action: argparse.Action) -> Option:
    takes_value = action.nargs is None
    return Option(
        tuple(action.option_strings),
        action.help or "",
        _metavar(action) if takes_value else "",
        _expected(action) if takes_value else None,
        repeatable=isinstance(action, argparse._AppendAction),
    )


def _argument(action: argparse.Action) -> Argument:
    return Argument(_metavar(action), action.help or "", _expected(action), action.nargs in ("*", "+"))


def _metavar(action: argparse.Action) -> str:
    if action.choices is not None and not action.metavar:
        return "|".join(str(choice) for choice in action.choices)
    return str(action.metavar or action.dest.upper())


def _expected(action: argparse.Action) -> Expected:
    if action.choices is not None:
        return Expected(words=tuple(str(choice) for choice in action.choices))
    return EXPECTED.get(str(action.metavar), ANYTHING)


def from_click(command: click.Command, name: str) -> Command:
    """Return the command that click's ``command`` describes, called ``name``."""
    import click

    context = click.Context(command, info_name=name, **command.context_settings)
    options = []
    arguments = []
    for param in command.get_params(context):
        if isinstance(param, click.Argument):
            expected = _expected_by_click(param.type)
            metavar = str(param.metavar or param.name).strip("[].")
            arguments.append(Argument(metavar, getattr(param, "about", ""), expected, param.nargs == -1))
        elif isinstance(param, click.Option) and not param.hidden:
            options.append(_option_of_click(param))
    inner = command.commands if isinstance(command, click.Group) else {}
    return Command(
        name,
        command.get_short_help_str(limit=1000),
        description=command.help or "",
        groups=(Group("options", tuple(options)),),
        arguments=tuple(arguments),
        children={word: child.get_short_help_str(limit=1000) for word, child in inner.items()},
        child=lambda word: from_click(inner[word], f"{name} {word}"),
    )


def _option_of_click(param: click.Option) -> Option:
    takes_value = not (param.is_flag or param.count)
    return Option(
        tuple(param.opts),
        param.help or "",
        str(param.metavar or "VALUE") if takes_value else "",
        _expected_by_click(param.type) if takes_value else None,
        repeatable=param.multiple or param.count,
        off=tuple(param.secondary_opts),
        about=getattr(param, "about", ""),
    )


def _expected_by_click(kind: click.ParamType[Any]) -> Expected:
    import click

    if isinstance(kind, click.Choice):
        return Expected(words=tuple(str(choice) for choice in kind.choices))
    if isinstance(kind, click.Path):
        return _FILES if kind.file_okay else Expected(folders=True)
    return ANYTHING
