"""`tap convert`: `tapconvert` by another name."""

from __future__ import annotations

from taphouse.cli.parsing import Parser
from taphouse.cli.tapconvert import convert_with
from taphouse.cli.tapconvert import make_parser as parser_named

__all__ = ["make_parser", "run"]


def make_parser() -> Parser:
    """Return the parser of `tap convert`."""
    return parser_named("tap convert")


def run(arguments: list[str]) -> int:
    """Convert what ``arguments`` name."""
    return convert_with(make_parser(), arguments)
