"""Strings: commands on values that are bytes or numbers."""

from keyvalue import clock
from keyvalue.replies import (
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
from keyvalue.requests import MAX_REQUEST_BYTES


def get(session, words):
    db = session.db
    value = db.look(words[1]) if db.expires else db.values.get(words[1])
    if type(value) is bytes:
        return b"$%d\r\n%s\r\n" % (len(value), value)
    return bulk(check_text(value))


def check_text(value):
    """Return ``value`` if it is what this file is about, or None; refuse others."""
    if value is None or type(value) is bytes or type(value) is int:
        return value
    raise Refused(WRONG_TYPE)


def set_(session, words):
    if len(words) == 3:
        session.db.put(words[1], words[2])
        return OK
    return set_with_options(session.db, *words[1:])


def set_with_options(db, key, value, *options):
    """SET with EX, PX, NX, XX."""
    condition = expires = None
    options = iter(options)
    for option in options:
        name = option.upper()
        if name in (b"NX", b"XX") and condition in (None, name):
            condition = name
        elif name in (b"EX", b"PX") and expires is None:
            expires = deadline(next(options, None), 1000 if name == b"EX" else 1, "set")
        else:
            raise Refused(SYNTAX)
    if condition and (db.look(key) is None) is (condition == b"XX"):
        return NIL
    db.put(key, value)
    if expires:
        db.expires[key] = expires
    return OK


def deadline(word, unit_ms, name):
    """Return the millisecond since 1970 that is ``word`` times ``unit_ms`` from now."""
    if word is None:
        raise Refused(SYNTAX)
    when = clock.now_ms() + read_integer(word) * unit_ms
    if when <= clock.now_ms() or when > LARGEST:
        raise Refused(f"ERR invalid expire time in '{name}' command")
    return when


def getset(session, words):
    before = bulk(check_text(session.db.look(words[1])))
    session.db.put(words[1], words[2])
    return before


def add(db, key, amount):
    """Add to the number of ``key``; it goes on as int, so that the next time there is nothing to read."""
    number = db.look(key)
    if type(number) is not int:
        number = 0 if check_text(number) is None else read_integer(number)
    number += amount
    if not SMALLEST <= number <= LARGEST:
        raise Refused(OVERFLOW)
    db.values[key] = number
    return integer(number)


def incr(session, words):
    db, key = session.db, words[1]
    if not db.expires:
        number = db.values.get(key)
        if type(number) is int and number < LARGEST:  # as nearly always
            db.values[key] = number = number + 1
            return b":%d\r\n" % number
    return add(db, key, 1)


def decr(session, words):
    return add(session.db, words[1], -1)


def incrby(session, words):
    return add(session.db, words[1], read_integer(words[2]))


def text_of(db, key):
    """Return the bytes of ``key``, none if it is not there."""
    value = check_text(db.look(key))
    if type(value) is int:
        return b"%d" % value
    return value or b""


def append(session, words):
    db, key = session.db, words[1]
    value = text_of(db, key)
    if len(value) + len(words[2]) > MAX_REQUEST_BYTES:
        raise Refused(TOO_LONG)
    value += words[2]
    db.values[key] = value
    return integer(len(value))


def strlen(session, words):
    return integer(len(text_of(session.db, words[1])))


def mget(session, words):
    values = (session.db.look(key) for key in words[1:])
    return array([value if type(value) in (bytes, int) else None for value in values])


def mset(session, words):
    if len(words) % 2 == 0:
        raise Refused(wrong_number("mset"))
    for key, value in zip(words[1::2], words[2::2], strict=True):
        session.db.put(key, value)
    return OK
