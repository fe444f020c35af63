"""Auth: commands by which a client says who it is and which protocol it speaks.

It must not know the password.
"""

from __future__ import annotations

from taphouse.makers.kv.client import Client
from taphouse.makers.kv.door import DEFAULT_USER
from taphouse.makers.kv.replies import (
    NO_PASSWORD,
    OK,
    SPEAKS_AS,
    SYNTAX,
    UNKNOWN_HELLO,
    WRONG_PASSWORD,
    Refused,
    bulk,
    integer,
    mapping,
)

__all__ = ["auth", "hello"]


def auth(client: Client, words: list[bytes]) -> bytes:
    """AUTH [user] password."""
    match words[1:]:
        case [password]:
            if client.factory.door.is_open:
                raise Refused(NO_PASSWORD)
            _let_in(client, DEFAULT_USER, password)
        case [user, password]:
            _let_in(client, user, password)
        case _:
            raise Refused(SYNTAX)
    return OK


def _let_in(client: Client, user: bytes, password: bytes) -> None:
    if not client.factory.door.admits(user, password):
        client.statistics.refused += 1
        raise Refused(WRONG_PASSWORD)
    client.admit()


def hello(client: Client, words: list[bytes]) -> bytes:
    """HELLO [2|3 [AUTH user password] [SETNAME name]]."""
    if len(words) > 1 and words[1] not in (b"2", b"3"):
        raise Refused("NOPROTO unsupported protocol version")
    name, options = client.name, words[2:]
    while options:
        match [options[0].upper(), *options[1:]]:
            case [b"AUTH", user, password, *rest]:
                _let_in(client, user, password)
            case [b"SETNAME", name, *rest]:
                pass
            case _:
                option = options[0].decode("utf-8", "backslashreplace")
                raise Refused(f"ERR Syntax error in HELLO option '{option}'")
        options = rest
    if not client.is_known:
        raise Refused(UNKNOWN_HELLO)
    client.name = name
    if len(words) > 1:
        client.protocol = int(words[1])
    facts: dict[bytes, bytes | int] = {
        b"server": b"redis",
        b"version": SPEAKS_AS.encode(),
        b"proto": client.protocol,
        b"id": client.number,
        b"mode": b"standalone",
        b"role": b"master",
    }
    return mapping(facts.items(), client.protocol, as_reply=_typed)


def _typed(fact: bytes | int | None) -> bytes:
    """Reply with a number as one, with anything else as a value."""
    return integer(fact) if type(fact) is int else bulk(fact)
