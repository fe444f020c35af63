"""`tap make`: `mktap` by another name."""

from __future__ import annotations

from taphouse.cli.making.makeoptions import make_parser as parser_named
from taphouse.cli.mktap import run as make
from taphouse.cli.parsing import Parser

__all__ = ["make_parser", "run"]


def make_parser() -> Parser:
    """Return the parser of `tap make`'s own options."""
    return parser_named("tap make")


def run(arguments: list[str]) -> int:
    """Make the tap that ``arguments`` ask for."""
    return make(arguments, "tap make")
