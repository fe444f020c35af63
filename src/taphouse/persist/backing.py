"""Backups: the state as of the last commit in a closed tap of its own.

This module must never write to the tap that it copies.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from taphouse.persist.building import publish, temporary_beside
from taphouse.persist.schema import Mark

__all__ = ["write_backup"]


def write_backup(db: sqlite3.Connection, path: Path) -> None:
    """Copy what ``db`` holds to ``path``, a closed tap of its own, synced.

    Raises:
        CannotCreateError, NotPermittedError: if it cannot be written there.
    """
    with temporary_beside(path) as temporary:
        with closing(sqlite3.connect(temporary, isolation_level=None)) as copy:
            copy.execute("PRAGMA synchronous=OFF")
            db.backup(copy)
            copy.execute("PRAGMA journal_mode=OFF")
            copy.execute("BEGIN")
            copy.execute(
                "INSERT OR REPLACE INTO mark VALUES (1, ?, ?, ?, ?, ?)", Mark(os.urandom(8).hex()).columns()
            )
            copy.execute("COMMIT")
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        publish(temporary, path)
