"""Commands as plain values: what may be typed, and what is said of it.

It must never know how a command line is parsed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from taphouse.value import Value, field, replace

__all__ = ["ANYTHING", "Argument", "Command", "Expected", "Group", "Option"]


class Expected(Value):
    """What may stand as a value.

    Args:
        words: these, and nothing else unless the next fields say so.
        suffixes: files with one of these suffixes; ``("",)`` for any file.
        folders: folders.
        known: what is looked up when it is wanted: ``"servers"``, ``"users"``, ``"groups"``, ``"pages"``,
            ``"state"``.
    """

    words: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()
    folders: bool = False
    known: str = ""


ANYTHING = Expected()


class Option(Value):
    """One option.

    Args:
        flags: its spellings, ``-f`` and ``--file``.
        help: a phrase.
        metavar: what stands for its value, ``""`` if it has none.
        expected: what its value may be; ``None`` if it has none.
        repeatable: whether it may be given again.
        about: all that is said of it where there is room, ``""`` if no more than ``help``.
        off: the spellings that say no, ``--no-colour``.
    """

    flags: tuple[str, ...]
    help: str = ""
    metavar: str = ""
    expected: Expected | None = None
    repeatable: bool = False
    off: tuple[str, ...] = ()
    about: str = ""


class Argument(Value):
    """One word, or with ``repeatable`` any number, that is no option."""

    metavar: str
    help: str = ""
    expected: Expected = ANYTHING
    repeatable: bool = False


class Group(Value):
    """Options under one title."""

    title: str
    options: tuple[Option, ...]


class Command(Value):
    """A command, or a verb of one.

    Args:
        name: as it is typed, ``tap show``.
        summary: one line.
        usage: how it is written.
        description: paragraphs.
        examples: what comes after the options in its help.
        groups: its options.
        arguments: its other words.
        children: what may be typed next instead of an argument, with its line of help.
        child: returns the command of one of ``children``.
        shares_options: whether its own options may stand behind a child's name too.
        adapt: returns what the command is once an option, by its last flag, has had a value.
    """

    name: str
    summary: str = ""
    usage: str = ""
    description: str = ""
    examples: str = ""
    groups: tuple[Group, ...] = ()
    arguments: tuple[Argument, ...] = ()
    children: Mapping[str, str] = field(default_factory=dict)
    child: Callable[[str], Command] | None = None
    shares_options: bool = False
    adapt: Callable[[str, str], Command | None] | None = None

    @property
    def options(self) -> list[Option]:
        """All options, in order."""
        return [option for group in self.groups for option in group.options]

    def takes(self, flag: str) -> Option | None:
        """Return the option that ``flag`` spells, a unique beginning of a long one included."""
        found = [option for option in self.options if flag in (*option.flags, *option.off)]
        if not found and flag.startswith("--"):
            spelled = flag.replace("_", "-")
            found = [
                option
                for option in self.options
                if any(each.startswith(spelled) for each in (*option.flags, *option.off))
            ]
        return found[0] if len(found) == 1 else None

    def with_options_of(self, above: Command) -> Command:
        """Return a command that takes the options of the one above too, where it has none of their names."""
        own = {flag for option in self.options for flag in (*option.flags, *option.off)}
        left = [
            replace(option, flags=tuple(flag for flag in option.flags if flag not in own))
            for option in above.options
        ]
        more = Group(above.name, tuple(option for option in left if option.flags))
        return replace(self, groups=(*self.groups, more))
