"""Strings: commands on values that are bytes or numbers; it must not know other kinds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from taphouse.makers.kv import clock
from taphouse.makers.kv.client import Client
from taphouse.makers.kv.database import Database
from taphouse.makers.kv.replies import (
    LARGEST,
    NIL,
    OK,
    OVERFLOW,
    SMALLEST,
    SYNTAX,
    TOO_LONG,
    WRONG_TYPE,
    Refused,
    array,
    bulk,
    integer,
    read_integer,
    wrong_number,
)
from taphouse.makers.kv.requests import MAX_REQUEST_BYTES

__all__ = ["append", "decr", "get", "getset", "incr", "incrby", "mget", "mset", "set_", "strlen"]


def get(client: Client, words: list[bytes]) -> bytes:
    """GET key."""
    db = client.db
    value = db.look(words[1]) if db.expires else db.values.get(words[1])
    if type(value) is bytes:
        return b"$%d\r\n%s\r\n" % (len(value), value)
    return bulk(_check_text(value))


def _check_text(value: Any) -> bytes | int | None:
    """Return ``value`` if it is what this file is about, or None; refuse others."""
    if value is None or type(value) is bytes or type(value) is int:
        return value
    raise Refused(WRONG_TYPE)


def set_(client: Client, words: list[bytes]) -> bytes:
    """SET key value [NX|XX] [EX seconds|PX milliseconds]."""
    if len(words) == 3:
        client.db.put(words[1], words[2])
        return OK
    return _set_with_options(client.db, *words[1:])


def _set_with_options(db: Database, key: bytes, value: bytes, *words: bytes) -> bytes:
    """SET with EX, PX, NX, XX."""
    condition: bytes | None = None
    expires: int | None = None
    options: Iterator[bytes] = iter(words)
    for option in options:
        name = option.upper()
        if name in (b"NX", b"XX") and condition in (None, name):
            condition = name
        elif name in (b"EX", b"PX") and expires is None:
            expires = _deadline(next(options, None), 1000 if name == b"EX" else 1, "set")
        else:
            raise Refused(SYNTAX)
    if condition and (db.look(key) is None) is (condition == b"XX"):
        return NIL
    db.put(key, value)
    if expires:
        db.expires[key] = expires
    return OK


def _deadline(word: bytes | None, unit_ms: int, name: str) -> int:
    """Return the millisecond since 1970 that is ``word`` times ``unit_ms`` from now."""
    if word is None:
        raise Refused(SYNTAX)
    when = clock.now_ms() + read_integer(word) * unit_ms
    if when <= clock.now_ms() or when > LARGEST:
        raise Refused(f"ERR invalid expire time in '{name}' command")
    return when


def getset(client: Client, words: list[bytes]) -> bytes:
    """GETSET key value."""
    before = bulk(_check_text(client.db.look(words[1])))
    client.db.put(words[1], words[2])
    return before


def _add(db: Database, key: bytes, amount: int) -> bytes:
    """Add to the number of ``key``; it goes on as int, so that the next time there is nothing to read."""
    number = db.look(key)
    if type(number) is not int:
        number = 0 if _check_text(number) is None else read_integer(number)
    number += amount
    if not SMALLEST <= number <= LARGEST:
        raise Refused(OVERFLOW)
    db.values[key] = number
    return integer(number)


def incr(client: Client, words: list[bytes]) -> bytes:
    """INCR key."""
    db, key = client.db, words[1]
    if not db.expires:
        number = db.values.get(key)
        if type(number) is int and number < LARGEST:  # as nearly always
            db.values[key] = number = number + 1
            return b":%d\r\n" % number
    return _add(db, key, 1)


def decr(client: Client, words: list[bytes]) -> bytes:
    """DECR key."""
    return _add(client.db, words[1], -1)


def incrby(client: Client, words: list[bytes]) -> bytes:
    """INCRBY key amount."""
    return _add(client.db, words[1], read_integer(words[2]))


def _text_of(db: Database, key: bytes) -> bytes:
    """Return the bytes of ``key``, none if it is not there."""
    value = _check_text(db.look(key))
    if isinstance(value, int):
        return b"%d" % value
    return value or b""


def append(client: Client, words: list[bytes]) -> bytes:
    """APPEND key value."""
    db, key = client.db, words[1]
    value = _text_of(db, key)
    if len(value) + len(words[2]) > MAX_REQUEST_BYTES:
        raise Refused(TOO_LONG)
    value += words[2]
    db.values[key] = value
    return integer(len(value))


def strlen(client: Client, words: list[bytes]) -> bytes:
    """STRLEN key."""
    return integer(len(_text_of(client.db, words[1])))


def mget(client: Client, words: list[bytes]) -> bytes:
    """MGET key [key ...]."""
    values = (client.db.look(key) for key in words[1:])
    return array([value if type(value) in (bytes, int) else None for value in values])


def mset(client: Client, words: list[bytes]) -> bytes:
    """MSET key value [key value ...]."""
    if len(words) % 2 == 0:
        raise Refused(wrong_number("mset"))
    for key, value in zip(words[1::2], words[2::2], strict=True):
        client.db.put(key, value)
    return OK
