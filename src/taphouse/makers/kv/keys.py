"""Keys: commands that do not care what is behind a key, and must not know it."""

from __future__ import annotations

from taphouse.makers.kv import clock
from taphouse.makers.kv.client import Client
from taphouse.makers.kv.globs import glob
from taphouse.makers.kv.replies import (
    LARGEST,
    OK,
    ONE,
    SMALLEST,
    SYNTAX,
    ZERO,
    Refused,
    array,
    bulk,
    integer,
    nested,
    read_integer,
    simple,
)

__all__ = ["dbsize", "delete", "exists", "expire", "flushdb", "keys", "persist", "scan", "ttl", "type_"]


def delete(client: Client, words: list[bytes]) -> bytes:
    """DEL key [key ...]."""
    db = client.db
    gone = 0
    for key in words[1:]:
        if db.look(key) is not None:
            db.remove(key)
            gone += 1
    return integer(gone)


def exists(client: Client, words: list[bytes]) -> bytes:
    """EXISTS key [key ...]."""
    return integer(sum(client.db.look(key) is not None for key in words[1:]))


def type_(client: Client, words: list[bytes]) -> bytes:
    """TYPE key."""
    return simple(client.db.type_of(words[1]) or b"none")


def expire(client: Client, words: list[bytes]) -> bytes:
    """EXPIRE key seconds."""
    db, key = client.db, words[1]
    when = clock.now_ms() + read_integer(words[2]) * 1000
    if not SMALLEST <= when <= LARGEST:
        raise Refused("ERR invalid expire time in 'expire' command")
    if db.look(key) is None:
        return ZERO
    if when <= clock.now_ms():
        db.remove(key)
    else:
        db.expires[key] = when
    return ONE


def ttl(client: Client, words: list[bytes]) -> bytes:
    """TTL key."""
    db, key = client.db, words[1]
    if db.look(key) is None:
        return integer(-2)
    when = db.expires.get(key)
    return integer(-1 if when is None else (when - clock.now_ms() + 500) // 1000)


def persist(client: Client, words: list[bytes]) -> bytes:
    """PERSIST key."""
    db, key = client.db, words[1]
    if db.look(key) is None:
        return ZERO
    return integer(db.expires.pop(key, None) is not None)


def keys(client: Client, words: list[bytes]) -> bytes:
    """KEYS pattern."""
    matches = glob(words[1])
    return array([key for key in client.db.live_keys() if matches(key)])


def scan(client: Client, words: list[bytes]) -> bytes:
    """SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]."""
    db = client.db
    if not words[1].isdigit():
        raise Refused("ERR invalid cursor")
    matches, count, kind = None, 10, None
    options = words[2:]
    if len(options) % 2:
        raise Refused(SYNTAX)
    for name, value in zip(options[::2], options[1::2], strict=True):
        match name.upper():
            case b"MATCH":
                matches = glob(value)
            case b"COUNT":
                count = read_integer(value)
                if count < 1:
                    raise Refused(SYNTAX)
            case b"TYPE":
                kind = value.lower()
            case _:
                raise Refused(SYNTAX)
    cursor, page = db.page(int(words[1]), count)
    if matches:
        page = [key for key in page if matches(key)]
    if kind:
        page = [key for key in page if db.type_of(key) == kind]
    return nested([bulk(cursor), array(page)])


def dbsize(client: Client, words: list[bytes]) -> bytes:
    """DBSIZE."""
    return integer(len(client.db.values))


def flushdb(client: Client, words: list[bytes]) -> bytes:
    """FLUSHDB [ASYNC|SYNC]."""
    if len(words) == 2 and words[1].upper() not in (b"SYNC", b"ASYNC"):
        raise Refused(SYNTAX)
    client.db.clear()
    return OK
