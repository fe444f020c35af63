"""Limits: the constraints of one option, checked by msgspec wherever its value comes from.

It must never know where that is.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from taphouse.usage.kinds import Kind, shown

__all__ = ["Limits"]

_LENGTHS = frozenset({"min_length", "max_length"})
_CONTRADICTIONS = (("ge", "gt"), ("le", "lt"))
_PHRASES = {
    "ge": "at least {}",
    "gt": "above {}",
    "le": "at most {}",
    "lt": "below {}",
    "multiple_of": "a multiple of {}",
    "pattern": "like {}",
    "min_length": "at least {}",
    "max_length": "at most {}",
}
_BITS = 63  # what msgspec compares with


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
        self._repeat = repeat
        allowed = (kind.limits | _LENGTHS) if repeat else kind.limits
        bounds = {name: bound for name, bound in given.items() if bound is not None}
        for name, bound in bounds.items():
            if name not in allowed:
                raise TypeError(f"{name}= means nothing for {'a list of values: ' * repeat}{kind.what}")
            bounds[name] = self._bound(name, bound)
        for pair in _CONTRADICTIONS:
            if all(name in bounds for name in pair):
                raise TypeError(f"{pair[0]}= and {pair[1]}= say the same thing twice")
        self._own = {name: bound for name, bound in bounds.items() if name in _LENGTHS or not repeat}
        self._each = {name: bound for name, bound in bounds.items() if name not in self._own}

    def _bound(self, name: str, bound: Any) -> Any:
        if name == "pattern":
            try:
                return re.compile(bound).pattern
            except (re.error, TypeError) as error:
                raise TypeError(f"pattern={bound!r:.40}: {error}") from None
        if name in _LENGTHS:
            if not isinstance(bound, int) or isinstance(bound, bool) or not 0 <= bound < 1 << _BITS:
                raise TypeError(f"{name}={bound!r:.40} is no length")
            return bound
        try:
            value = self._kind.accept(bound)
        except ValueError as error:
            raise TypeError(f"{name}=: {error}") from None
        if isinstance(value, int) and value.bit_length() > _BITS:
            raise TypeError(f"{name}={bound!r:.40} is too large for a bound")
        if name == "multiple_of" and value <= 0:
            raise TypeError(f"{name}={bound!r:.40}: only what is above 0 has multiples")
        return value

    def check(self, value: Any) -> None:
        """Raise ValueError if ``value`` is not within the limits."""
        if self._own and not self._holds(value, list if self._repeat else self._kind.base, self._own):
            text = f"{len(value)} values" if self._repeat else self._shown(value)
            raise ValueError(f"{text} {'are' if self._repeat else 'is'} not {self._words(self._own)}")
        for item in value if self._each else ():
            if not self._holds(item, self._kind.base, self._each):
                raise ValueError(f"{self._shown(item)} is not {self._words(self._each)}")

    def _shown(self, value: Any) -> str:
        return shown(value) if isinstance(value, str) else f"{self._kind.text(value):.80}"

    @staticmethod
    def _holds(value: Any, base: Any, bounds: dict[str, Any]) -> bool:
        import msgspec  # 20 ms, which a start does not pay: only reading options does

        try:
            msgspec.convert(value, Annotated[base, msgspec.Meta(**bounds)])
        except msgspec.ValidationError:
            return False
        return True

    def words(self) -> str:
        """Return the limits for a help text, ``from 0 to 65535``; empty if there are none."""
        each = f"each {self._words(self._each)}" if self._each else ""
        return ", ".join(text for text in (self._words(self._own), each) if text)

    def _words(self, bounds: dict[str, Any]) -> str:
        text = {name: self._bound_text(name, bound) for name, bound in bounds.items()}
        found = []
        for least, most in (("ge", "le"), ("min_length", "max_length")):
            if least in text and most in text:
                found.append(f"from {text.pop(least).partition(' ')[0]} to {text.pop(most)}")
        return " and ".join(found + [_PHRASES[name].format(bound) for name, bound in text.items()])

    def _bound_text(self, name: str, bound: Any) -> str:
        if name not in _LENGTHS:
            return str(bound) if name == "pattern" else self._kind.text(bound)
        if self._repeat:
            return f"{bound} value{'s' * (bound != 1)}"
        return f"{bound} character{'s' * (bound != 1)} long"
