"""Licences: their texts without those that every Debian machine has.

Debian wants these referred to, not repeated.  What is around them stays: wheels put
the licences of all that they bring into one file.  This module must never read a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from taphouse.value import Value

__all__ = ["shortened"]

_TERMS_END: Final = "END OF TERMS AND CONDITIONS"


class _Whole(Value):
    """How to find the whole text of a licence.

    Args:
        name: of its file in /usr/share/common-licenses.
        title: its first words.
        end: its last words that every copy has.
        rest: what may come after these; some copies have it.
        longest: characters that it can have, without the rest.
    """

    name: str
    title: re.Pattern[str]
    end: re.Pattern[str]
    rest: re.Pattern[str]
    longest: int


def _whole(name: str, title: str, end: str, rest: str, longest: int) -> _Whole:
    words = [re.sub(" ", r"\\s+", part) for part in (title, end)]
    return _Whole(name, re.compile(words[0]), re.compile(words[1]), re.compile(rest, re.DOTALL), longest)


def _gnu(title: str, appendix_end: str) -> tuple[str, str, str, int]:
    rest = rf"(?:\s+(?:Appendix: )?How to Apply These Terms.{{0,6000}}?{appendix_end})?"
    return title, _TERMS_END, rest, 80_000


# The texts are those that their authors have published; how they are wrapped and indented differs.
_COMMON: Final = (
    _whole(
        "Apache-2.0",
        r"Apache License,? Version 2\.0, January 2004",
        r"accepting any such warranty or additional liability\.",
        rf"(?:\s+{_TERMS_END}(?:\s+APPENDIX: How to apply.{{0,3000}}?under\s+the\s+License\.)*)?",
        20_000,
    ),
    _whole(
        "LGPL-3",
        "GNU LESSER GENERAL PUBLIC LICENSE Version 3,",
        r"choose that version for the Library\.",
        "",
        20_000,
    ),
    _whole(
        "LGPL-2.1", *_gnu(r"GNU LESSER GENERAL PUBLIC LICENSE Version 2\.1,", "That's all there is to it!")
    ),
    _whole("LGPL-2", *_gnu("GNU LIBRARY GENERAL PUBLIC LICENSE Version 2,", "That's all there is to it!")),
    _whole("GPL-3", *_gnu("GNU GENERAL PUBLIC LICENSE Version 3,", r"why-not-lgpl\.html>\.")),
    _whole("GPL-2", *_gnu("GNU GENERAL PUBLIC LICENSE Version 2,", r"instead of this License\.")),
    _whole(
        "MPL-2.0",
        r"Mozilla Public License,? Version 2\.0 [=\s]*1\. Definitions",
        r"defined by the Mozilla Public License, v\. 2\.0\.",
        "",
        40_000,
    ),
)


def shortened(text: str) -> str:
    """Return licences and notices with a line instead of each text that is in common-licenses."""
    for whole in _COMMON:
        text = "".join(_without(text, whole))
    return text


def _without(text: str, whole: _Whole) -> Iterator[str]:
    """Yield the pieces around each copy of a text; what only begins like one stays."""
    done = 0
    end = None
    for title in whole.title.finditer(text):
        if title.start() < done:
            continue
        if end is None or end.start() < title.end():
            end = whole.end.search(text, title.end())
        if end is None:
            break
        if end.end() - title.start() > whole.longest:
            continue
        yield text[done : title.start()]
        yield f"On Debian systems the whole text is in /usr/share/common-licenses/{whole.name}."
        rest = whole.rest.match(text, end.end())
        done = rest.end() if rest else end.end()
    yield text[done:]
