"""Hashes: commands on values that are dicts; it must not know keys that expire."""

from __future__ import annotations

from taphouse.makers.kv.client import Client
from taphouse.makers.kv.replies import Refused, bulk, integer, mapping, wrong_number

__all__ = ["hdel", "hget", "hgetall", "hset"]


def hset(client: Client, words: list[bytes]) -> bytes:
    """HSET key field value [field value ...]."""
    if len(words) % 2:
        raise Refused(wrong_number("hset"))
    fields = client.db.make(dict, words[1])
    before = len(fields)
    for field, value in zip(words[2::2], words[3::2], strict=True):
        fields[field] = value
    return integer(len(fields) - before)


def hget(client: Client, words: list[bytes]) -> bytes:
    """HGET key field."""
    fields = client.db.find(dict, words[1])
    return bulk(fields.get(words[2]) if fields else None)


def hgetall(client: Client, words: list[bytes]) -> bytes:
    """HGETALL key."""
    fields = client.db.find(dict, words[1]) or {}
    return mapping(fields.items(), client.protocol)


def hdel(client: Client, words: list[bytes]) -> bytes:
    """HDEL key field [field ...]."""
    fields = client.db.find(dict, words[1])
    if not fields:
        return integer(0)
    gone = sum(fields.pop(field, None) is not None for field in words[2:])
    if not fields:
        client.db.remove(words[1])
    return integer(gone)
