"""Commands: a class of options as click sees it, to parse words, to complete them, to write manuals.

It must never read a value: what the words mean is the fields' business.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from taphouse.usage.fields import Field
from taphouse.usage.helping import about, help_text, summary_of
from taphouse.usage.schema import HELP_FLAGS, Schema, schema_of
from taphouse.usage.variables import command_prefix, variable_name, variable_prefix

__all__ = [
    "FROM_CREDENTIAL",
    "FROM_FILE",
    "HELP",
    "NONE_OF",
    "command_of",
    "long_flags",
    "make_command",
    "secret_flags",
]

# No option begins with an underscore, so these cannot be one.
NONE_OF, FROM_FILE, FROM_CREDENTIAL, HELP = "_none_", "_file_", "_credential_", "_help_"


class _Command(click.Command):
    """A command whose help is ours."""

    help_of: Callable[[], str]

    def get_help(self, ctx: click.Context) -> str:
        return self.help_of()


class _Group(click.Group):
    """A command with sub-commands whose help is ours."""

    help_of: Callable[[], str]

    def get_help(self, ctx: click.Context) -> str:
        return self.help_of()


class _Option(click.Option):
    """An option that can tell more than its help: limits, default, environment variable."""

    about = ""


class _Argument(click.Argument):
    """An argument that can tell the same."""

    about = ""


def make_command(cls: Any, name: str, prog: str) -> click.Command:
    """Return the click command of a class of options: to complete, to write manuals from.

    Args:
        cls: the class.
        name: of the server, which names its environment variables.
        prog: how the command begins, ``mktap quotes``.
    """
    return command_of(schema_of(cls), prog, variable_prefix(name))


def command_of(schema: Schema, prog: str, prefix: str) -> click.Command:
    """Return the click command of a schema; see `make_command`."""
    params = [
        param for field in schema.fields.values() for param in _params(field, variable_name(prefix, field))
    ]
    short_help_is_free = not any("-h" in field.short for field in schema.fields.values())
    flags = HELP_FLAGS if short_help_is_free else HELP_FLAGS[1:]
    params.append(click.Option([*flags, HELP], is_flag=True, help="show this help and exit"))
    settings = {
        "token_normalize_func": _expander(schema),
    }
    more: dict[str, Any] = {
        "params": params,
        "help": "\n\n".join(part for part in (schema.summary, schema.description) if part),
        "short_help": schema.summary,
        "context_settings": settings,
        "add_help_option": False,  # what click calls its own differs from version to version
    }
    made: _Command | _Group
    if schema.commands:
        inner = {
            word: command_of(schema_of(sub.options), f"{prog} {word}", command_prefix(prefix, word))
            for word, sub in schema.commands.items()
        }
        for word, sub in schema.commands.items():
            inner[word].short_help = summary_of(sub)
        made = _Group(prog, commands=inner, **more)
    else:
        made = _Command(prog, **more)
    made.help_of = lambda: help_text(schema, prog, prefix)
    return made


def long_flags(schema: Schema) -> list[str]:
    """Return every long flag that may be abbreviated, help included."""
    found = ["--help"]
    for field in schema.options:
        if not field.hidden:
            found += [*field.long, *field.opposites, *secret_flags(field)]
    return found


def secret_flags(field: Field) -> list[str]:
    """Return the flags that say where a secret is."""
    return [f"{field.long[0]}-file", f"{field.long[0]}-credential"] if field.is_secret else []


def _expander(schema: Schema) -> Callable[[str], str]:
    """Return what makes ``no_s`` the ``no-save`` it abbreviates; what is not unique stays for an error."""
    names = [flag.removeprefix("--") for flag in long_flags(schema)]

    def expand(token: str) -> str:
        if len(token) == 1:
            return token
        spelled = token.replace("_", "-")
        if spelled in names:
            return spelled
        matches = [name for name in names if name.startswith(spelled)]
        return matches[0] if len(matches) == 1 else spelled

    return expand


def _params(field: Field, variable: str) -> list[click.Parameter]:
    """Return the click parameters of a field, the first with all that help says of it."""
    first, *more = _made_for(field, variable)
    first.about = about(field, variable)
    return [first, *more]


def _made_for(field: Field, variable: str) -> list[_Option | _Argument]:
    """Return the click parameters of a field; words stay words, types only serve completion."""
    if field.positional:
        return [
            _Argument(
                [field.name],
                type=_type(field),
                nargs=-1 if field.repeat else 1,
                required=field.is_required,
                metavar=field.metavar,
                envvar=variable,
            )
        ]
    common: dict[str, Any] = {"help": field.help, "hidden": field.hidden, "default": None}
    flags = [*field.short, *field.long]
    if field.is_secret:
        return [
            _Option([*flags, field.name], is_flag=True, envvar=variable, **common),
            _Option(
                [f"{field.long[0]}-file", FROM_FILE + field.name],
                type=click.Path(dir_okay=False),
                metavar="FILE",
                **{**common, "help": f"read --{field.long[0][2:]} from FILE whenever it is needed"},
            ),
            _Option(
                [f"{field.long[0]}-credential", FROM_CREDENTIAL + field.name],
                metavar="NAME",
                **{**common, "help": "take it from the service manager's credential NAME"},
            ),
        ]
    if field.is_flag:
        both = [f"{flag}/{opposite}" for flag, opposite in zip(field.long, field.opposites, strict=True)]
        names = [*field.short, *both, field.name]
        return [_Option(names, envvar=variable, **common)]
    if field.is_count:
        option = _Option([*flags, field.name], count=True, envvar=variable, **common)
    else:
        option = _Option(
            [*flags, field.name],
            type=_type(field),
            multiple=field.repeat,
            metavar=field.metavar,
            required=field.is_required,
            envvar=variable,
            **common,
        )
    if not field.has_opposite:
        return [option]
    none = _Option(
        [*field.opposites, NONE_OF + field.name], is_flag=True, **{**common, "hidden": True, "help": "none"}
    )
    return [option, none]


def _type(field: Field) -> click.ParamType[Any] | Any:
    if field.kind.choices:
        return click.Choice(field.kind.choices)
    if field.kind.completes:
        folder = field.kind.completes == "folder"
        return click.Path(file_okay=not folder, dir_okay=True)
    return click.UNPROCESSED
