"""Keys: commands that do not care what is behind a key."""

from keyvalue import clock
from keyvalue.globs import glob
from keyvalue.replies import (
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


def delete(session, words):
    db = session.db
    gone = 0
    for key in words[1:]:
        if db.look(key) is not None:
            db.remove(key)
            gone += 1
    return integer(gone)


def exists(session, words):
    return integer(sum(session.db.look(key) is not None for key in words[1:]))


def type_(session, words):
    return simple(session.db.type_of(words[1]) or b"none")


def expire(session, words):
    db, key = session.db, words[1]
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


def ttl(session, words):
    db, key = session.db, words[1]
    if db.look(key) is None:
        return integer(-2)
    when = db.expires.get(key)
    return integer(-1 if when is None else (when - clock.now_ms() + 500) // 1000)


def persist(session, words):
    db, key = session.db, words[1]
    if db.look(key) is None:
        return ZERO
    return integer(db.expires.pop(key, None) is not None)


def keys(session, words):
    matches = glob(words[1])
    return array([key for key in session.db.live_keys() if matches(key)])


def scan(session, words):
    """SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]."""
    db = session.db
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


def dbsize(session, words):
    return integer(len(session.db.values))


def flushdb(session, words):
    if len(words) == 2 and words[1].upper() not in (b"SYNC", b"ASYNC"):
        raise Refused(SYNTAX)
    session.db.clear()
    return OK
