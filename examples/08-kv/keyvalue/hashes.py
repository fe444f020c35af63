"""Hashes: commands on values that are dicts."""

from keyvalue.replies import Refused, bulk, integer, mapping, wrong_number


def hset(session, words):
    if len(words) % 2:
        raise Refused(wrong_number("hset"))
    fields = session.db.make(dict, words[1])
    before = len(fields)
    for field, value in zip(words[2::2], words[3::2], strict=True):
        fields[field] = value
    return integer(len(fields) - before)


def hget(session, words):
    fields = session.db.find(dict, words[1])
    return bulk(fields.get(words[2]) if fields else None)


def hgetall(session, words):
    fields = session.db.find(dict, words[1]) or {}
    return mapping(fields.items(), session.protocol)


def hdel(session, words):
    fields = session.db.find(dict, words[1])
    if not fields:
        return integer(0)
    gone = sum(fields.pop(field, None) is not None for field in words[2:])
    if not fields:
        session.db.remove(words[1])
    return integer(gone)
