"""Declaring: what stands behind the ``=`` in a class of options.

It must never know a type: that is what the annotation before the ``=`` says.
"""

from __future__ import annotations

from typing import Any

from taphouse.value import Value

__all__ = ["REQUIRED", "Declared", "SubCommand", "argument", "command", "option"]


class _Required:
    """Stands for a default where there is none."""

    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED: Any = _Required()


class Declared(Value):
    """What `option` and `argument` have been told."""

    default: Any
    flags: tuple[str, ...]
    positional: bool
    help: str
    metavar: str
    hidden: bool
    limits: dict[str, Any]


class SubCommand(Value):
    """A word that selects other options.

    Attributes:
        options: the class of them.
        help: its line in the list of commands.
    """

    options: Any
    help: str


def option(
    default: Any = REQUIRED,
    *flags: str,
    help: str = "",  # noqa: A002 - what everybody calls it
    metavar: str = "",
    ge: Any = None,
    gt: Any = None,
    le: Any = None,
    lt: Any = None,
    multiple_of: Any = None,
    pattern: str | None = None,
    min_length: int | None = None,
    max_length: int | None = None,
    hidden: bool = False,
) -> Any:
    """Declare an option: ``port: int = usage.option(1717, "-p", help="TCP port", ge=0, le=65535)``.

    Args:
        default: its value if nothing says otherwise; may be written as an operator would (``"30s"``).
            Without one the option is required, unless it may be ``None``.
        flags: short (``-p``) and long (``--name``) spellings; without a long one it is the attribute's name.
        help: one phrase.
        metavar: what help puts for the value.
        ge: least value; ``gt``, ``le``, ``lt`` likewise.
        multiple_of: what the value is a multiple of.
        pattern: a regular expression that is found in the text; anchor it with ``^`` and ``$``.
        min_length: fewest characters, of a list fewest values.
        max_length: most characters, of a list most values.
        hidden: whether help keeps silent about it.
    """
    limits = {
        "ge": ge, "gt": gt, "le": le, "lt": lt, "multiple_of": multiple_of,
        "pattern": pattern, "min_length": min_length, "max_length": max_length,
    }  # fmt: skip
    return Declared(default, flags, False, help, metavar, hidden, limits)


def argument(
    default: Any = REQUIRED,
    *,
    help: str = "",  # noqa: A002
    metavar: str = "",
    ge: Any = None,
    gt: Any = None,
    le: Any = None,
    lt: Any = None,
    multiple_of: Any = None,
    pattern: str | None = None,
    min_length: int | None = None,
    max_length: int | None = None,
) -> Any:
    """Declare a positional argument; one that is a list takes all words that are left.

    Args are those of `option`; without a default a list wants one word at least.
    """
    limits = {
        "ge": ge, "gt": gt, "le": le, "lt": lt, "multiple_of": multiple_of,
        "pattern": pattern, "min_length": min_length, "max_length": max_length,
    }  # fmt: skip
    return Declared(default, (), True, help, metavar, False, limits)


def command(options: type, *, help: str = "") -> Any:  # noqa: A002
    """Declare a sub-command: the word of the attribute's name selects ``options``.

    Args:
        options: a class derived from Options.
        help: one phrase; else the first line of the docstring of ``options``.
    """
    return SubCommand(options, help)
