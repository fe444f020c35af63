"""Opaque values: mutable ones that cannot be tracked, so they are compared.

Plain instances, bytearrays and the plain containers they share.  Each has a row;
in every epoch its row is written again and compared by digest.  This module must
never know files.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from taphouse.durable import check_value
from taphouse.errors import NotDurableError
from taphouse.persist.leaves import PackFailure
from taphouse.persist.records import Row

__all__ = ["OpaqueEntry", "check_opaque", "digest_of"]


def digest_of(row: Row) -> bytes:
    """Return what tells a changed row from the same one."""
    return hashlib.blake2b(row[1], digest_size=16, salt=row[0].to_bytes(8, "big")).digest()


_MESSAGE = re.compile(r"((?:\.\w+|\[.*?\]|\{\.\.\.\})*): (.*)", re.DOTALL)
"""A refusal: the path in the value, then why."""


def check_opaque(value: object) -> None:
    """Check an opaque value that is met for the first time: it may have come in unseen.

    Raises:
        PackFailure: if no tap can hold it.
    """
    try:
        check_value(value, "")
    except NotDurableError as error:
        path, why = _MESSAGE.fullmatch(error.message).groups()  # type: ignore[union-attr]
        raise PackFailure(why, path) from error


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
