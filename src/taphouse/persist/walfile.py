"""SQLite's write-ahead log, read as bytes: is it whole, and how far does it reach?

SQLite stops reading a WAL at the first frame that does not fit, which is right
after a torn write and silently wrong after damage in the middle.  Here the two
are told apart: a commit is synced before the next one is written, so frames of
a later commit behind a bad frame mean that something durable was damaged.  The
format is https://sqlite.org/fileformat2.html#the_write_ahead_log.  This module
must never know tables or rows.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Final

from taphouse.persist.codes import CodecError
from taphouse.persist.schema import PAGE_SIZE
from taphouse.value import Value

__all__ = ["WalScan", "count_frames", "scan_wal", "wal_checksum"]

_HEADER: Final = 32
_FRAME_HEADER: Final = 24
_FRAME: Final = _FRAME_HEADER + PAGE_SIZE
_VERSION: Final = 3007000
_SECTOR: Final = 512
"""What a disk writes whole; larger ones are multiples."""


class WalScan(Value):
    """What a WAL holds.

    Args:
        exists: the file is there.
        is_blank: it has no header yet: empty, or zeros.
        frames: valid ones up to the last commit; SQLite reads exactly these.
    """

    exists: bool
    is_blank: bool = True
    frames: int = 0


def wal_checksum(data: bytes, little: bool, first: int, second: int) -> tuple[int, int]:
    """Return SQLite's running checksum after ``data`` (a multiple of 8 bytes)."""
    words = struct.unpack(f"{'<' if little else '>'}{len(data) // 4}I", data)
    for x, y in zip(words[::2], words[1::2], strict=True):
        first = (first + x + second) & 0xFFFFFFFF
        second = (second + y + first) & 0xFFFFFFFF
    return first, second


def scan_wal(path: Path) -> WalScan:
    """Read the WAL at ``path``.

    Raises:
        CodecError: if it is no WAL of a tap, or damaged before its end.
        OSError: if it cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read()
    except FileNotFoundError:
        return WalScan(exists=False)
    head = data[:_HEADER]
    if len(head) < _HEADER or not any(head):
        return WalScan(exists=True)
    magic, version, page_size, _checkpoint, salt1, salt2, sum1, sum2 = struct.unpack(">8I", head)
    if magic & ~1 != 0x377F0682 or version != _VERSION or page_size != PAGE_SIZE:
        raise CodecError("the WAL beside it is no WAL of a tap")
    little = not magic & 1
    running = wal_checksum(head[:24], little, 0, 0)
    if running != (sum1, sum2):
        raise CodecError("the WAL beside it has a damaged header")
    salts = (salt1, salt2)
    good = committed = 0
    total = (len(data) - _HEADER) // _FRAME
    for good in range(total + 1):
        if good == total:
            break
        at = _HEADER + good * _FRAME
        page, size, *rest = struct.unpack_from(">6I", data, at)
        if tuple(rest[:2]) != salts or not page:
            break
        running = wal_checksum(data[at : at + 8], little, *running)
        running = wal_checksum(data[at + _FRAME_HEADER : at + _FRAME], little, *running)
        if running != (rest[2], rest[3]):
            break
        if size:
            committed = good + 1
    _check_rest(data, committed, total, salts, little=little)
    return WalScan(exists=True, is_blank=False, frames=committed)


def count_frames(path: Path) -> int:
    """Return how many frames were written to the WAL at ``path`` since it began anew.

    They have its salts and come first; behind them are older frames, or zeros.  So a dozen short
    reads find the last one.  No sum is checked: this is about length.

    Raises:
        OSError: if it cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        salts = os.pread(descriptor, 8, 16)
        low, high = 0, (os.fstat(descriptor).st_size - _HEADER) // _FRAME
        while low < high:
            middle = (low + high) // 2
            if os.pread(descriptor, 8, _HEADER + middle * _FRAME + 8) == salts:
                low = middle + 1
            else:
                high = middle
        return low
    finally:
        os.close(descriptor)


def _check_rest(data: bytes, committed: int, total: int, salts: tuple[int, int], *, little: bool) -> None:
    """Refuse frames of this WAL behind the end of the commit that was not finished."""
    ended = False
    for index in range(committed, total):
        at = _HEADER + index * _FRAME
        _page, size, salt1, salt2 = struct.unpack_from(">4I", data, at)
        if (salt1, salt2) != salts:
            continue
        if ended:
            raise CodecError(f"the WAL beside it is damaged before frame {index + 1}")
        # Where a sector ends between size and salts, a torn write leaves the size of an older frame.
        may_be_older = at % _SECTOR == _SECTOR - 8 and not _follows(data, at, little=little)
        ended = size != 0 and not may_be_older


def _follows(data: bytes, at: int, *, little: bool) -> bool:
    """Say whether the frame at ``at`` is whole, judged by the sums that the one before it claims."""
    first, second = struct.unpack_from(">2I", data, at - _FRAME + 16)
    first, second = wal_checksum(data[at : at + 8], little, first, second)
    return wal_checksum(data[at + _FRAME_HEADER : at + _FRAME], little, first, second) == struct.unpack_from(
        ">2I", data, at + 16
    )
