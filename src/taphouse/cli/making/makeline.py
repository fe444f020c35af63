"""The line of `mktap`: which words are its own, and which belong to the type of server.

`mktap [options] TYPE [options of the type]`, as in 2002; but what nobody else
claims may stand behind the type too.  It must never act on a word.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from taphouse.cli.parsing import Parser
from taphouse.errors import UsageError
from taphouse.value import Value

__all__ = ["MakeLine", "Spellings", "add_own_words", "read_line", "refuse_twice"]


_REPEATED = frozenset({"drop", "allow_modules"})


class Spellings(Value):
    """How the options of a type are written."""

    values: frozenset[str]
    """Those that are followed by a value."""
    flags: frozenset[str]
    """Those that are not."""

    def takes_value(self, word: str) -> bool | None:
        """Say whether ``word`` is followed by a value; ``None`` if it is none of these options.

        What is abbreviated is none of them: whether it is, only the type's parser can say.
        """
        name, equals, _ = word.partition("=")
        if name.startswith("--"):
            name = name.replace("_", "-")
            return None if name not in self.values | self.flags else not equals and name in self.values
        for at, letter in enumerate(word[1:], 2):
            if f"-{letter}" in self.values:
                return at == len(word)
            if f"-{letter}" not in self.flags:
                return None if at == 2 else False
        return False

    def is_abbreviated_value(self, word: str) -> bool:
        """Say whether ``word`` is short for an option that is followed by a value."""
        name = word.replace("_", "-")
        return name.startswith("--") and any(one.startswith(name) for one in self.values)


class MakeLine(Value):
    """A line that was read as far as that can be done without knowing the type."""

    own: list[str]
    """Words of `mktap`'s own."""
    name: str | None
    """The type; with ``--update``, the server."""
    rest: list[str]
    """The words that stand behind it."""
    wants_help: bool = False


def read_line(argv: Sequence[str], parser: Parser) -> MakeLine:
    """Split a line at the type's name.

    Behind ``--update FILE`` the name may be left out: what is no long option of ours belongs to the type.

    Args:
        argv: without the command's name.
        parser: knows `mktap`'s own options.
    """
    words = list(argv)
    own: list[str] = []
    wants_help = updates = False
    at = 0
    while at < len(words):
        word = words[at]
        if not word.startswith("-") or word in ("-", "--"):
            return MakeLine(own, word, words[at + 1 :], wants_help)
        if word in ("-h", "--help"):
            wants_help = True
            at += 1
            continue
        takes = _takes_value(parser, word, exactly=updates)
        if takes is None or (updates and not word.startswith("--")):
            if updates:
                return MakeLine(own, None, words[at:], wants_help)
            takes = False  # unknown: the parser says so
        updates = updates or _is_update(word)
        own += words[at : at + 1 + takes]
        at += 1 + takes
    return MakeLine(own, None, [], wants_help)


def add_own_words(line: MakeLine, parser: Parser, theirs: Spellings) -> MakeLine:
    """Take the words of `mktap`'s own out of those behind the name, except where the type has the same.

    Args:
        line: as read.
        parser: knows `mktap`'s own options.
        theirs: the type's options.
    """
    own, rest, wants_help = list(line.own), [], line.wants_help
    words = line.rest
    at = 0
    while at < len(words):
        word = words[at]
        if word == "--":
            rest += words[at:]
            break
        takes = 0
        target = rest
        if word.startswith("-") and word != "-":
            their = theirs.takes_value(word)
            if word == "--help" or (word == "-h" and their is None):
                wants_help = True
                at += 1
                continue
            ours = _takes_value(parser, word, exactly=True) if their is None else None
            if ours is not None:
                target = own
            elif their is None:
                their = theirs.is_abbreviated_value(word)
            takes = int(bool(ours) or bool(their))
        target += words[at : at + 1 + takes]
        at += 1 + takes
    return MakeLine(own, line.name, rest, wants_help)


def refuse_twice(own: Sequence[str], parser: Parser) -> None:
    """Refuse an option of ours that is given twice and has one value.

    Args:
        own: words, read by `read_line`.
        parser: knows `mktap`'s own options.

    Raises:
        UsageError: naming it.
    """
    seen = set()
    at = 0
    while at < len(own):
        _, action = _action(parser, own[at])
        if action is not None and action.dest not in _REPEATED:
            if action.dest in seen:
                raise UsageError(f"{'/'.join(action.option_strings)} is given twice", cure="give it once")
            seen.add(action.dest)
        at += 1 + bool(_takes_value(parser, own[at]))


def _action(parser: Parser, word: str, *, exactly: bool = False) -> tuple[str, argparse.Action | None]:
    """Return how an option of ours is spelled in ``word``, and what it does; None if ``word`` is none."""
    actions = parser.actions_by_name()
    name = word.partition("=")[0]
    if not name.startswith("--"):
        return word[:2], actions.get(word[:2])
    name = name.replace("_", "-")
    if name not in actions and not exactly:
        name = next((one for one in actions if one.startswith(name)), name)
    return name, actions.get(name)


def _takes_value(parser: Parser, word: str, *, exactly: bool = False) -> bool | None:
    """Say whether an option of ours is followed by a value; ``None`` if ``word`` is none."""
    name, action = _action(parser, word, exactly=exactly)
    if action is None:
        return None
    is_alone = "=" not in word if name.startswith("--") else len(word) == 2
    return action.nargs is None and is_alone


def _is_update(word: str) -> bool:
    name = word.partition("=")[0]
    return len(name) > 4 and "--update".startswith(name)
