"""`tap deb`: `tap2deb` by another name."""

from __future__ import annotations

from taphouse.cli.parsing import Parser
from taphouse.cli.tap2deb import make_parser as parser_named
from taphouse.cli.tap2deb import make_with

__all__ = ["make_parser", "run"]


def make_parser() -> Parser:
    """Return the parser of `tap deb`."""
    return parser_named("tap deb")


def run(arguments: list[str]) -> int:
    """Make the package that ``arguments`` ask for."""
    return make_with(make_parser(), arguments)
