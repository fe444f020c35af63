"""Opening a tap that may come from a stranger: header first, then SQLite, then the schema.

The file's own header is read before SQLite sees it; SQLite is opened with its
defences on; anything in the schema that is not literally ours is refused, since
triggers, views, virtual tables and generated columns are code.  This module must
never know what the rows mean.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from taphouse.errors import NotPermittedError, TapError
from taphouse.persist.codes import CodecError
from taphouse.persist.schema import APPLICATION_ID, DDL, FORMAT, PAGE_SIZE

__all__ = [
    "check_header",
    "check_schema",
    "check_size",
    "connect",
    "damage_as_tap_error",
    "is_tap",
    "reason_of",
    "wal_path",
]

_MAGIC: Final = b"SQLite format 3\0"
_CURE_FOREIGN: Final = "give a file that taphouse wrote"
_CURE_DAMAGED: Final = "restore it from a backup"


def wal_path(path: Path) -> Path:
    """Return where SQLite keeps the write-ahead log of ``path``."""
    return path.with_name(path.name + "-wal")


@contextmanager
def damage_as_tap_error(path: Path, where: str | Callable[[], str] = "") -> Iterator[None]:
    """Turn what reading damaged bytes raises into one line that names the file, and where in it."""
    try:
        yield
    except CodecError as error:
        raise _damage(str(error), path, where) from error
    except (sqlite3.Error, sqlite3.Warning, UnicodeError) as error:
        raise _damage(f"damaged: {str(error).splitlines()[0]:.200}", path, where) from error
    except (MemoryError, OverflowError, RecursionError) as error:
        raise _damage(f"damaged: {type(error).__name__} while reading", path, where) from error


def _damage(message: str, path: Path, where: str | Callable[[], str]) -> TapError:
    place = where() if callable(where) else where
    return TapError(message, path=str(path), where=place, cure=_CURE_DAMAGED)


def is_tap(path: str | os.PathLike[str]) -> bool:
    """Say whether a file begins as a tap does; a missing one does not.

    Raises:
        OSError: if it cannot be read.
    """
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def check_header(path: Path) -> tuple[int, int]:
    """Check the first bytes of a tap without SQLite.

    Returns:
        The file's size in bytes, and the one that its header gives.

    Raises:
        TapError: if it is missing, no tap, or newer than this program.
        NotPermittedError: if it may not be read.
    """
    name = str(path)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        raise TapError("no such file", path=name, cure="check its name and its folder") from None
    except PermissionError as error:
        raise NotPermittedError(f"{name}: {error.strerror}", cure="run as a user who may read it") from error
    except OSError as error:
        raise TapError(f"cannot be read: {error.strerror}", path=name) from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise TapError("is not a regular file", path=name, cure=_CURE_FOREIGN)
        head = os.pread(descriptor, 108, 0)
    finally:
        os.close(descriptor)
    return status.st_size, _check_head(head, status.st_size, name)


def check_size(size: int, given: int, path: Path) -> None:
    """Refuse a main file that is not as long as its header says; only one without a WAL has to be.

    Raises:
        TapError: if it is shorter, or ends inside of a page.
    """
    if size % PAGE_SIZE or size < given:
        raise TapError(f"is cut off: {size} bytes, {given} expected", path=str(path), cure=_CURE_DAMAGED)


def _check_head(head: bytes, size: int, name: str) -> int:
    if head[:16] != _MAGIC[: len(head[:16])] or not head:
        raise TapError("is not a tap", path=name, cure=_CURE_FOREIGN)
    if len(head) < 108:
        raise TapError(f"is cut off after {size} bytes", path=name, cure=_CURE_DAMAGED)

    def number(at: int) -> int:
        return int.from_bytes(head[at : at + 4], "big")

    if number(68) != APPLICATION_ID:
        raise TapError("is an SQLite file, but not a tap", path=name, cure=_CURE_FOREIGN)
    if number(60) > FORMAT:
        raise TapError(
            f"has format {number(60)}, this taphouse reads up to {FORMAT}", path=name, cure="upgrade taphouse"
        )
    if number(60) != FORMAT:
        raise TapError(f"has format {number(60)}, which never existed", path=name, cure=_CURE_DAMAGED)
    page_size = int.from_bytes(head[16:18], "big")
    expected = page_size == PAGE_SIZE and head[18] in (1, 2) and head[18] == head[19] and head[20] == 0
    # 44: schema format; 52: auto-vacuum; 56: UTF-8; 100: the schema's tree is one leaf, so reading it ends.
    if not expected or number(44) not in (1, 2, 3, 4) or number(52) or number(56) != 1 or head[100] != 0x0D:
        raise TapError("has a header that taphouse does not write", path=name, cure=_CURE_DAMAGED)
    return number(28) * PAGE_SIZE


def connect(path: Path, *, mode: str, longest: int = 0) -> sqlite3.Connection:
    """Open ``path`` with SQLite's defences on.

    Args:
        path: an existing file that :func:`check_header` accepted.
        mode: ``immutable`` (the main file alone, not a byte of it changes) or ``rw``
            (recovers the WAL; exclusive, so no ``-shm`` appears).
        longest: bytes that no column can be longer than, or 0: a damaged length then allocates nothing.

    Raises:
        sqlite3.Error: if it cannot be opened.
    """
    how = "mode=ro&immutable=1" if mode == "immutable" else "mode=rw"
    db = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?{how}", uri=True, isolation_level=None, check_same_thread=False
    )
    db.execute("PRAGMA trusted_schema=OFF")
    db.execute("PRAGMA cell_size_check=ON")
    db.execute("PRAGMA mmap_size=0")
    db.execute("PRAGMA temp_store=MEMORY")
    db.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, 100_000)
    db.setlimit(sqlite3.SQLITE_LIMIT_EXPR_DEPTH, 20)
    db.setlimit(sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH, 1)
    db.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    if longest:
        db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, min(max(longest, 1_000_000), 1_000_000_000))
    if mode == "rw":
        db.execute("PRAGMA locking_mode=EXCLUSIVE")
    return db


def check_schema(db: sqlite3.Connection, path: Path) -> None:
    """Refuse a tap whose schema has anything but our tables, then let SQLite check its trees.

    ``quick_check`` comes before any other read: it visits every page once and finds
    pages that two places share, with which a small file could pretend to be endless.

    Raises:
        TapError: if there is anything else, or the trees are damaged.
    """
    with damage_as_tap_error(path, "schema"):
        found = db.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema LIMIT 100").fetchall()
        wanted = {("table", name, name, sql) for name, sql in DDL.items()}
        for row in sorted(set(found) - wanted, key=repr):
            raise TapError(
                f"there is a {row[0]!s:.20} {row[1]!s:.60} that taphouse did not make",
                path=str(path),
                where="schema",
                cure="do not use this file",
            )
        if len(found) != len(wanted):
            raise CodecError("a table is missing or there twice")
    with damage_as_tap_error(path):
        (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise CodecError(f"damaged: {str(verdict).splitlines()[-1]:.150}")


def reason_of(error: Exception) -> str:
    """Return what an error of SQLite or of the system says, on one line."""
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    name = getattr(error, "sqlite_errorname", "")
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return f"{text} ({name})" if name else text
