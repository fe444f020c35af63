"""Door: who may come in, by the password.

It must not know the protocol, nor show the password to anybody.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Protocol

__all__ = ["DEFAULT_USER", "Door", "Password"]

DEFAULT_USER = b"default"
"""The name of Redis's only user where no others were made."""


class Password(Protocol):
    """A password that is kept where taps are not: `taphouse.usage.Secret` is one."""

    def reveal(self) -> str:
        """Return it."""


class Door:
    """Knows the password, if there is one.

    Args:
        password: ``None`` lets everybody in.
    """

    __slots__ = ("_seen", "is_open")

    def __init__(self, password: str | None) -> None:
        self.is_open = password is None
        self._seen = _digest((password or "").encode())

    def admits(self, user: bytes, password: bytes) -> bool:
        """Say whether somebody who says this may come in; the time it takes tells nothing."""
        is_right = hmac.compare_digest(_digest(password), self._seen)
        return user == DEFAULT_USER and (self.is_open or is_right)


def _digest(password: bytes) -> bytes:
    """Return as many bytes for every password, so that comparing does not tell its length."""
    return hashlib.sha256(password).digest()
