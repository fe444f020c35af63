"""Commands: what can be said, with how many words, and what happens then."""

from keyvalue import hashes, keys, lists, server, sets, strings
from keyvalue.replies import Refused, unknown, wrong_number

MANY = 1 << 30

# name: (what it does, least words, most words); the name counts as a word
TABLE = {
    "APPEND": (strings.append, 3, 3),
    "CLIENT": (server.client, 2, MANY),
    "COMMAND": (server.command, 1, MANY),
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
    "HELLO": (server.hello, 1, MANY),
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

COMMANDS = {spelling.encode(): row for name, row in TABLE.items() for spelling in (name, name.lower())}
USUAL = {name: row for name, row in COMMANDS.items() if row[0] is not server.quit_}
"""What can be done in a row: nothing is answered after QUIT."""


def find(words):
    """Return the row of a command spelt in any way.

    Raises:
        Refused: if there is none, or if it does not take so many words.
    """
    row = COMMANDS.get(words[0].upper())
    if row is None:
        raise Refused(unknown(words))
    if not row[1] <= len(words) <= row[2]:
        raise Refused(wrong_number(words[0].lower().decode()))
    return row
