"""Sets: commands on values that are sets."""

from keyvalue.replies import ZERO, collection, integer


def sadd(session, words):
    members = session.db.make(set, words[1])
    before = len(members)
    members.update(words[2:])
    return integer(len(members) - before)


def srem(session, words):
    members = session.db.find(set, words[1])
    if members is None:
        return ZERO
    before = len(members)
    for member in words[2:]:
        members.discard(member)
    if not members:
        session.db.remove(words[1])
    return integer(before - len(members))


def smembers(session, words):
    return collection(session.db.find(set, words[1]) or (), session.protocol)


def sismember(session, words):
    return integer(words[2] in (session.db.find(set, words[1]) or ()))
