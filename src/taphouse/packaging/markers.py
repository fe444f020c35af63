"""Markers: whether a requirement counts here, as the dependency specifiers of Python packaging say it.

https://packaging.python.org/en/latest/specifications/dependency-specifiers/
Only what can decide: versions of Python are compared as numbers, all else as
text.  This module must never know what is installed.
"""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Mapping
from typing import Final

from taphouse.errors import ConfigurationError
from taphouse.value import Value

__all__ = ["Requirement", "counts", "marker_values", "normal_name", "parse_requirement"]

_REQUIREMENT: Final = re.compile(
    r"\s*(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[(?P<extras>[^\]]*)\])?\s*"
    r"(?P<rest>@\s*\S+|[^;]*)\s*(?:;(?P<marker>.*))?",
    re.DOTALL,
)
_TOKEN: Final = re.compile(
    r"\s*(?:(?P<text>\"[^\"]*\"|'[^']*')|(?P<word>[A-Za-z_][A-Za-z0-9_.]*)|(?P<sign>===|~=|==|!=|<=|>=|<|>|[()]))"
)
_VERSION: Final = re.compile(r"\d+(?:\.\d+)*")
_DEEPEST: Final = 50


class Requirement(Value):
    """What a distribution needs.

    Args:
        name: of another distribution, as it is written.
        extras: which of its extras.
        marker: when it is needed, "" for always.
    """

    name: str
    extras: frozenset[str]
    marker: str


def normal_name(name: str) -> str:
    """Return what all spellings of a distribution's name have in common."""
    return re.sub(r"[-_.]+", "-", name).lower()


def parse_requirement(text: str) -> Requirement:
    """Read a line of ``Requires-Dist``; which versions it takes was pip's to see to.

    Raises:
        ConfigurationError: it is none.
    """
    match = _REQUIREMENT.fullmatch(text)
    if match is None:
        raise ConfigurationError(f"requirement {text!r:.200} cannot be understood")
    extras = frozenset(
        normal_name(extra.strip()) for extra in (match["extras"] or "").split(",") if extra.strip()
    )
    return Requirement(match["name"], extras, (match["marker"] or "").strip())


def marker_values() -> dict[str, str]:
    """Return what markers may ask about the running Python and its machine."""
    return {
        "implementation_name": sys.implementation.name,
        "implementation_version": platform.python_version(),
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_full_version": platform.python_version(),
        "python_version": ".".join(platform.python_version_tuple()[:2]),
        "sys_platform": sys.platform,
    }


def counts(marker: str, extra: str, values: Mapping[str, str]) -> bool:
    """Say whether what has this marker is needed.

    Args:
        marker: ``python_version < "3.13" and extra == "web"``; "" is always true.
        extra: the extra that is asked for, "" for none.
        values: as `marker_values` returns them.

    Raises:
        ConfigurationError: it is no marker.
    """
    if not marker:
        return True
    reader = _Marker(marker, {**values, "extra": extra})
    return reader.read()


class _Marker:
    """Reads ``or`` of ``and`` of comparisons or parentheses."""

    def __init__(self, marker: str, values: Mapping[str, str]) -> None:
        self._marker = marker
        self._values = values
        self._depth = 0
        self._tokens: list[tuple[str, str]] = []
        at = 0
        text = marker.rstrip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise self._fault()
            self._tokens.append((str(match.lastgroup), match[str(match.lastgroup)]))
            at = match.end()
        self._tokens.reverse()

    def read(self) -> bool:
        found = self._any()
        if self._tokens:
            raise self._fault()
        return found

    def _fault(self) -> ConfigurationError:
        return ConfigurationError(f"marker {self._marker!r:.200} cannot be understood")

    def _next(self) -> tuple[str, str]:
        if not self._tokens:
            raise self._fault()
        return self._tokens.pop()

    def _is(self, *token: str) -> bool:
        if self._tokens and self._tokens[-1] == token:
            self._tokens.pop()
            return True
        return False

    def _any(self) -> bool:
        found = self._all()
        while self._is("word", "or"):
            found = self._all() or found  # what is behind must be read in any case
        return found

    def _all(self) -> bool:
        found = self._one()
        while self._is("word", "and"):
            found = self._one() and found
        return found

    def _one(self) -> bool:
        if self._is("sign", "("):
            self._depth += 1
            if self._depth > _DEEPEST:
                raise self._fault()
            found = self._any()
            if not self._is("sign", ")"):
                raise self._fault()
            return found
        left, is_extra = self._operand()
        sign = self._sign()
        right, other_extra = self._operand()
        if is_extra or other_extra:
            left, right = normal_name(left), normal_name(right)
        return _compare(left, sign, right, self._fault())

    def _sign(self) -> str:
        kind, sign = self._next()
        if (kind, sign) == ("word", "not") and self._is("word", "in"):
            return "not in"
        if (kind == "sign" and sign not in "()") or (kind, sign) == ("word", "in"):
            return sign
        raise self._fault()

    def _operand(self) -> tuple[str, bool]:
        kind, token = self._next()
        if kind == "text":
            return token[1:-1], False
        name = {"os.name": "os_name", "sys.platform": "sys_platform"}.get(token, token)
        if kind != "word" or name not in self._values:
            raise self._fault()
        return self._values[name], name == "extra"


def _compare(left: str, sign: str, right: str, fault: ConfigurationError) -> bool:
    if sign in {"in", "not in"}:
        return (left in right) == (sign == "in")
    if sign == "===":
        return left == right
    if sign in {"==", "!="} and right.endswith(".*") and _VERSION.fullmatch(left):
        found = (left + ".").startswith(right[:-1])
        return found == (sign == "==")
    if _VERSION.fullmatch(left) and _VERSION.fullmatch(right):
        if sign == "~=":
            series = right.rpartition(".")[0]
            return (
                bool(series) and _release(left) >= _release(right) and (left + ".").startswith(series + ".")
            )
        mine, theirs = _release(left), _release(right)
        return {
            "==": mine == theirs,
            "!=": mine != theirs,
            "<": mine < theirs,
            "<=": mine <= theirs,
            ">": mine > theirs,
            ">=": mine >= theirs,
        }[sign]
    if sign == "~=":
        raise fault
    # Text has no order: as the reference implementation has it, only its being the same counts.
    return {"==": left == right, "!=": left != right, "<=": left == right, ">=": left == right}.get(
        sign, False
    )


def _release(version: str) -> list[int]:
    numbers = [int(number) for number in version.split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    return numbers
