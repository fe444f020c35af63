"""Plain: options as a mapping of JSON's and TOML's types, which is what a plan keeps, and back.

It must never hold a secret: of those there is only where they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from taphouse.errors import UsageError
from taphouse.usage.nearest import did_you_mean
from taphouse.usage.schema import schema_of

__all__ = ["from_plan", "to_plan"]

T = TypeVar("T")


def to_plan(options: Any) -> dict[str, Any]:
    """Return all options by name, as a plan keeps them.

    Values are of JSON's types: paths, addresses, durations and sizes are texts as an operator writes them; of
    a secret there is only where it is.  A sub-command is ``sub_command`` and ``sub_options``.
    """
    schema = schema_of(type(options))
    plan = {name: field.plain(getattr(options, name)) for name, field in schema.fields.items()}
    if schema.commands:
        inner = options.sub_options
        plan["sub_command"] = options.sub_command
        plan["sub_options"] = None if inner is None else to_plan(inner)
    return plan


def from_plan(cls: type[T], mapping: Mapping[str, Any]) -> T:
    """Return the options that a plan holds, as they were: whether files still exist is not asked.

    Raises:
        UsageError: if it holds what ``cls`` does not know, or lacks what it requires.
    """
    schema = schema_of(cls)
    values: dict[str, Any] = {}
    known = {*schema.fields, *(("sub_command", "sub_options") if schema.commands else ())}
    for name in mapping:
        if name not in known:
            raise UsageError(f"the plan has an unknown option {name!r:.80}", cure=did_you_mean(name, known))
    for name, field in schema.fields.items():
        try:
            if name in mapping:
                values[name] = field.from_data(mapping[name])
            elif field.is_required:
                raise ValueError("is missing")
            else:
                values[name] = field.from_default()
        except ValueError as error:
            raise UsageError(f"the plan's {name}: {error}") from None
    if schema.commands:
        word = mapping.get("sub_command")
        if word is not None and (not isinstance(word, str) or word not in schema.commands):
            raise UsageError(
                f"the plan has an unknown command {word!r:.80}", cure=did_you_mean(str(word), schema.commands)
            )
        values["sub_command"] = word
        values["sub_options"] = (
            None
            if word is None
            else from_plan(schema.commands[word].options, mapping.get("sub_options") or {})
        )
    made: T = cls._of(values)  # type: ignore[attr-defined]
    return made
