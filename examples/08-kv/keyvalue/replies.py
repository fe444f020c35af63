"""Replies: values as bytes of the Redis protocol, and the words of its errors.

https://redis.io/docs/latest/develop/reference/protocol-spec/
"""

OK = b"+OK\r\n"
NIL = b"$-1\r\n"
ZERO = b":0\r\n"
ONE = b":1\r\n"
EMPTY = b"*0\r\n"


class Refused(Exception):
    """A command that cannot be done; nothing was changed.

    Args:
        text: what the client is told, a word in capitals first.
    """

    def __init__(self, text):
        super().__init__(text)
        self.reply = error(text)


def error(text):
    """Reply that something is wrong."""
    return b"-%s\r\n" % text.encode("utf-8", "backslashreplace").replace(b"\r", b" ").replace(b"\n", b" ")


def bulk(value):
    """Reply with a value: bytes, a number, or None for nothing."""
    if type(value) is bytes:
        return b"$%d\r\n%s\r\n" % (len(value), value)
    if value is None:
        return NIL
    text = b"%d" % value
    return b"$%d\r\n%s\r\n" % (len(text), text)


def integer(number):
    """Reply with a number."""
    return b":%d\r\n" % number


def simple(text):
    """Reply with a word."""
    return b"+%s\r\n" % text


def array(values):
    """Reply with a list of values."""
    values = [bulk(value) for value in values]
    return b"*%d\r\n%s" % (len(values), b"".join(values))


def nested(replies):
    """Reply with a list of replies."""
    return b"*%d\r\n%s" % (len(replies), b"".join(replies))


def mapping(pairs, protocol, as_reply=bulk):
    """Reply with names and values; protocol 3 has a type of its own for that."""
    words = [as_reply(word) for pair in pairs for word in pair]
    head = b"%%%d\r\n" % (len(words) // 2) if protocol == 3 else b"*%d\r\n" % len(words)
    return head + b"".join(words)


def collection(values, protocol):
    """Reply with values in no order; protocol 3 has a type of its own for that."""
    values = [bulk(value) for value in values]
    return (b"~%d\r\n" if protocol == 3 else b"*%d\r\n") % len(values) + b"".join(values)


# -- what clients are told

NO_INTEGER = "ERR value is not an integer or out of range"
OVERFLOW = "ERR increment or decrement would overflow"
SYNTAX = "ERR syntax error"
TOO_LONG = "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"


def wrong_number(name):
    """Return the error for a command with too few or too many words."""
    return f"ERR wrong number of arguments for '{name}' command"


def unknown(words):
    """Return the error for a command that does not exist."""
    first, *rest = (word[:128].decode("utf-8", "backslashreplace") for word in words[:20])
    return (
        f"ERR unknown command '{first}', with args beginning with: " + "".join(f"'{w}' " for w in rest)[:128]
    )


# -- what clients say

SMALLEST, LARGEST = -(1 << 63), (1 << 63) - 1


def read_integer(word):
    """Return the number that ``word`` spells in the one way that counts: no blanks, no zeros in front."""
    try:
        number = int(word)
    except ValueError:
        raise Refused(NO_INTEGER) from None
    if not SMALLEST <= number <= LARGEST or b"%d" % number != word:
        raise Refused(NO_INTEGER)
    return number
