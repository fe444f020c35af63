"""Sets: commands on values that are sets; it must not know keys that expire."""

from __future__ import annotations

from taphouse.makers.kv.client import Client
from taphouse.makers.kv.replies import ZERO, collection, integer

__all__ = ["sadd", "sismember", "smembers", "srem"]


def sadd(client: Client, words: list[bytes]) -> bytes:
    """SADD key member [member ...]."""
    members = client.db.make(set, words[1])
    before = len(members)
    members.update(words[2:])
    return integer(len(members) - before)


def srem(client: Client, words: list[bytes]) -> bytes:
    """SREM key member [member ...]."""
    members = client.db.find(set, words[1])
    if members is None:
        return ZERO
    before = len(members)
    for member in words[2:]:
        members.discard(member)
    if not members:
        client.db.remove(words[1])
    return integer(before - len(members))


def smembers(client: Client, words: list[bytes]) -> bytes:
    """SMEMBERS key."""
    return collection(client.db.find(set, words[1]) or (), client.protocol)


def sismember(client: Client, words: list[bytes]) -> bytes:
    """SISMEMBER key member."""
    return integer(words[2] in (client.db.find(set, words[1]) or ()))
