"""Replies: values as bytes of the Redis protocol, and the words of its errors.

https://redis.io/docs/latest/develop/reference/protocol-spec/
It must not know who is answered.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

__all__ = [
    "EMPTY",
    "LARGEST",
    "NIL",
    "NOT_KNOWN",
    "NO_PASSWORD",
    "OK",
    "ONE",
    "OVERFLOW",
    "Refused",
    "SMALLEST",
    "SPEAKS_AS",
    "SYNTAX",
    "TOO_LONG",
    "UNKNOWN_HELLO",
    "WRONG_PASSWORD",
    "WRONG_TYPE",
    "ZERO",
    "array",
    "bulk",
    "collection",
    "error",
    "integer",
    "mapping",
    "nested",
    "no_such_part",
    "read_integer",
    "simple",
    "unknown",
    "wrong_number",
]

SPEAKS_AS = "7.0.0"
"""The Redis whose answers these are."""

OK = b"+OK\r\n"
NIL = b"$-1\r\n"
ZERO = b":0\r\n"
ONE = b":1\r\n"
EMPTY = b"*0\r\n"


class Refused(Exception):
    """A command that cannot be done; nothing was changed.

    Args:
        text: what the client is told, a word in capitals first.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.reply = error(text)


def error(text: str) -> bytes:
    """Reply that something is wrong."""
    return b"-%s\r\n" % text.encode("utf-8", "backslashreplace").replace(b"\r", b" ").replace(b"\n", b" ")


def bulk(value: bytes | int | None) -> bytes:
    """Reply with a value: bytes, a number, or None for nothing."""
    if type(value) is bytes:
        return b"$%d\r\n%s\r\n" % (len(value), value)
    if value is None:
        return NIL
    text = b"%d" % value  # type: ignore[str-format]  # isinstance() would cost 2 % of a GET
    return b"$%d\r\n%s\r\n" % (len(text), text)


def integer(number: int) -> bytes:
    """Reply with a number."""
    return b":%d\r\n" % number


def simple(text: bytes) -> bytes:
    """Reply with a word."""
    return b"+%s\r\n" % text


def array(values: Iterable[bytes | int | None]) -> bytes:
    """Reply with a list of values."""
    return nested([bulk(value) for value in values])


def nested(replies: list[bytes]) -> bytes:
    """Reply with a list of replies."""
    return b"*%d\r\n%s" % (len(replies), b"".join(replies))


def mapping(
    pairs: Iterable[tuple[bytes, bytes | int]], protocol: int, as_reply: Callable[[Any], bytes] = bulk
) -> bytes:
    """Reply with names and values; protocol 3 has a type of its own for that."""
    words = [as_reply(word) for pair in pairs for word in pair]
    head = b"%%%d\r\n" % (len(words) // 2) if protocol == 3 else b"*%d\r\n" % len(words)
    return head + b"".join(words)


def collection(values: Collection[bytes], protocol: int) -> bytes:
    """Reply with values in no order; protocol 3 has a type of its own for that."""
    head = (b"~%d\r\n" if protocol == 3 else b"*%d\r\n") % len(values)
    return head + b"".join([bulk(value) for value in values])


# -- what clients are told

NO_INTEGER = "ERR value is not an integer or out of range"
NO_PASSWORD = (
    "ERR AUTH <password> called without any password configured for the default user. "  # noqa: S105 - an error
    "Are you sure your configuration is correct?"
)
NOT_KNOWN = "NOAUTH Authentication required."
OVERFLOW = "ERR increment or decrement would overflow"
SYNTAX = "ERR syntax error"
TOO_LONG = "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
UNKNOWN_HELLO = (
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH "
    "<user> <pass> option can be used to authenticate the client and select the RESP protocol version at "
    "the same time"
)
WRONG_PASSWORD = "WRONGPASS invalid username-password pair or user is disabled."  # noqa: S105 - an error
WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"


def wrong_number(name: str) -> str:
    """Return the error for a command with too few or too many words."""
    return f"ERR wrong number of arguments for '{name}' command"


def no_such_part(words: list[bytes]) -> Refused:
    """Return the error for the second word of a command with parts."""
    part = words[1][:128].decode("utf-8", "backslashreplace")
    name = words[0].decode().upper()
    return Refused(f"ERR unknown subcommand or wrong number of arguments for '{part}'. Try {name} HELP.")


def unknown(words: list[bytes]) -> str:
    """Return the error for a command that does not exist."""
    first, *rest = (word[:128].decode("utf-8", "backslashreplace") for word in words[:20])
    return (
        f"ERR unknown command '{first}', with args beginning with: " + "".join(f"'{w}' " for w in rest)[:128]
    )


# -- what clients say

SMALLEST, LARGEST = -(1 << 63), (1 << 63) - 1


def read_integer(word: bytes) -> int:
    """Return the number that ``word`` spells in the one way that counts: no blanks, no zeros in front."""
    try:
        number = int(word)
    except ValueError:
        raise Refused(NO_INTEGER) from None
    if not SMALLEST <= number <= LARGEST or b"%d" % number != word:
        raise Refused(NO_INTEGER)
    return number
