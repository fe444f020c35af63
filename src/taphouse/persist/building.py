"""Building a whole tap under a temporary name, to appear by rename.

What is built is folded, sealed and synced before it has its name: whoever looks
sees the old file or the whole new one.  This module must never know objects.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from taphouse.durable import ClassRecord
from taphouse.errors import CannotCreateError, NotPermittedError
from taphouse.persist.records import Page, Row, class_columns
from taphouse.persist.schema import (
    APPLICATION_ID,
    CHUNKS_PER_OID,
    DDL,
    FORMAT,
    PAGE_OIDS,
    PAGE_SIZE,
    SUM_MASK,
    Counts,
    Mark,
    Meta,
    row_sum,
)
from taphouse.wholefile import sync_folder

__all__ = ["build_tap", "make_pages", "publish", "temporary_beside"]


def make_pages(rows: Iterable[tuple[int, Row]], epoch: int) -> dict[int, Page]:
    """Return rows, in any order, as pages folded up to ``epoch``."""
    pages: dict[int, Page] = {}
    last, page = -1, Page(epoch)
    for oid, row in rows:
        pid = oid // PAGE_OIDS
        if pid != last:
            last = pid
            page = pages.get(pid) or pages.setdefault(pid, Page(epoch))
        slot = oid % PAGE_OIDS
        if slot == len(page.cids):
            page.cids.append(row[0])
            page.states.append(row[1])
        else:
            page.put(slot, row)
    return pages


def build_tap(
    path: Path,
    meta: Meta,
    mark: Mark,
    classes: dict[int, ClassRecord],
    pages: dict[int, Page],
    chunks: dict[int, dict[int, bytes]],
    deltas: Iterable[tuple[int, int, bytes]] = (),
    *,
    wal: bool,
) -> Meta:
    """Write a tap to ``path``, which must not exist, and sync it.

    Args:
        path: a temporary name.
        meta: without totals; they are added.
        mark: who owns it.
        classes: class number -> record.
        pages: page number -> page.
        chunks: oid -> number -> chunk.
        deltas: oid, epoch, operations.
        wal: leave the file in WAL mode, as a state tap is.

    Returns:
        The meta as written.

    Raises:
        sqlite3.Error, OSError: if it cannot be written.
    """
    uri = f"file:{quote(str(path.absolute()))}?mode=rwc"
    total = 0
    with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as db:
        # Nothing is there to lose before the rename: no journal, one sync at the end.
        for pragma in ("auto_vacuum=NONE", f"page_size={PAGE_SIZE}", "journal_mode=OFF", "synchronous=OFF"):
            db.execute(f"PRAGMA {pragma}")
        db.execute("PRAGMA locking_mode=EXCLUSIVE")
        db.execute(f"PRAGMA application_id={APPLICATION_ID}")
        db.execute(f"PRAGMA user_version={FORMAT}")
        db.execute("BEGIN")
        for ddl in DDL.values():
            db.execute(ddl)

        def put(table: str, values: Iterator[tuple[int | str | bytes, ...]]) -> int:
            nonlocal total
            count = 0
            for row in values:
                checked = row_sum(table, *row)
                total += int.from_bytes(checked, "big")
                marks = ",".join("?" * (len(row) + 1))
                db.execute(f"INSERT INTO {table} VALUES ({marks})", (*row, checked))
                count += 1
            return count

        counts = Counts(
            classes=put("class", ((cid, *class_columns(record)) for cid, record in sorted(classes.items()))),
            page=put("page", ((pid, page.epoch, *page.columns()) for pid, page in sorted(pages.items()))),
            chunk=put(
                "chunk",
                (
                    (oid * CHUNKS_PER_OID + n, meta.epoch, data)
                    for oid, parts in sorted(chunks.items())
                    for n, data in sorted(parts.items())
                ),
            ),
            delta=put("delta", iter(deltas)),
        )
        meta = meta.with_(total=total & SUM_MASK, counts=counts)
        db.execute("INSERT INTO mark VALUES (1, ?, ?, ?, ?, ?)", mark.columns())
        db.executemany("INSERT INTO meta VALUES (?, ?)", meta.rows().items())
        db.execute("COMMIT")
    with path.open("r+b") as file:
        if wal:
            # Bytes 18 and 19 say WAL; set here, no rollback journal is ever needed to switch.
            file.seek(18)
            file.write(b"\x02\x02")
            file.flush()
        os.fsync(file.fileno())
    return meta


@contextmanager
def temporary_beside(path: Path) -> Iterator[Path]:
    """Give an unused name in the folder of ``path``; what is left under it at the end is removed.

    Raises:
        CannotCreateError, NotPermittedError: if writing there failed in the block.
    """
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}.tmp")
    try:
        yield temporary
    except PermissionError as error:
        raise NotPermittedError(
            f"{path}: {error.strerror}",
            cure="run as a user who may write there, or use another run directory (-d)",
        ) from error
    except (sqlite3.Error, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error).splitlines()[0]
        if not os.access(path.parent, os.W_OK):
            reason = "the folder does not exist or is not writable"
        raise CannotCreateError(
            f"{path}: {reason}", cure="choose a folder with space that you may write"
        ) from error
    finally:
        for leftover in (temporary, Path(f"{temporary}-wal"), Path(f"{temporary}-journal")):
            with contextlib.suppress(OSError):
                leftover.unlink(missing_ok=True)


def publish(temporary: Path, path: Path) -> None:
    """Give a finished, synced file its name, durably.

    Raises:
        OSError: if it cannot.
        CannotCreateError: if a device, a pipe or a folder has the name.
    """
    check_regular(path)
    os.replace(temporary, path)
    sync_folder(path.parent)


def check_regular(path: Path) -> None:
    """Refuse to replace or move what is no file: of a device or a pipe there may be one for all.

    Raises:
        CannotCreateError: if it is none.
    """
    if path.exists() and not path.is_file():
        raise CannotCreateError(f"{path} is no regular file", cure="choose another name")
