"""A WAL whose last commit was torn by a power cut is not taken for a damaged one."""

from __future__ import annotations

import sqlite3
import struct
from contextlib import closing
from pathlib import Path

import pytest

from taphouse.persist.codes import CodecError
from taphouse.persist.walfile import scan_wal

FRAME = 24 + 4096
SPLIT = 41
"""The frame whose header lies in two sectors of 512 bytes: size in one, salts in the other."""


@pytest.fixture
def wal(tmp_path: Path) -> Path:
    """A WAL with 39 frames of commits and a last commit of many frames."""
    made = tmp_path / "a.tap-wal"
    with closing(sqlite3.connect(tmp_path / "a.tap", isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA wal_autocheckpoint=0")
        db.execute("CREATE TABLE t (v)")
        db.execute("INSERT INTO t VALUES (0)")
        while scan_wal(made).frames < SPLIT - 2:
            db.execute("UPDATE t SET v = v + 1")
        db.execute("INSERT INTO t VALUES (?)", (bytes(30_000),))
        content = made.read_bytes()
    made.write_bytes(content)
    return made


def tear(wal: Path, frame: int) -> None:
    """Let a frame begin with page and size of an older one, the end of a commit."""
    content = bytearray(wal.read_bytes())
    struct.pack_into(">2I", content, 32 + frame * FRAME, 2, 7)
    wal.write_bytes(content)


def test_a_header_in_two_sectors_may_be_half_old(wal: Path) -> None:
    assert (32 + SPLIT * FRAME) % 512 == 504
    assert scan_wal(wal).frames > SPLIT + 2
    tear(wal, SPLIT)
    assert scan_wal(wal).frames == SPLIT - 2


def test_a_header_in_one_sector_cannot_and_is_damage(wal: Path) -> None:
    tear(wal, SPLIT + 1)
    with pytest.raises(CodecError, match="damaged before frame 44"):
        scan_wal(wal)
