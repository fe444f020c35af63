r"""Manual pages: prose that a person has written, options that the parsers know.

A page is a text in the language of man(7) with places kept for what is
generated: lines ``.\"@ options``, ``.\"@ verbs``, ``.\"@ examples`` and
``.\"@ status``.  This module must never say of a command what its parser does not.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator

from taphouse.cli.guide.commands import command_named, type_command
from taphouse.cli.guide.tree import Argument, Command, Option
from taphouse.errors import UsageError
from taphouse.plugins import find_makers

__all__ = ["PAGES", "page"]

PAGES = ("tap", "twistd", "mktap", "tap2deb", "tapconvert")
"""The commands that have a page with prose of its own."""

_FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pages")
_PLACE = re.compile(r'^\.\\"@ (\w+)\n', re.MULTILINE)

_DATE = "2026-11-23"
"""Of pages without prose; a day of its own for each would make them differ without a reason."""

_STATUS = {
    0: "Done: of a start, every port is open; in the foreground, stopped in order.",
    64: "The command line asks for something that does not exist.",
    69: "An address is not available; no server of that name runs.",
    70: "Internal error, a value that no tap can hold, or a server type that failed.",
    73: "A file cannot be created.",
    74: "The storage failed; the tap is intact as of its last commit.",
    75: "Already running.",
    77: "Not permitted, or unsafe for root.",
    78: "Configuration or tap cannot be run.",
}


def page(name: str) -> str:
    """Return the manual page of a command, or of a type of server.

    Args:
        name: one of `PAGES`, or a type, as ``echo`` or ``mktap-echo``.

    Raises:
        UsageError: there is neither.
        ConfigurationError: the type is broken.
    """
    if name not in PAGES:
        return _type_page(name.removeprefix("mktap-"))
    with open(os.path.join(_FOLDER, f"{name}.1"), encoding="utf-8") as file:
        prose = file.read()
    command = command_named(name)
    return _PLACE.sub(lambda match: _PARTS[match[1]](command), prose)


def _type_page(name: str) -> str:
    makers = find_makers()
    if name not in makers:
        from difflib import get_close_matches

        near = get_close_matches(name, [*PAGES, *(entry.name for entry in makers)], n=1)
        raise UsageError(
            f"there is no command or server type {name!r:.100}",
            cure=f"did you mean {near[0]}?"
            if near
            else f"there are {', '.join(PAGES)}, and what mktap lists",
        )
    command = type_command(name)
    title = f"mktap-{name}"
    lines = [
        f'.TH {_escaped(title.upper())} 1 "{_DATE}" "taphouse" "User Commands"',
        ".SH NAME",
        f"{_escaped(title)} \\- make a tap: {_escaped(command.summary.rstrip('.'))}",
        ".SH SYNOPSIS",
        f".B {_escaped(command.name)}",
        "[\\fIoptions\\fR]" + "".join(f" \\fI{_escaped(one.metavar)}\\fR" for one in command.arguments),
        ".SH DESCRIPTION",
        *_paragraphs(command.description or command.summary),
        ".PP",
        "The options of \\fBmktap\\fR itself, such as \\fB\\-\\-output\\fR, may stand behind the type too.",
        _options(command).rstrip("\n"),
    ]
    for word, summary in command.children.items():
        assert command.child is not None
        lines += [f'.SH "COMMAND {_escaped(word.upper())}"', _sentence(summary)]
        lines += _groups(command.child(word))
    lines += [".SH SEE ALSO", ".BR mktap (1),", ".BR twistd (1)", ""]
    return "\n".join(lines)


def _options(command: Command) -> str:
    return "\n".join([".SH OPTIONS", *_groups(command), ""])


def _verbs(command: Command) -> str:
    lines: list[str] = []
    for name in command.children:
        if name == "help":
            continue
        assert command.child is not None
        verb = command.child(name)
        lines += [
            f'.SH "TAP {name.upper()}"',
            *_paragraphs(verb.description),
            ".PP",
            f".B {_escaped(verb.usage)}",
        ]
        lines += _groups(verb)
        lines += _examples_of(verb, heading='.SS "Examples"')
    return "\n".join([*lines, ""])


def _examples(command: Command) -> str:
    return "\n".join([*_examples_of(command, heading=".SH EXAMPLES"), ""])


def _status(command: Command) -> str:
    lines = [".SH EXIT STATUS"]
    for code, meaning in _STATUS.items():
        lines += [".TP", f".B {code}", _escaped(meaning)]
    return "\n".join([*lines, ""])


_PARTS: dict[str, Callable[[Command], str]] = {
    "options": _options,
    "verbs": _verbs,
    "examples": _examples,
    "status": _status,
}


def _groups(command: Command) -> Iterator[str]:
    """Yield the arguments and options of a command, under the titles that its help has."""
    if command.arguments:
        yield '.SS "Arguments"'
        for argument in command.arguments:
            yield from (".TP", _argument(argument), _sentence(argument.help))
    for group in command.groups:
        title = "General" if group.title == "options" else group.title[:1].upper() + group.title[1:]
        yield f'.SS "{_escaped(title)}"'
        for option in group.options:
            yield from (".TP", _tag(option), _sentence(option.about or option.help))


def _argument(argument: Argument) -> str:
    return f"\\fI{_escaped(argument.metavar)}\\fR" + ("..." if argument.repeatable else "")


def _tag(option: Option) -> str:
    flags = ", ".join(f"\\fB{_escaped(flag)}\\fR" for flag in (*option.flags, *option.off))
    return f"{flags} \\fI{_escaped(option.metavar)}\\fR" if option.metavar else flags


def _examples_of(command: Command, *, heading: str) -> Iterator[str]:
    """Yield what stands below the options in a command's help: examples, and what else is said there."""
    for block in command.examples.split("\n\n"):
        if block.startswith("examples:\n"):
            yield from (heading, ".nf")
            yield from (_line(line.removeprefix("  ")) for line in block.splitlines()[1:])
            yield ".fi"
        elif block.strip() and not block.startswith("exit status:"):
            yield from (".PP", _line(" ".join(block.split())))


def _paragraphs(text: str) -> Iterator[str]:
    """Yield the paragraphs of a text; one with indented lines stays as it is."""
    for number, block in enumerate(part for part in text.split("\n\n") if part.strip()):
        if number:
            yield ".PP"
        if any(line.startswith((" ", "\t")) for line in block.splitlines()):
            yield from (".nf", *(_line(line) for line in block.splitlines()), ".fi")
        else:
            yield _line(" ".join(block.split()))


def _sentence(text: str) -> str:
    """Return a phrase of the help as a sentence."""
    told = " ".join(text.split())
    return _line(told[:1].upper() + told[1:] + ("" if told.endswith(".") or not told else "."))


def _line(text: str) -> str:
    """Return a line of text that man does not take for an order."""
    escaped = _escaped(text)
    return f"\\&{escaped}" if escaped.startswith((".", "'")) or not escaped else escaped


def _escaped(text: str) -> str:
    return text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace('"', "\\(dq")
