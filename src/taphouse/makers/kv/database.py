"""Database: keys, their values, and when they expire.

A value is bytes, or an int once it has been counted with; a dict, a deque or a set.  All three
containers here may hold millions of entries: a change costs the same as among ten.  It must
not know commands.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from itertools import islice
from typing import Any, TypeVar
from zlib import crc32

from taphouse.durable import Durable
from taphouse.makers.kv import clock
from taphouse.makers.kv.replies import WRONG_TYPE, Refused

__all__ = ["Database"]

Kind = TypeVar("Kind", dict[bytes, bytes], deque[bytes], set[bytes])

NEVER = 1 << 63
TYPES = ((int, b"string"), (dict, b"hash"), (deque, b"list"), (set, b"set"))


class Database(Durable, name="kv.Database"):
    """One of the numbered databases.

    Attributes:
        values: key -> value.
        expires: key -> the millisecond since 1970 in which it is gone; only keys that expire.
    """

    _v_order: list[bytes] | None = None
    _v_swept = 0

    def __init__(self) -> None:
        self.values: dict[bytes, Any] = {}
        self.expires: dict[bytes, int] = {}

    # -- keys

    def look(self, key: bytes) -> Any:
        """Return the value of ``key``, or None.

        A key whose time has come is removed when it is seen: set the clock back, it stays gone.
        """
        expires = self.expires
        if expires and expires.get(key, NEVER) <= clock.now_ms():
            self.remove(key)
            return None
        return self.values.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        """Let ``key`` have ``value``, for good."""
        self.values[key] = value
        if self.expires:
            self.expires.pop(key, None)

    def remove(self, key: bytes) -> None:
        """Remove ``key``, which is there."""
        del self.values[key]
        if self.expires:
            self.expires.pop(key, None)

    def clear(self) -> None:
        """Remove all."""
        self.values.clear()
        self.expires.clear()
        self._v_order = None

    def live_keys(self) -> list[bytes]:
        """Return all keys that are not expired."""
        if not self.expires:
            return list(self.values)
        now, when = clock.now_ms(), self.expires.get
        return [key for key in self.values if when(key, NEVER) > now]

    # -- values of one kind

    def find(self, kind: type[Kind], key: bytes) -> Kind | None:
        """Return the dict, deque or set of ``key``, or None.

        Raises:
            Refused: if its value is of another kind.
        """
        value = self.look(key)
        if value is None or isinstance(value, kind):
            return value
        raise Refused(WRONG_TYPE)

    def make(self, kind: type[Kind], key: bytes) -> Kind:
        """Return the dict, deque or set of ``key``; if there is none, an empty one is put there."""
        found = self.find(kind, key)
        if found is None:
            self.values[key] = kind()
            found = self.values[key]
        return found

    def type_of(self, key: bytes) -> bytes | None:
        """Return the name of the kind of value that ``key`` has, or None."""
        value = self.look(key)
        if value is None:
            return None
        return next((name for kind, name in TYPES if isinstance(value, kind)), b"string")

    # -- walking

    def page(self, cursor: int, count: int) -> tuple[int, list[bytes]]:
        """Return ``(next cursor, keys)``, about ``count`` of them, in an order of their own.

        The order is that of their checksums, so a cursor is a number that means the same whatever
        comes and goes and after a restart too: who starts at 0 and follows the cursors until the
        next is 0 has seen every key that was there all the time.
        """
        order = self._v_order
        if cursor == 0 or order is None:
            order = self._v_order = sorted(self.values, key=crc32)
        start = bisect_left(order, cursor, key=crc32)
        page = order[start : start + count]
        end = start + len(page)
        while 0 < end < len(order) and crc32(order[end]) == crc32(order[end - 1]):
            page.append(order[end])
            end += 1
        if end < len(order):
            following = crc32(order[end])
        else:
            following, self._v_order = 0, None
        now, when, values = clock.now_ms(), self.expires.get, self.values
        return following, [key for key in page if key in values and when(key, NEVER) > now]

    def sweep(self, count: int = 200) -> bool:
        """Remove those of the next ``count`` keys with a time whose time has come.

        Returns:
            Whether it was worth it, so that more should be swept at once.
        """
        expires = self.expires
        if not expires:
            return False
        start = self._v_swept if self._v_swept < len(expires) else 0
        now = clock.now_ms()
        seen = list(islice(expires.items(), start, start + count))
        gone = [key for key, when in seen if when <= now]
        for key in gone:
            self.remove(key)
        self._v_swept = start + len(seen) - len(gone)
        return len(gone) * 4 > count
