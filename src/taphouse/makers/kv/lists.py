"""Lists: commands on values that are deques; it must not know keys that expire."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import islice

from taphouse.makers.kv.client import Client
from taphouse.makers.kv.database import Database
from taphouse.makers.kv.replies import EMPTY, NIL, Refused, array, bulk, integer, read_integer

__all__ = ["llen", "lpop", "lpush", "lrange", "rpop", "rpush"]


def lpush(client: Client, words: list[bytes]) -> bytes:
    """LPUSH key item [item ...]."""
    items = client.db.make(deque, words[1])
    items.extendleft(words[2:])
    return integer(len(items))


def rpush(client: Client, words: list[bytes]) -> bytes:
    """RPUSH key item [item ...]."""
    items = client.db.make(deque, words[1])
    items.extend(words[2:])
    return integer(len(items))


def lpop(client: Client, words: list[bytes]) -> bytes:
    """LPOP key [count]."""
    return _pop(client.db, words, deque.popleft)


def rpop(client: Client, words: list[bytes]) -> bytes:
    """RPOP key [count]."""
    return _pop(client.db, words, deque.pop)


def _pop(db: Database, words: list[bytes], take: Callable[[deque[bytes]], bytes]) -> bytes:
    """Take one item from an end, or as many as the third word says."""
    count = _read_count(words[2]) if len(words) > 2 else None
    items = db.find(deque, words[1])
    if items is None:
        return NIL if count is None else b"*-1\r\n"
    taken = [take(items) for _ in range(1 if count is None else min(count, len(items)))]
    if not items:
        db.remove(words[1])
    return bulk(taken[0]) if count is None else array(taken)


def _read_count(word: bytes) -> int:
    """Return the number of items that ``word`` asks for."""
    try:
        count = read_integer(word)
    except Refused:
        count = -1
    if count < 0:
        raise Refused("ERR value is out of range, must be positive")
    return count


def llen(client: Client, words: list[bytes]) -> bytes:
    """LLEN key."""
    return integer(len(client.db.find(deque, words[1]) or ()))


def lrange(client: Client, words: list[bytes]) -> bytes:
    """LRANGE key start stop."""
    start, stop = read_integer(words[2]), read_integer(words[3])
    items = client.db.find(deque, words[1])
    if items is None:
        return EMPTY
    start, stop, _ = slice(start, stop + 1 or None).indices(len(items))
    return array(list(islice(items, start, max(start, stop))))
