"""Schemas: what a class of options declares, gathered over its bases and checked.

Mistakes in a declaration are TypeErrors when the class is made.  A schema must
never read a value from anywhere.
"""

from __future__ import annotations

import itertools
import sys
import textwrap
import typing
from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from taphouse.names import qualified_name
from taphouse.usage.annotations import shape_of
from taphouse.usage.declaring import REQUIRED, Declared, SubCommand
from taphouse.usage.fields import Field
from taphouse.usage.limits import Limits
from taphouse.value import Value

__all__ = ["HELP_FLAGS", "Schema", "make_schema", "schema_of"]

HELP_FLAGS = ("-h", "--help")


class Schema(Value):
    """The options of one class.

    Attributes:
        title: the class's name, for errors.
        fields: by name, in the order of declaration, those of bases first.
        commands: sub-commands by the word that selects them.
        summary: the first line of the docstring.
        description: the rest of it.
        examples: lines to show, each a command.
        own: the names of fields and words of commands that no base has declared like this.
    """

    title: str
    fields: dict[str, Field]
    commands: dict[str, SubCommand]
    summary: str
    description: str
    examples: tuple[str, ...]
    own: frozenset[str]

    @property
    def options(self) -> list[Field]:
        """The fields that have flags."""
        return [field for field in self.fields.values() if not field.positional]

    @property
    def arguments(self) -> list[Field]:
        """The fields that are positional."""
        return [field for field in self.fields.values() if field.positional]


def schema_of(cls: Any) -> Schema:
    """Return the schema of a class of options.

    Raises:
        TypeError: if it is none.
    """
    schema = getattr(cls, "_schema", None)
    if not isinstance(cls, type) or not isinstance(schema, Schema):
        raise TypeError(f"{cls!r:.80} is no class derived from taphouse.usage.Options")
    return schema


def make_schema(cls: type[Any], reserved: Collection[str], around: Mapping[str, Any]) -> Schema:
    """Gather what ``cls`` and its bases declare, and take the declarations out of its namespace.

    Args:
        cls: the class that is being made.
        reserved: names that options cannot have.
        around: names that its annotations may use besides those of its module.

    Raises:
        TypeError: for what cannot be meant.
    """
    where = qualified_name(cls)
    bases: list[Schema | None] = [vars(base).get("_schema") for base in reversed(cls.__mro__[1:])]
    fields: dict[str, Field] = {}
    commands: dict[str, SubCommand] = {}
    for base in filter(None, bases):
        fields.update((name, field) for name, field in base.fields.items() if name in base.own)
        commands.update((word, sub) for word, sub in base.commands.items() if word in base.own)
    own: set[str] = set()
    annotations = dict(cls.__annotations__)
    for name in [*annotations, *(name for name in cls.__dict__ if name not in annotations)]:
        value = cls.__dict__.get(name, REQUIRED)
        if isinstance(value, SubCommand):
            schema_of(value.options)
            commands[name.replace("_", "-")] = value
            own.add(name.replace("_", "-"))
            delattr(cls, name)
            continue
        ours = isinstance(value, Declared) or name in annotations or name in fields
        if not ours or (name.startswith("_") and not isinstance(value, Declared)):
            continue
        if name in annotations and _is_class_variable(annotations[name]):
            continue
        if name in reserved and not isinstance(value, Declared):
            continue  # examples: tuple[str, ...] = ...
        try:
            if name in reserved or name.startswith("_") or not name.isidentifier():
                raise TypeError(
                    "an option cannot have this name, it means something else in a class of options"
                )
            fields[name] = _field(name, value, _annotation(cls, name, annotations, around), fields.get(name))
        except TypeError as error:
            raise TypeError(f"{where}.{name}: {error}") from None
        own.add(name)
        if name in cls.__dict__:
            delattr(cls, name)
    _check_together(where, fields, commands)
    summary, _, description = _dedented(cls.__doc__ or "").partition("\n")
    examples = getattr(cls, "examples", ())
    lines = examples.strip().splitlines() if isinstance(examples, str) else examples
    return Schema(
        where,
        fields,
        commands,
        summary.strip(),
        description.strip(),
        tuple(line.strip() for line in lines),
        frozenset(own),
    )


def _dedented(text: str) -> str:
    """Return a docstring as inspect.cleandoc(), whose module takes 10 ms to import."""
    first, _, rest = text.expandtabs().partition("\n")
    return f"{first.lstrip()}\n{textwrap.dedent(rest)}".strip()


def _is_class_variable(annotation: Any) -> bool:
    if isinstance(annotation, str):
        return annotation.startswith(("ClassVar", "typing.ClassVar"))
    return annotation is ClassVar or typing.get_origin(annotation) is ClassVar


