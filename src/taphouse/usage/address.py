"""Addresses: where to listen or whom to call, as one word.

It must never resolve a name or open a socket.
"""

from __future__ import annotations

import os
import re
from typing import Any, NamedTuple

from taphouse.durable import register
from taphouse.usage.kinds import Kind, shown

__all__ = ["ADDRESS", "Address"]

_TCP = re.compile(r"(?:\[(?P<v6>[^\[\]]+)\]|(?P<host>[^\[\]:]*)):(?P<port>[0-9]{1,5})")
_FORM = "host:port, [::1]:80, :80 or unix:/path"


class Address(NamedTuple):
    """A TCP address or the path of a UNIX socket.

    ``str()`` gives the word it was written as, `Address.of` takes it.  A tap can hold it.

    Attributes:
        host: name or number, without brackets; empty for all of this machine's.
        port: 0 to 65535; 0 for a UNIX socket.
        path: of the UNIX socket; empty for TCP.
    """

    host: str = ""
    port: int = 0
    path: str = ""

    @classmethod
    def of(cls, text: str) -> Address:
        """Return the address that ``host:port``, ``[::1]:80``, ``:80`` or ``unix:/path`` means.

        Raises:
            ValueError: if it is none; the message is a phrase for an error line.
        """
        if text.startswith("unix:"):
            if not text.removeprefix("unix:"):
                raise ValueError(f"{shown(text)} names no path")
            return cls(path=text.removeprefix("unix:"))
        match = _TCP.fullmatch(text)
        if match is None or any(letter.isspace() or letter in "/\0" for letter in text):
            raise ValueError(f"{shown(text)} is no address such as {_FORM}")
        if int(match["port"]) > 65535:
            raise ValueError(f"{shown(text)}: ports end at 65535")
        return cls(match["v6"] or match["host"] or "", int(match["port"]))

    @property
    def is_unix(self) -> bool:
        """Whether it is the path of a UNIX socket."""
        return bool(self.path)

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


register(Address, "taphouse.usage.Address")


class _AddressKind(Kind):
    what = f"address such as {_FORM}"
    metavar = "ADDRESS"
    limits = frozenset()

    def accept(self, value: object) -> Address:
        if isinstance(value, Address):
            value = str(value)
        address = Address.of(super().accept(value))
        return Address(path=os.path.abspath(address.path)) if address.path else address

    def plain(self, value: Any) -> str:
        return str(value)


ADDRESS = _AddressKind()
