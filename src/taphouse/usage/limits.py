"""Limits: the constraints of one option, checked by msgspec wherever its value comes from.

It must never know where that is.
"""

from __future__ import annotations

import re
from typing import Any

from taphouse.usage.kinds import Kind, shown

__all__ = ["Limits"]

_ITEMS = frozenset({"min_length", "max_length"})
_NAMES = frozenset({"ge", "gt", "le", "lt", "multiple_of", "pattern", *_ITEMS})


class Limits:
    """What else a value of a kind has to be.

    Args:
        kind: of the value; of one item, for a list.
        repeat: whether it is a list; lengths are then its own, everything else is each item's.
        given: constraint -> bound, ``None`` for none, under the names that msgspec has for them.

    Raises:
        TypeError: for a constraint that means nothing for the kind.
    """

    def __init__(self, kind: Kind, repeat: bool, given: dict[str, Any]) -> None:
        self._kind = kind
        self._given: dict[str, Any] = {}
        allowed = kind.limits - _ITEMS | _ITEMS if repeat else kind.limits
        for name, bound in given.items():
            if bound is None:
                continue
            if name not in allowed:
                what = f"a list of {kind.what}" if repeat else kind.what
                raise TypeError(f"{name}= means nothing for {what}")
            self._given[name] = self._bound(name, bound)
        self._value = {n: b for n, b in self._given.items() if (n in _ITEMS) or not repeat}
        self._item = {n: b for n, b in self._given.items() if repeat and n not in _ITEMS}

    def _bound(self, name: str, bound: Any) -> Any:
        if name == "pattern":
            try:
                return re.compile(bound).pattern
            except re.error as error:
                raise TypeError(f"pattern={bound!r}: {error}") from None
        if name in _ITEMS:
            if not isinstance(bound, int) or isinstance(bound, bool) or bound < 0:
                raise TypeError(f"{name}={bound!r} is no whole number from 0 up")
            return bound
        try:
            return self._kind.accept(bound)
        except ValueError as error:
            raise TypeError(f"{name}={bound!r}: {error}") from None

    def check(self, value: Any) -> None:
        """Raise ValueError if ``value`` is not within the limits."""
        if self._value:
            self._convert(value, list if isinstance(value, list) else self._kind.base, self._value)
        if self._item:
            for item in value:
                self._convert(item, self._kind.base, self._item)

    def _convert(self, value: Any, base: type, bounds: dict[str, Any]) -> None:
        import msgspec  # 20 ms: only who has a value to check pays

        try:
            msgspec.convert(value, base_with(base, msgspec.Meta(**bounds)))
        except msgspec.ValidationError:
            if base is list:
                raise ValueError(f"{len(value)} values, not {self._words(bounds, 'value')}") from None
            text = shown(value) if isinstance(value, str) else self._kind.text(value)
            raise ValueError(f"{text} is not {self._words(bounds)}") from None

    def words(self) -> str:
        """Return the limits for a help text, ``from 0 to 65535``; empty if there are none."""
        found = [self._words(self._value, "value" if self._item or not self._kind.limits else "")]
        if self._item:
            found.append("each " + self._words(self._item))
        return ", ".join(word for word in found if word)

    def _words(self, bounds: dict[str, Any], of: str = "") -> str:
        text = {
            name: self._kind.text(bound) if name not in _ITEMS and name != "pattern" else str(bound)
            for name, bound in bounds.items()
        }
        found = []
        if "ge" in text and "le" in text:
            found.append(f"from {text.pop('ge')} to {text.pop('le')}")
        if "min_length" in text and "max_length" in text:
            found.append(f"from {text.pop('min_length')} to {text.pop('max_length')} {of or 'character'}s")
        phrases = {
            "ge": "at least {}",
            "gt": "above {}",
            "le": "at most {}",
            "lt": "below {}",
            "multiple_of": "a multiple of {}",
            "pattern": "like {}",
            "min_length": f"at least {{}} {of or 'character'}(s)",
            "max_length": f"at most {{}} {of or 'character'}(s)",
        }
        found += [phrases[name].format(bound) for name, bound in text.items()]
        return " and ".join(found)


def base_with(base: type, meta: Any) -> Any:
    """Return ``base`` with the constraints of a msgspec.Meta."""
    from typing import Annotated

    return Annotated[base, meta]
