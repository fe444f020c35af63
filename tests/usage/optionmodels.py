"""Options as plugins declare them, with annotations that are text."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Literal

import pytest

from taphouse import usage


class Colour(enum.Enum):
    RED = "red"
    DARK_BLUE = "dark-blue"


class Weight(enum.IntEnum):
    LIGHT = 1
    VERY_HEAVY = 2


class LogOptions(usage.Options):
    """Write a log."""

    level: int = usage.option(3, "-l", help="how much", ge=0, le=9)
    to: str | None = usage.option(None, help="where")


class Everything(usage.Options):
    """Serve a random fortune.

    One of them at a time, to whoever connects.
    """

    examples = """
    mktap quotes --file fortunes
    mktap quotes --file fortunes -p 1818
    """

    port: int = usage.option(1717, "-p", help="TCP port to listen on", ge=0, le=65535)
    ratio: float = usage.option(0.5, "-r", gt=0)
    verbose: usage.Count = usage.option(0, "-v", help="say more")
    names: list[str] = usage.option([], "-D", "--name", help="whom to greet", max_length=4)
    numbers: list[int] = usage.option([1, 2], help="lucky ones", ge=0)
    colour: bool = usage.option(False, "-c", help="send colours")
    mode: Literal["fast", "safe"] = usage.option("safe", help="how")
    hue: Colour = usage.option(Colour.RED)
    weight: Weight = usage.option("light")
    timeout: usage.Duration = usage.option("30s", help="patience", ge="1s", le="1h")
    limit: usage.Size = usage.option("10MiB", ge="1KiB")
    target: usage.Address = usage.option("localhost:80")
    log_file: usage.NewFile | None = usage.option(help="where to log")
    folder: usage.ExistingFolder | None = None
    place: Path | None = None
    greeting: str = usage.option("hello", pattern="^[^!]*$", min_length=1)
    password: usage.Secret | None = usage.option(help="of the database")


class Quotes(usage.Options):
    """Serve quotes."""

    port: int = usage.option(1717, "-p", help="TCP port", ge=0, le=65535)
    file: usage.ExistingFile = usage.option(help="the fortunes")


class Copy(usage.Options):
    """Copy files."""

    force: bool = usage.option(False, "-f")
    source: str = usage.argument(help="what")
    targets: list[str] = usage.argument(help="where to")


class Tool(usage.Options):
    """A tool with commands."""

    verbose: usage.Count = usage.option(0, "-v")
    log = usage.command(LogOptions, help="write a log")
    quotes = usage.command(Quotes)


def parse(cls: type, *argv: str, environ: dict[str, str] | None = None, **more: object) -> usage.Parsed:
    """What `mktap quotes ARGV` does, in an environment of its own."""
    return usage.parse(cls, argv, name="quotes", prog="mktap quotes", environ=environ or {}, **more)


def options(cls: type, *argv: str, **more: object) -> object:
    return parse(cls, *argv, **more).options


def refusal(cls: type, *argv: str, **more: object) -> str:
    """The one line that is printed."""
    with pytest.raises(usage.UsageError) as caught:
        parse(cls, *argv, **more)
    assert caught.value.exit_code == 64
    assert "\n" not in str(caught.value)
    return str(caught.value)
