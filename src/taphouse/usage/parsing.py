"""Parsing: words, environment, configuration, what is stored, and defaults become options.

Each of them wins over those after it.  Whatever is wrong is one `UsageError`.
It must never know what the options are for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from taphouse.errors import UsageError
from taphouse.usage.fields import Field
from taphouse.usage.nearest import did_you_mean
from taphouse.usage.schema import Schema, schema_of
from taphouse.usage.sources import Parsed, Source
from taphouse.usage.variables import command_prefix, variable_name, variable_prefix
from taphouse.usage.words import Words, read_words
from taphouse.value import Value

__all__ = ["parse"]

T = TypeVar("T")


class _Given(Value):
    """Everything that may give a value, for one command.

    Attributes:
        words: of argv.
        environ: the environment.
        prefix: what its variables begin with.
        config: what a configuration file says.
        config_name: the file, and the table in it.
        stored: what a plan says.
        prog: the command, for the cures of errors.
    """

    words: Words
    environ: Mapping[str, str]
    prefix: str
    config: Mapping[str, Any]
    config_name: str
    stored: Mapping[str, Any]
    prog: str


def parse(
    cls: type[T],
    argv: Sequence[str],
    *,
    name: str,
    prog: str,
    environ: Mapping[str, str] | None = None,
    config: Mapping[str, Any] | None = None,
    config_name: str = "",
    stored: Mapping[str, Any] | None = None,
) -> Parsed[T]:
    """Return the options that argv and the rest of the world ask for.

    Args:
        cls: the class of options.
        argv: words, without the command's name.
        name: of the server; its environment variables are ``TAPHOUSE_<NAME>_<OPTION>``.
        prog: how the command begins, for help and errors, ``mktap quotes``.
        environ: the environment; this process's if None.
        config: what a TOML file says: names of options, with their values.
        config_name: the file, for errors.
        stored: what a plan says, see `to_plan`.

    Raises:
        UsageError: if anything is wrong, in one line that names the option and what is wrong.
        SystemExit: after ``--help`` was printed, with status 0.
    """
    schema = schema_of(cls)
    prefix = variable_prefix(name)
    words = read_words(schema, list(argv), prog=prog, prefix=prefix)
    given = _Given(
        words,
        os.environ if environ is None else environ,
        prefix,
        config or {},
        config_name or "configuration",
        stored or {},
        prog,
    )
    sources: dict[str, Source] = {}
    forgotten: list[str] = []
    options = _resolve(cls, given, sources, forgotten, "")
    return Parsed(options, sources, tuple(forgotten))


def _resolve(cls: Any, given: _Given, sources: dict[str, Source], forgotten: list[str], above: str) -> Any:
    schema = schema_of(cls)
    config = _known_keys(schema, given)
    stored = dict(given.stored)
    values: dict[str, Any] = {}
    for field in schema.fields.values():
        value, source = _value(field, given, config, stored)
        values[field.name] = value
        sources[above + field.name] = source
    if schema.commands:
        values["sub_command"], values["sub_options"] = _sub(
            schema, given, config, stored, sources, forgotten, above
        )
    known = {*schema.fields, "sub_command", "sub_options"}
    forgotten += [above + name for name in stored if name not in known]
    options = cls._of(values)
    options.post_options()
    return options


def _known_keys(schema: Schema, given: _Given) -> dict[str, Any]:
    """Return the configuration with underscores in its keys.

    Raises:
        UsageError: if one of them is no option, or is there twice.
    """
    found: dict[str, Any] = {}
    names = [*schema.fields, *(["sub_command", "sub_options"] if schema.commands else [])]
    for key, value in given.config.items():
        name = key.replace("-", "_")
        if name not in names:
            raise UsageError(
                f"{given.config_name}: unknown key {key!r:.80}",
                cure=did_you_mean(name, names, f"see {given.prog} --help"),
            )
        if name in found:
            raise UsageError(f"{given.config_name}: {key} is there twice, once with a hyphen")
        found[name] = value
    return found


def _value(
    field: Field, given: _Given, config: Mapping[str, Any], stored: Mapping[str, Any]
) -> tuple[Any, Source]:
    """Return the value of an option from the first that has one."""
    see = f"see {given.prog} --help"
    word = given.words.values.get(field.name)
    if word is not None:
        source = Source("prompt" if word.prompts else "argument", word.flag)
        return _read(field, word.read, word.flag, see), source
    variable = variable_name(given.prefix, field)
    if variable in given.environ:
        source = Source("environment", f"${variable}")
        return _read(field, lambda: field.from_variable(given.environ[variable]), variable, ""), source
    if field.name in config:
        place = f"{given.config_name}: {field.name}"
        source = Source("config", place)
        return _read(field, lambda: field.from_data(config[field.name]), place, ""), source
    if stored.get(field.name) is not None:
        source = Source("stored")
        place = f"the stored {field.name}"
        cure = f"give {_how(field)}"
        return _read(field, lambda: field.from_data(stored[field.name]), place, cure), source
    if field.is_required:
        raise UsageError(
            f"{field.spelled} is required" + (f" ({field.help})" if field.help else ""),
            cure=f"give {_how(field)}, or set {variable}",
        )
    source = Source("default")
    place, cure = f"the default of {field.spelled}", f"give {_how(field)}"
    return _read(field, field.from_default, place, cure), source


def _how(field: Field) -> str:
    if field.is_secret:
        return f"{field.long[0]}, {field.long[0]}-file FILE or {field.long[0]}-credential NAME"
    if field.positional:
        return field.metavar
    return f"{field.long[0]} {field.metavar}".strip()


def _read(field: Field, read: Callable[[], Any], place: str, cure: str) -> Any:
    try:
        value = read()
        field.check(value)
    except ValueError as error:
        raise UsageError(f"{place}: {error}", cure="" if "did you mean" in str(error) else cure) from None
    return value


def _sub(
    schema: Schema,
    given: _Given,
    config: Mapping[str, Any],
    stored: Mapping[str, Any],
    sources: dict[str, Source],
    forgotten: list[str],
    above: str,
) -> tuple[str | None, Any]:
    """Return the sub-command that was chosen, and its options."""
    word, source = given.words.command, Source("argument", given.words.command or "")
    if word is None and (word := config.get("sub_command")) is not None:
        source = Source("config", f"{given.config_name}: sub_command")
    if word is None and (word := stored.get("sub_command")) is not None:
        source = Source("stored")
    if word is None:
        return None, None
    if not isinstance(word, str) or word not in schema.commands:
        raise UsageError(
            f"{source.where or 'the stored command'}: unknown command {word!r:.80}",
            cure=did_you_mean(str(word), schema.commands),
        )
    sources[f"{above}sub_command"] = source
    inner = schema.commands[word].options
    prog, prefix = f"{given.prog} {word}", command_prefix(given.prefix, word)
    rest = given.words.rest if given.words.command else []
    below = _Given(
        read_words(schema_of(inner), rest, prog=prog, prefix=prefix),
        given.environ,
        prefix,
        _table_of(config, word, given.config_name),
        f"{given.config_name}: sub_options",
        _table_of(stored, word, "the stored options"),
        prog,
    )
    return word, _resolve(inner, below, sources, forgotten, f"{above}{word}.")


def _table_of(mapping: Mapping[str, Any], word: str, place: str) -> Mapping[str, Any]:
    """Return the options of a sub-command in ``mapping``, if it is the one that was chosen there."""
    table = mapping.get("sub_options")
    if table is None or mapping.get("sub_command", word) != word:
        return {}
    if not isinstance(table, Mapping):
        raise UsageError(f"{place}: sub_options is no table")
    return table
