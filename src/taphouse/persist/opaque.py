"""Opaque values: mutable ones that cannot be tracked, so they are compared.

Plain instances, bytearrays and the plain containers they share.  Each has a row;
in every epoch its row is written again and compared by digest.  This module must
never know files.
"""

from __future__ import annotations

import hashlib
from typing import Any

from taphouse.persist.records import Row

__all__ = ["OpaqueEntry", "digest_of"]


def digest_of(row: Row) -> bytes:
    """Return what tells a changed row from the same one."""
    return hashlib.blake2b(row[1], digest_size=16, salt=row[0].to_bytes(8, "big")).digest()


class OpaqueEntry:
    """One opaque value.

    Args:
        oid: its row number.
        value: the value itself; the entry keeps it, so that no other value gets its id.
        cid: class number of its row as stored.
        state: its row as stored.
    """

    __slots__ = ("digest", "oid", "value")

    def __init__(self, oid: int, value: Any, cid: int = 0, state: bytes = b"") -> None:
        self.oid = oid
        self.value = value
        self.digest = digest_of((cid, state)) if cid else b""
