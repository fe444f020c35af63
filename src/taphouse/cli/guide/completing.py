"""What could be typed next.

It must never know the shell that asks, nor touch what is on the line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from taphouse.cli.guide.tree import Command, Expected, Option
from taphouse.value import Value

__all__ = ["Offer", "complete"]


class Offer(Value):
    """One thing that could be typed.

    Args:
        text: the whole word; of files the suffix that they have, ``""`` for all.
        help: a phrase, or ``""``.
        kind: ``"plain"``, ``"file"`` or ``"dir"``: for the last two the shell has to look.
    """

    text: str
    help: str = ""
    kind: str = "plain"


def complete(command: Command, words: Sequence[str], begun: str) -> list[Offer]:
    """Return what could stand at the place of ``begun``.

    Args:
        command: what is called.
        words: what stands between its name and ``begun``.
        begun: the word that is being typed, maybe ``""``.
    """
    line = _Line(command)
    for word in words:
        line.read(word)
    return [offer for offer in line.offers(begun) if offer.kind != "plain" or offer.text.startswith(begun)]


class _Line:
    """A line as far as it was typed."""

    def __init__(self, command: Command) -> None:
        self._command = command
        self._waiting: Option | None = None  # an option that wants its value
        self._given: set[tuple[str, ...]] = set()
        self._arguments: list[str] = []
        self._no_more_options = False

    def read(self, word: str) -> None:
        """Take one whole word."""
        if self._waiting is not None:
            self._adapt(self._waiting, word)
            self._waiting = None
        elif self._no_more_options or not word.startswith("-") or word == "-":
            self._read_argument(word)
        elif word == "--":
            self._no_more_options = True
        elif word.startswith("--"):
            name, equals, value = word.partition("=")
            self._read_option(self._command.takes(name), value if equals else None)
        else:
            self._read_letters(word)

    def _read_letters(self, word: str) -> None:
        """Take ``-nf``: letters, of which the first that takes a value has the rest as its value."""
        for at, letter in enumerate(word[1:], 2):
            option = self._command.takes(f"-{letter}")
            takes_value = option is not None and option.expected is not None
            self._read_option(option, word[at:] or None)
            if takes_value:
                break

    def _read_option(self, option: Option | None, value: str | None) -> None:
        if option is None:
            return
        self._given.add(option.flags)
        if option.expected is None:
            return
        if value is None:
            self._waiting = option
        else:
            self._adapt(option, value)

    def _adapt(self, option: Option, value: str) -> None:
        """Let the command be another once an option has its value."""
        if self._command.adapt is not None:
            self._command = self._command.adapt(option.flags[-1], value) or self._command

    def _read_argument(self, word: str) -> None:
        above = self._command
        if not self._arguments and word in above.children and above.child is not None:
            self._command = above.child(word)
            if above.shares_options:
                self._command = self._command.with_options_of(above)
            else:
                self._given.clear()
            return
        self._arguments.append(word)

    def offers(self, begun: str) -> Iterable[Offer]:
        """Return what could come next, also what does not begin like ``begun``."""
        if self._waiting is not None:
            return _values(self._waiting.expected, self._arguments)
        if begun.startswith("--") and "=" in begun and not self._no_more_options:
            name, _, _ = begun.partition("=")
            option = self._command.takes(name)
            offers = _values(option.expected if option else None, self._arguments)
            return [
                offer if offer.kind != "plain" else Offer(f"{name}={offer.text}", offer.help)
                for offer in offers
            ]
        if begun.startswith("-") and not self._no_more_options:
            return self._flags()
        found = [*self._words()]
        # Where nothing but options can follow, they are shown unasked.
        return found if found or begun or self._no_more_options else self._flags()

    def _words(self) -> Iterable[Offer]:
        if not self._arguments:
            yield from (Offer(name, help_) for name, help_ in self._command.children.items())
        arguments = self._command.arguments
        at = len(self._arguments)
        if at < len(arguments):
            yield from _values(arguments[at].expected, self._arguments)
        elif arguments and arguments[-1].repeatable:
            yield from _values(arguments[-1].expected, self._arguments)

    def _flags(self) -> Iterable[Offer]:
        for option in self._command.options:
            if option.repeatable or option.flags not in self._given:
                for flag in sorted((*option.flags, *option.off), key=lambda flag: not flag.startswith("--")):
                    yield Offer(flag, option.help)


def _values(expected: Expected | None, arguments: Sequence[str]) -> Iterable[Offer]:
    if expected is None:
        return
    yield from (Offer(word) for word in expected.words)
    if expected.known:
        from taphouse.cli.guide.known import look_up

        yield from (Offer(word, help_) for word, help_ in look_up(expected.known, arguments))
    if expected.folders:
        yield Offer("", kind="dir")
    yield from (Offer(suffix, kind="file") for suffix in expected.suffixes)