def _annotation(cls: type, name: str, annotations: dict[str, Any], around: Mapping[str, Any]) -> Any:
    """Return the type of an option, or None for that which it has in a base."""
    annotation = annotations.get(name)
    if not isinstance(annotation, str):
        return annotation
    module = vars(sys.modules[cls.__module__]) if cls.__module__ in sys.modules else {}
    why = ""
    # An option may be called like a type, ``list``: the module's names come first.
    for names in ({}, {**around, **vars(cls)}):
        try:
            found: Any = annotation
            while isinstance(found, str):  # text in quotes where all annotations are text
                found = eval(found, {**module}, names)  # noqa: S307 - the author's own words
            return found
        except Exception as error:
            why = str(error)
    raise TypeError(f"the annotation {annotation!r:.80} means nothing in module {cls.__module__} ({why})")


def _field(name: str, value: Any, annotation: Any, inherited: Field | None) -> Field:
    if annotation is None and inherited is None:
        raise TypeError(f"needs a type, {name}: int = usage.option(...)")
    if not isinstance(value, Declared):
        if inherited is not None and annotation is None:
            return _with_default(inherited, value)
        value = Declared(value, (), False, "", "", False, {})
    if annotation is None:
        assert inherited is not None
        kind, repeat, optional = inherited.kind, inherited.repeat, inherited.optional
    else:
        shape = shape_of(annotation)
        kind, repeat, optional = shape.kind, shape.repeat, shape.optional
    short, long = _flags(name, value)
    limits = Limits(kind, repeat, value.limits)
    default = None if optional and value.default is REQUIRED else value.default
    metavar = value.metavar or (name.upper().replace("_", "-") if value.positional else kind.metavar)
    field = Field(
        name, kind, limits, REQUIRED, repeat, optional, value.positional, short, long,
        value.help, metavar, value.hidden,
    )  # fmt: skip
    if value.positional and (field.is_secret or field.kind.base is bool):
        raise TypeError("such a value cannot be an argument, make it an option")
    return _with_default(field, default)


def _flags(name: str, value: Declared) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if value.positional:
        return (), ()
    for flag in value.flags:
        letters = flag.lstrip("-") if isinstance(flag, str) else ""
        dashes = len(flag) - len(letters) if letters else 0
        proper = letters.replace("-", "").isalnum() and letters.isascii() and not letters.endswith("-")
        if not proper or (dashes, len(letters) > 1) not in {(1, False), (2, True)}:
            raise TypeError(f"{flag!r:.40} is no flag such as -p or --port")
    short = tuple(flag for flag in value.flags if not flag.startswith("--"))
    long = tuple(flag for flag in value.flags if flag.startswith("--"))
    return short, long or (f"--{name.strip('_').replace('_', '-')}",)


def _with_default(field: Field, default: Any) -> Field:
    """Return the field with a default, which has to be a value of its kind."""
    fields = {**field.as_dict(), "default": default}
    if default is REQUIRED or (default is None and field.optional):
        return Field(**fields)
    if field.optional:
        raise TypeError(f"what may be None is None by default, not {default!r:.40}")
    if field.is_secret:
        raise TypeError("a secret has no default: it would be known to whoever reads the program")
    try:
        if field.repeat and not isinstance(default, list | tuple):
            raise ValueError(f"{default!r:.40} is no list")
        values = list(default) if field.repeat else [default]
        for value in values:  # limits are checked when it is used: that takes msgspec, which no start needs
            field.kind.accept(value)
    except ValueError as error:
        raise TypeError(f"its default: {error}") from None
    return Field(**{**fields, "default": tuple(values) if field.repeat else default})


def _check_together(where: str, fields: dict[str, Field], commands: dict[str, SubCommand]) -> None:
    taken: dict[str, str] = {"--help": "help"}
    for field in fields.values():
        extra = (f"{field.long[0]}-file", f"{field.long[0]}-credential") if field.is_secret else ()
        for flag in (*field.short, *field.long, *field.opposites, *extra):
            if flag in taken:
                raise TypeError(f"{where}: {flag} is the flag of {taken[flag]} and of {field.name}")
            taken[flag] = field.name
    arguments = [field for field in fields.values() if field.positional]
    for before, after in itertools.pairwise(arguments):
        if before.repeat:
            raise TypeError(f"{where}: {before.name} takes all words, {after.name} would never get one")
        if not before.is_required and after.is_required:
            raise TypeError(f"{where}: {after.name} is required, so {before.name} before it has to be, too")
    if arguments and arguments[-1].repeat and arguments[-1].default not in (REQUIRED, ()):
        raise TypeError(f"{where}: {arguments[-1].name} takes any number of words; its default is none, []")
    if commands and any(field.repeat or not field.is_required for field in arguments):
        raise TypeError(f"{where}: before a command there can only be required arguments")
