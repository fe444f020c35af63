"""All commands, each read off its parser when it is asked for.

It must never import a maker whose options nobody asks for.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from taphouse.cli.guide.mapping import from_click, from_parser
from taphouse.cli.guide.tree import Command
from taphouse.cli.tap import VERBS, verb_parser
from taphouse.cli.tap import make_parser as tap_parser
from taphouse.errors import TaphouseError
from taphouse.value import replace

__all__ = ["NAMES", "command_named", "type_command"]

NAMES = ("tap", "taphouse", "twistd", "mktap", "tap2deb", "tapconvert")
"""What may be typed in a shell."""


def command_named(name: str) -> Command:
    """Return one of `NAMES`."""
    return _COMMANDS[name]()


def type_command(name: str, prog: str = "mktap") -> Command:
    """Return the command that makes a server of type ``name``.

    Raises:
        UsageError: there is no such type.
        ConfigurationError: it is broken.
    """
    from taphouse.plugins import find_makers
    from taphouse.usage import make_command

    maker = find_makers().get(name).load()
    made = from_click(make_command(maker.Options, name, f"{prog} {name}"), f"{prog} {name}")
    return made if made.summary else replace(made, summary=maker.description)


def _tap() -> Command:
    return replace(
        from_parser(tap_parser(), summary="start, stop and look into servers that remember"),
        children={**VERBS, "help": "show the help of a verb"},
        child=_verb,
    )


def _verb(name: str) -> Command:
    if name == "help":
        return Command("tap help", children=VERBS, child=_verb)
    if name == "make":
        return _mktap("tap make")
    return from_parser(verb_parser(name), summary=VERBS[name])


def _mktap(prog: str = "mktap") -> Command:
    from taphouse.cli.mktap import make_parser

    return replace(
        from_parser(make_parser(), summary="make a tap for a server, without writing code"),
        children=_types(),
        child=lambda name: type_command(name, prog),
        shares_options=True,
        adapt=lambda flag, value: _update(prog, value) if flag == "--update" else None,
    )


def _update(prog: str, tap: str) -> Command | None:
    """Return `mktap` as it is behind ``--update``: a server's name is a type there, and may be left out."""
    from taphouse.cli.guide.taps import servers_in

    servers = servers_in(tap)
    made = replace(
        _mktap(prog),
        children={name: f"the server of type {kind}" for name, kind in servers.items()},
        child=lambda name: type_command(servers[name], prog),
        adapt=None,
    )
    if len(servers) != 1:
        return made
    (kind,) = servers.values()
    try:
        return replace(made, groups=type_command(kind, prog).with_options_of(made).groups)
    except TaphouseError:  # it is broken, or not installed any more
        return made


def _types() -> dict[str, str]:
    from taphouse.plugins import find_makers

    try:
        return {entry.name: entry.description for entry in find_makers() if not entry.problem}
    except TaphouseError:
        return {}


def _plain(name: str, summary: str) -> Callable[[], Command]:
    return lambda: from_parser(import_module(f"taphouse.cli.{name}").make_parser(), summary=summary)


_COMMANDS: dict[str, Callable[[], Command]] = {
    "tap": _tap,
    "taphouse": _tap,
    "twistd": _plain("twistd", "start the server that a tap holds, as a daemon"),
    "mktap": _mktap,
    "tap2deb": _plain("tap2deb", "make a Debian package from a tap"),
    "tapconvert": _plain("tapconvert", "convert a tap to JSON and back"),
}
