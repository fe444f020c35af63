"""Words: argv, taken apart by click's parser, each option with the flag it was given by.

It must never convert a value before it is asked to.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

from taphouse.errors import UsageError
from taphouse.usage.fields import Field
from taphouse.usage.kinds import named
from taphouse.usage.nearest import did_you_mean
from taphouse.usage.prompting import ask_secret
from taphouse.usage.schema import Schema
from taphouse.value import Value, field

__all__ = ["Word", "Words", "read_words"]


class Word(Value):
    """One option as it was given.

    Attributes:
        flag: how errors name it.
        read: returns its value; raises ValueError with a phrase.
        prompts: whether reading asks somebody.
    """

    flag: str
    read: Callable[[], Any]
    prompts: bool = False


class Words(Value):
    """What argv said.

    Attributes:
        values: by the option's name.
        command: the sub-command, or None.
        rest: its words.
    """

    values: dict[str, Word] = field(default_factory=dict)
    command: str | None = None
    rest: list[str] = field(default_factory=list)


def read_words(schema: Schema, argv: list[str], *, prog: str, prefix: str) -> Words:
    """Take argv apart.

    Raises:
        UsageError: for an option, a command or an argument that there is none of, or that came twice.
        SystemExit: with status 0 after help was printed.
    """
    import click

    from taphouse.usage.commands import FROM_CREDENTIAL, FROM_FILE, HELP, NONE_OF, command_of

    command = command_of(schema, prog, prefix)
    _admit_letters(command, schema)
    context = click.Context(command, info_name=prog, **command.context_settings)
    context.allow_interspersed_args = not schema.commands
    see = f"see {prog} --help"
    try:
        opts, rest, order = command.make_parser(context).parse_args(list(argv))
    except click.UsageError as error:
        raise _wrong(error, schema, see) from None
    given = {name: value for name, value in opts.items() if _is_given(value)}
    if given.pop(HELP, None):
        sys.stdout.write(command.get_help(context) + "\n")
        raise SystemExit(0)
    if rest and not schema.commands:
        raise UsageError(f"unexpected argument {rest[0]!r:.80}", cure=see)
    if rest and rest[0] not in schema.commands:
        if rest[0].startswith("-"):
            raise UsageError(f"{named(rest[0]):.80} stands behind an argument", cure="options come first")
        raise UsageError(f"unknown command {rest[0]!r:.80}", cure=did_you_mean(rest[0], schema.commands, see))
    times = Counter(param.name for param in order if not isinstance(param, click.Argument))
    found = {}
    for each in schema.fields.values():
        names = [each.name, *(mark + each.name for mark in (NONE_OF, FROM_FILE, FROM_CREDENTIAL))]
        here = [name for name in names if name in given]
        if not here:
            continue
        if len(here) > 1 or (times[here[0]] > 1 and not (each.repeat or each.is_count)):
            spelled = each.spelled + "".join(f"/{flag}" for flag in each.opposites)
            raise UsageError(
                f"{spelled} is given twice", cure="give it once" if len(here) == 1 else "give one of them"
            )
        found[each.name] = _word(each, here[0].removesuffix(each.name), given[here[0]])
    return Words(found, rest[0] if rest else None, rest[1:])


def _admit_letters(command: Any, schema: Schema) -> None:
    """Let ``--p`` abbreviate ``--port``, if nothing else begins so.

    Longer ones are expanded where click asks what a name stands for; there ``--p`` and ``-p`` are one.
    """
    from taphouse.usage.commands import long_flags

    flags = long_flags(schema)
    for flag in flags:
        letter = flag[:3]
        if [other for other in flags if other.startswith(letter)] != [flag] or flag == letter:
            continue
        for param in command.params:
            for spelled in (param.opts, param.secondary_opts):
                if flag in spelled:
                    spelled.append(letter)


def _is_given(value: Any) -> bool:
    """Say whether click's parser found a value; it has a sentinel for what is missing."""
    return isinstance(value, bool | int | str) or (isinstance(value, list | tuple) and len(value) > 0)


def _word(each: Field, how: str, value: Any) -> Word:
    from taphouse.usage.commands import FROM_CREDENTIAL, FROM_FILE, NONE_OF

    if how == NONE_OF:
        return Word(each.opposites[0], lambda: each.from_data(0 if each.is_count else []))
    if how == FROM_FILE:
        return Word(f"{each.long[0]}-file", lambda: each.from_data({"file": value}))
    if how == FROM_CREDENTIAL:
        return Word(f"{each.long[0]}-credential", lambda: each.from_data({"credential": value}))
    if each.is_secret:
        return Word(each.spelled, lambda: ask_secret(each.long[0]), prompts=True)
    if each.is_flag or each.is_count:
        return Word(each.spelled, lambda: each.from_data(value))
    return Word(each.spelled, lambda: each.from_words([value] if isinstance(value, str) else list(value)))


def _wrong(error: Any, schema: Schema, see: str) -> UsageError:
    """Return what click found wrong, in our words."""
    import click

    from taphouse.usage.commands import long_flags

    name = str(getattr(error, "option_name", ""))
    if isinstance(error, click.NoSuchOption):
        flags = long_flags(schema)
        matches = [flag for flag in flags if flag.startswith(name)]
        if len(matches) > 1 and name.startswith("--"):
            return UsageError(f"{named(name)} is not unique", cure=f"it may be {' or '.join(matches)}")
        flags += [flag for each in schema.options for flag in each.short]
        return UsageError(f"unknown option {named(name):.80}", cure=did_you_mean(name, flags, see))
    if isinstance(error, click.BadOptionUsage):
        each = next((f for f in schema.options if name in (*f.short, *f.long, *f.opposites)), None)
        takes_none = each is not None and (
            each.is_flag or each.is_count or each.is_secret or name in each.opposites
        )
        spelled = name if each is None or name in each.opposites else each.spelled
        if takes_none or name == "--help":
            return UsageError(f"{spelled} takes no value", cure=see)
        return UsageError(f"{spelled} needs a value" + (f", {each.metavar}" if each else ""), cure=see)
    return UsageError(error.format_message().rstrip(".").replace("\n", " "), cure=see)
