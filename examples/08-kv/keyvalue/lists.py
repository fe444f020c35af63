"""Lists: commands on values that are deques."""

from collections import deque
from itertools import islice

from keyvalue.replies import EMPTY, NIL, Refused, array, bulk, integer, read_integer


def lpush(session, words):
    items = session.db.make(deque, words[1])
    items.extendleft(words[2:])
    return integer(len(items))


def rpush(session, words):
    items = session.db.make(deque, words[1])
    items.extend(words[2:])
    return integer(len(items))


def lpop(session, words):
    return pop(session.db, words, deque.popleft)


def rpop(session, words):
    return pop(session.db, words, deque.pop)


def pop(db, words, take):
    """Take one item from an end, or as many as the third word says."""
    count = read_count(words[2]) if len(words) > 2 else None
    items = db.find(deque, words[1])
    if items is None:
        return NIL if count is None else b"*-1\r\n"
    taken = [take(items) for _ in range(1 if count is None else min(count, len(items)))]
    if not items:
        db.remove(words[1])
    return bulk(taken[0]) if count is None else array(taken)


def read_count(word):
    """Return the number of items that ``word`` asks for."""
    try:
        count = read_integer(word)
    except Refused:
        count = -1
    if count < 0:
        raise Refused("ERR value is out of range, must be positive")
    return count


def llen(session, words):
    return integer(len(session.db.find(deque, words[1]) or ()))


def lrange(session, words):
    start, stop = read_integer(words[2]), read_integer(words[3])
    items = session.db.find(deque, words[1])
    if items is None:
        return EMPTY
    start, stop, _ = slice(start, stop + 1 or None).indices(len(items))
    return array(list(islice(items, start, max(start, stop))))
