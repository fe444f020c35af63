"""Commands: what can be said, with how many words, and what happens then.

It must not know who says it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from taphouse.makers.kv import auth, hashes, keys, lists, server, sets, strings
from taphouse.makers.kv.client import Client, Command
from taphouse.makers.kv.replies import (
    EMPTY,
    NOT_KNOWN,
    Refused,
    bulk,
    integer,
    nested,
    no_such_part,
    unknown,
    wrong_number,
)

__all__ = ["NOTHING", "TABLE", "USUAL", "Row", "find"]

MANY = 1 << 30
Row: TypeAlias = tuple[Command, int, int]


def command(client: Client, words: list[bytes]) -> bytes:
    """COMMAND, COMMAND COUNT; nothing more is known about them."""
    match [word.upper() for word in words[1:2]]:
        case []:
            return nested([_describe(name, *row[1:]) for name, row in TABLE.items()])
        case [b"COUNT"]:
            return integer(len(TABLE))
        case [b"DOCS"]:
            return EMPTY if client.protocol == 2 else b"%0\r\n"
    raise no_such_part(words)


def _describe(name: str, least: int, most: int) -> bytes:
    """Return what COMMAND says of one: its name, its number of words (negative: or more)."""
    arity = least if least == most else -least
    return nested([bulk(name.lower().encode()), integer(arity), EMPTY, integer(0), integer(0), integer(0)])


TABLE: dict[str, Row] = {
    "APPEND": (strings.append, 3, 3),
    "AUTH": (auth.auth, 2, MANY),
    "CLIENT": (server.client, 2, MANY),
    "COMMAND": (command, 1, MANY),
    "CONFIG": (server.config, 2, MANY),
    "DBSIZE": (keys.dbsize, 1, 1),
    "DECR": (strings.decr, 2, 2),
    "DEL": (keys.delete, 2, MANY),
    "ECHO": (server.echo, 2, 2),
    "EXISTS": (keys.exists, 2, MANY),
    "EXPIRE": (keys.expire, 3, 3),
    "FLUSHDB": (keys.flushdb, 1, 2),
    "GET": (strings.get, 2, 2),
    "GETSET": (strings.getset, 3, 3),
    "HDEL": (hashes.hdel, 3, MANY),
    "HELLO": (auth.hello, 1, MANY),
    "HGET": (hashes.hget, 3, 3),
    "HGETALL": (hashes.hgetall, 2, 2),
    "HSET": (hashes.hset, 4, MANY),
    "INCR": (strings.incr, 2, 2),
    "INCRBY": (strings.incrby, 3, 3),
    "INFO": (server.info, 1, MANY),
    "KEYS": (keys.keys, 2, 2),
    "LLEN": (lists.llen, 2, 2),
    "LPOP": (lists.lpop, 2, 3),
    "LPUSH": (lists.lpush, 3, MANY),
    "LRANGE": (lists.lrange, 4, 4),
    "MGET": (strings.mget, 2, MANY),
    "MSET": (strings.mset, 3, MANY),
    "PERSIST": (keys.persist, 2, 2),
    "PING": (server.ping, 1, 2),
    "QUIT": (server.quit_, 1, MANY),
    "RPOP": (lists.rpop, 2, 3),
    "RPUSH": (lists.rpush, 3, MANY),
    "SADD": (sets.sadd, 3, MANY),
    "SCAN": (keys.scan, 2, MANY),
    "SELECT": (server.select, 2, 2),
    "SET": (strings.set_, 3, MANY),
    "SISMEMBER": (sets.sismember, 3, 3),
    "SMEMBERS": (sets.smembers, 2, 2),
    "SREM": (sets.srem, 3, MANY),
    "STRLEN": (strings.strlen, 2, 2),
    "TTL": (keys.ttl, 2, 2),
    "TYPE": (keys.type_, 2, 2),
}
"""Name -> what it does, least words, most words; the name counts as a word."""

_COMMANDS = {spelling.encode(): row for name, row in TABLE.items() for spelling in (name, name.lower())}
_FOR_STRANGERS = frozenset({auth.auth, auth.hello, server.quit_})

USUAL: Mapping[bytes, Row] = {name: row for name, row in _COMMANDS.items() if row[0] is not server.quit_}
"""What can be done in a row: nothing is answered after QUIT."""

NOTHING: Mapping[bytes, Row] = {}
"""What can be done in a row by who has not said the password: each command is looked at."""


def find(words: list[bytes], *, is_known: bool) -> Command:
    """Return what does a command, spelt in any way.

    Args:
        words: the command first.
        is_known: whether its client may do everything.

    Raises:
        Refused: if there is none, if it does not take so many words, or if the password comes first.
    """
    row = _COMMANDS.get(words[0].upper())
    if row is None:
        raise Refused(unknown(words))
    does, least, most = row
    if not least <= len(words) <= most:
        raise Refused(wrong_number(words[0].lower().decode()))
    if not is_known and does not in _FOR_STRANGERS:
        raise Refused(NOT_KNOWN)
    return does
