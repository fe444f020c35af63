"""`mktap`: make a tap for a server of some type, without writing code.

Reads the line, then has it made.  Nothing heavy may be imported before it is
known what is wanted: this is also what the list of types costs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from taphouse.cli.making.makeline import MakeLine, Spellings, add_own_words, read_line, refuse_twice
from taphouse.cli.making.makeoptions import (
    make_parser,
    refuse_known_words,
    refuse_together,
    refuse_what_is_gone,
)
from taphouse.cli.output import end_with, run_command
from taphouse.cli.parsing import Parser
from taphouse.errors import TapError, UsageError

if TYPE_CHECKING:
    import argparse

    from taphouse.cli.making.newtap import Wish
    from taphouse.plugins import Maker
    from taphouse.usage import Parsed

__all__ = ["main", "make_parser", "run"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run `mktap` with ``argv`` (default: the process's arguments) and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    code = run_command("mktap", lambda: run(arguments))
    return end_with(code) if argv is None else code


def run(arguments: list[str], prog: str = "mktap") -> int:
    """Do what ``arguments`` ask for.

    Args:
        arguments: without the command's name.
        prog: how the command begins.

    Returns:
        The exit code.
    """
    if not arguments:
        from taphouse.cli.making.typelist import describe_types
        from taphouse.plugins import find_makers

        print("\n".join(describe_types(find_makers())))
        return 0
    parser = make_parser(prog)
    line = read_line(_with_update_first(arguments), parser)
    if line.wants_help and line.name is None and not line.rest:
        parser.print_help()
        return 0
    own = parser.parse(line.own)
    if own.version:
        from taphouse.cli.version import version_line

        print(version_line("mktap"))
        return 0
    if own.update is not None:
        lines = _update(parser, line, own.update)
    elif own.source_file is not None:
        lines = _make_from_file(own, line, parser)
    elif line.name is not None:
        lines = _make(parser, line, line.name)
    else:
        refuse_what_is_gone(own)
        raise UsageError("no type of server was named", cure="mktap alone lists them")
    for text in lines:
        print(text)
    return 0


def _with_update_first(arguments: list[str]) -> list[str]:
    """Put ``--update FILE`` before everything: what a name and an option mean depends on it."""
    for at, word in enumerate(arguments):
        if word == "--":
            break
        if word == "--update" or word.startswith("--update="):
            end = at + 1 + (word == "--update")
            return [*arguments[at:end], *arguments[:at], *arguments[end:]]
    return arguments


# --- one server -----------------------------------------------------------------------------------


def _make(parser: Parser, line: MakeLine, kind: str) -> Iterable[str]:
    from taphouse.plugins import find_makers

    # What was wrong with mktap's own options comes first: the type may have been meant as a value of one.
    refuse_what_is_gone(parser.parse(line.own))
    makers = find_makers()
    if kind not in makers:
        refuse_known_words(kind)
    maker = makers.get(kind).load()
    line = add_own_words(line, parser, _spellings(maker))
    if line.wants_help:
        return _help_of(maker, line.rest, parser)
    own = _own(parser, line)
    refuse_together(own, ("append", "output"), ("append", "force"))
    _refuse_of_update(own)
    parsed = _parse(maker, line.rest, own.config)
    if own.print_config:
        return [_table(parsed)]

    from taphouse.cli.making.building import ServerSpec
    from taphouse.cli.making.newtap import append_server, make_tap

    spec = ServerSpec(maker.entry.name, maker, parsed.options)
    wish = _wish(own)
    if own.append is not None:
        lines = append_server(spec, own.append, wish, allowed=own.allow_modules or ())
    else:
        lines = make_tap([spec], wish)
    return [] if own.quiet else lines


def _help_of(maker: Maker, words: list[str], parser: Parser) -> list[str]:
    """Print the help of a type, or of its sub-command in ``words``; return what mktap has to add to it."""
    from taphouse import usage

    name = maker.entry.name
    for wanted in ([*words, "--help"], ["--help"]):
        try:
            usage.parse(maker.Options, wanted, name=name, prog=f"mktap {name}")
        except SystemExit:
            break
        except UsageError:
            continue  # who asks for help may have written what is wrong
    theirs = _spellings(maker)
    free = [
        "/".join(names)
        for action in parser.own_options()
        if (names := [name for name in action.option_strings if theirs.takes_value(name) is None])
    ]
    from textwrap import fill

    listed = fill(", ".join(free), 78, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
    return ["", "of mktap itself, see mktap --help:", listed]


def _spellings(maker: Maker) -> Spellings:
    from taphouse import usage

    values: set[str] = set()
    flags: set[str] = set()

    def collect(command: Any) -> None:
        for param in command.params:
            if param.param_type_name == "option" and "--help" not in param.opts:
                is_flag = param.is_flag or param.count
                (flags if is_flag else values).update((*param.opts, *param.secondary_opts))
        for inner in getattr(command, "commands", {}).values():
            collect(inner)

    collect(usage.make_command(maker.Options, maker.entry.name, "mktap"))
    return Spellings(frozenset(values), frozenset(flags))


def _parse(
    maker: Maker,
    words: list[str],
    config: str | None,
    *,
    stored: Mapping[str, Any] | None = None,
) -> Parsed[Any]:
    from taphouse import usage
    from taphouse.cli.making.building import blaming

    content = usage.read_toml(config) if config is not None else None
    if content is not None and config is not None:
        from taphouse.cli.making.serverfile import refuse_server_file

        refuse_server_file(content, config)
    with blaming(maker.entry):
        return usage.parse(
            maker.Options,
            words,
            name=maker.entry.name,
            prog=f"mktap {maker.entry.name}",
            config=content,
            config_name=config or "",
            stored=stored,
        )


def _table(parsed: Parsed[Any]) -> str:
    from taphouse import usage

    return usage.print_config(parsed)


# --- several servers ------------------------------------------------------------------------------


def _make_from_file(own: argparse.Namespace, line: MakeLine, parser: Parser) -> Iterable[str]:
    refuse_twice(line.own, parser)
    _check_own(own)
    if line.name is not None:
        raise UsageError(
            f"--from {own.source_file} names all servers, and {line.name} is one more",
            cure=f"add it to the file, or afterwards with -a FILE.tap {line.name}",
        )
    refuse_together(own, ("source_file", "append"), ("source_file", "config"))
    _refuse_of_update(own)

    from taphouse.cli.making.newtap import make_tap
    from taphouse.cli.making.serverfile import read_server_file
    from taphouse.plugins import find_makers
    from taphouse.value import replace

    described = read_server_file(own.source_file)
    servers = list(described.parse(find_makers()))
    if own.print_config:
        tables = [f"[server.{spec.name}]\n{_table(parsed)}" for spec, parsed in servers]
        return ["\n\n".join(tables)]
    wish = _wish(own, described.about)
    if wish.appname is None:
        wish = replace(wish, appname=described.default_name())
    lines = make_tap([spec for spec, _ in servers], wish)
    return [] if own.quiet else lines


# --- a server that is there -----------------------------------------------------------------------


def _update(parser: Parser, line: MakeLine, path: str) -> Iterable[str]:
    from taphouse.cli.making.servers import find_server, installed_maker
    from taphouse.persist import read_info
    from taphouse.plugins import find_makers

    parser.parse(line.own)
    if not os.path.exists(path):
        raise TapError("does not exist", path=path, cure="check the name")
    plan = read_info(path).plan
    words = line.rest
    entry = find_server(plan, line.name, path)
    if entry is None:
        # It is no server's name, and there is one server: the first of its arguments, perhaps.
        entry, words = find_server(plan, None, path), [str(line.name), *line.rest]
    assert entry is not None
    maker = installed_maker(entry, find_makers(), path=path)
    line = add_own_words(MakeLine(line.own, line.name, words, line.wants_help), parser, _spellings(maker))
    if line.wants_help:
        return _help_of(maker, line.rest, parser)
    own = _own(parser, line)
    refuse_together(own, *(("update", other) for other in _NOT_WITH_UPDATE))
    for name in ("uid", "gid", "durability"):
        if getattr(own, name) is not None:
            raise UsageError(
                f"--{name} is of a tap that is made, not of one that is updated",
                cure=f"give it to twistd: twistd -f {path} --{name} {getattr(own, name)}",
            )
    parsed = _parse(maker, line.rest, own.config, stored=entry["options"])
    if own.print_config:
        return [_table(parsed)]

    from taphouse.cli.making.updating import update_tap

    report = update_tap(
        path,
        str(entry["name"]),
        parsed.options,
        dry_run=own.dry_run,
        drop=own.drop or (),
        allow_modules=own.allow_modules or (),
    )
    gone = [f"stored option {name} is none of type {maker.entry.name} any more" for name in parsed.forgotten]
    return [] if own.quiet and not own.dry_run else [*gone, *report.lines()]


_NOT_WITH_UPDATE = ("append", "source_file", "output", "appname", "force")


# --- mktap's own options --------------------------------------------------------------------------


def _own(parser: Parser, line: MakeLine) -> argparse.Namespace:
    own = parser.parse(line.own)
    refuse_twice(line.own, parser)
    _check_own(own)
    return own


def _check_own(own: argparse.Namespace) -> None:
    refuse_what_is_gone(own)
    if own.appname is not None:
        from taphouse.errors import ConfigurationError
        from taphouse.names import check_application_name

        try:
            check_application_name(own.appname)
        except ConfigurationError as error:
            raise UsageError(f"--appname: {error.message}", cure=error.cure) from None


def _refuse_of_update(own: argparse.Namespace) -> None:
    for name in ("dry_run", "drop"):
        if getattr(own, name):
            raise UsageError(f"--{name.replace('_', '-')} is of --update", cure="leave it out")


def _wish(own: argparse.Namespace, described: Wish | None = None) -> Wish:
    """Return what was asked of the tap: by the options, else by the file that describes it."""
    from taphouse.cli.making.newtap import Wish
    from taphouse.daemon import resolve_identity

    said = described or Wish()
    wish = Wish(
        output=own.output,
        appname=own.appname or said.appname,
        uid=said.uid if own.uid is None else _account(own.uid),
        gid=said.gid if own.gid is None else _account(own.gid),
        durability=own.durability or said.durability,
        force=own.force,
    )
    if not (own.append and wish.uid is None):  # the tap may have a user already
        resolve_identity(wish.uid, wish.gid, source="--uid")
    return wish


def _account(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdigit() else text


if __name__ == "__main__":
    sys.exit(main())
