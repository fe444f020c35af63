"""Options: the class that others derive theirs from.

An instance holds values and nothing else, so that a tap can hold it.  It must
never know where its values came from.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from taphouse.errors import UsageError
from taphouse.usage.nearest import did_you_mean
from taphouse.usage.parsing import parse
from taphouse.usage.schema import Schema, make_schema, schema_of
from taphouse.usage.spelling import refuse_old_spellings

__all__ = ["Options"]


class Options:
    """What a server is configured with: derive from it, declare with `option`, `argument`, `command`.

    ``config.port`` and ``config["port"]`` are the same.  Values can be set, and are checked when they are.

    Args:
        values: by name; what is left out has its default.

    Raises:
        UsageError: if a value is wrong or missing.
        TypeError: if there is no such option.
    """

    _schema: ClassVar[Schema]
    examples: ClassVar[str | Sequence[str]] = ()
    """Commands that help shows, one a line."""
    sub_command: str | None = None
    """The word of the sub-command that was chosen, or None."""
    sub_options: Any = None
    """Its options, or None."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        refuse_old_spellings(cls)
        # A class in a function may name types of that function.
        cls._schema = make_schema(cls, _RESERVED, sys._getframe(1).f_locals)

    def __init__(self, **values: Any) -> None:
        schema = schema_of(type(self))
        held: dict[str, Any] = {}
        for name, field in schema.fields.items():
            try:
                if name in values:
                    held[name] = field.from_data(values.pop(name))
                elif field.is_required:
                    raise ValueError(f"is required: {type(self).__name__}({name}=...)")
                else:
                    held[name] = field.from_default()
                field.check(held[name])
            except ValueError as error:
                raise UsageError(f"{name}: {error}") from None
        if schema.commands:
            held["sub_command"], held["sub_options"] = _chosen(schema, values)
        for name in values:
            raise TypeError(_no_option(self, name))
        self.__dict__.update(held)
        self.post_options()

    def post_options(self) -> None:
        """Check values against each other; raise `UsageError` if they contradict.  Override it."""

    @classmethod
    def parse(cls, argv: Sequence[str] | None = None) -> Self:
        """Return the options of a script; if they are wrong, say so in one line and exit with 64.

        Args:
            argv: without the name of the program; ``sys.argv[1:]`` if None.
        """
        prog = os.path.basename(sys.argv[0]) or "python"
        name = prog.partition(".")[0]
        try:
            parsed = parse(cls, sys.argv[1:] if argv is None else argv, name=name, prog=prog)
        except UsageError as error:
            sys.stderr.write(f"{prog}: {error}\n")
            raise SystemExit(error.exit_code) from None
        return parsed.options

    @classmethod
    def _of(cls, values: Mapping[str, Any]) -> Self:
        """Return an instance of values that were checked."""
        made = cls.__new__(cls)
        made.__dict__.update(values)
        return made

    def __setattr__(self, name: str, value: Any) -> None:
        schema = schema_of(type(self))
        field = schema.fields.get(name)
        if field is None:
            raise AttributeError(_no_option(self, name))
        try:
            self.__dict__[name] = field.from_data(value)
        except ValueError as error:
            raise UsageError(f"{name}: {error}") from None

    if not TYPE_CHECKING:  # a type checker knows every option; it should miss the others

        def __getattr__(self, name: str) -> Any:
            """Return the default of an option that was declared after a tap was made with these."""
            field = None if name.startswith("_") else schema_of(type(self)).fields.get(name)
            if field is not None and not field.is_required:
                return field.from_default()
            if name.startswith("_"):
                raise AttributeError(name)
            raise AttributeError(_no_option(self, name))

    def __getitem__(self, name: str) -> Any:
        if name not in self:
            raise KeyError(name)
        return getattr(self, name)

    def __setitem__(self, name: str, value: Any) -> None:
        if name not in self:
            raise KeyError(name)
        setattr(self, name, value)

    def __contains__(self, name: object) -> bool:
        return name in schema_of(type(self)).fields

    def __iter__(self) -> Iterator[str]:
        return iter(schema_of(type(self)).fields)

    def __len__(self) -> int:
        return len(schema_of(type(self)).fields)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        held = ", ".join(f"{name}={value!r}" for name, value in self.__dict__.items())
        return f"{type(self).__qualname__}({held})"


def _no_option(options: Options, name: str) -> str:
    fields = schema_of(type(options)).fields
    return f"{type(options).__name__} has no option {name!r}; {did_you_mean(name, fields, 'declare it')}"


_RESERVED = frozenset({"parse", "post_options", "examples", "sub_command", "sub_options"})


def _chosen(schema: Schema, values: dict[str, Any]) -> tuple[str | None, Any]:
    """Take the sub-command out of the values that code gives."""
    word, options = values.pop("sub_command", None), values.pop("sub_options", None)
    if word is None:
        if options is not None:
            raise TypeError("sub_options without sub_command")
        return None, None
    if word not in schema.commands:
        raise UsageError(f"unknown command {word!r}", cure=did_you_mean(word, schema.commands))
    wanted = schema.commands[word].options
    options = wanted() if options is None else options
    if type(options) is not wanted:
        raise TypeError(f"sub_options of {word} is no {wanted.__name__}")
    return word, options


Options._schema = make_schema(Options, _RESERVED, {})
