"""docs/tap-format.md is enough to read a tap: here with SQLite, blake2b and another MessagePack alone."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
import tapmodels
from tapwork import begin

from taphouse.persist import codes
from taphouse.persist.containers import MADE_BY_CID
from taphouse.persist.schema import DDL

DOCUMENT = (Path(__file__).parents[2] / "docs" / "tap-format.md").read_text()


def pack_sum(*columns: Any) -> bytes:
    return hashlib.blake2b(msgspec.msgpack.encode(list(columns)), digest_size=16).digest()


@pytest.fixture
def tables(tmp_path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of a state tap that was used and closed, and of its journal before that."""
    running = begin(tmp_path, node=tapmodels.Node(), big=list(range(2500)), pair=(1, "two", {3}))
    running.root.node.n = -5
    running.root.big.append("new")
    running.commit()
    running.root.node.n = 2**70
    running.commit()
    running.store.backup(tmp_path / "backup.tap")
    running.stop()
    rows: dict[str, list[tuple[Any, ...]]] = {}
    with closing(sqlite3.connect(tmp_path / "backup.tap")) as db:
        rows["journal"] = db.execute("SELECT * FROM journal ORDER BY epoch").fetchall()
        rows["journal meta"] = db.execute("SELECT * FROM meta").fetchall()
    with closing(sqlite3.connect(tmp_path / "tested-shutdown.tap")) as db:
        for table in ("meta", "mark", "class", "page", "chunk", "delta"):
            rows[table] = db.execute(f'SELECT * FROM "{table}"').fetchall()
    return rows


def test_the_tables_of_the_document_are_the_tables_of_the_code() -> None:
    assert re.findall(r"^CREATE TABLE .*$", DOCUMENT, re.MULTILINE) == list(DDL.values())


def test_the_codes_of_the_document_are_the_codes_of_the_code() -> None:
    """Every extension and tag is in one of the tables, every container in the row of numbers."""
    for name, code in vars(codes).items():
        if name.isupper() and isinstance(code, int) and name != "FIRST_TAG" and name != "OBJECT":
            assert re.search(rf"^\|.*\b{code} ?", DOCUMENT, re.MULTILINE), name
    numbers = re.search(r"^\| 1 \| 2 .*\n.*\n(.*)$", DOCUMENT, re.MULTILINE)
    assert numbers is not None
    names = [
        kind.__name__.removeprefix("Tracked").replace("Default", "default") for kind in MADE_BY_CID.values()
    ]
    written = numbers.group(1).strip("| ").split(" | ")
    assert [name.lower() for name in written] == [name.lower() for name in names]


def test_sums_seal_and_chain_are_as_the_document_says(tables: dict[str, list[tuple[Any, ...]]]) -> None:
    meta = dict(tables["meta"])
    total = 0
    for table in ("class", "page", "chunk", "delta"):
        for *columns, found in tables[table]:
            assert pack_sum(table, *columns) == found
            total += int.from_bytes(found, "big")
    assert meta["total"] == (total % 2**128).to_bytes(16, "big")
    _id, *columns, found = tables["mark"][0]
    assert pack_sum("mark", *columns) == found
    seal = meta.pop("seal")
    assert seal == pack_sum("meta", [part for key in sorted(meta) for part in (key, meta[key])])
    assert (meta["rows.page"], meta["rows.chunk"], meta["rows.delta"]) == tuple(
        len(tables[table]) for table in ("page", "chunk", "delta")
    )
    link = dict(tables["journal meta"])["chain"]
    assert [epoch for epoch, _data, _chain in tables["journal"]] == [2, 3]
    for epoch, data, chain in tables["journal"]:
        link = pack_sum("journal", link, epoch, data)
        assert chain == link


def test_values_are_found_as_the_document_says(tables: dict[str, list[tuple[Any, ...]]]) -> None:
    """The application's state, the object it refers to, and the big list with its operation."""

    def extension(code: int, payload: memoryview) -> Any:
        if code == 1:
            return ("row", int.from_bytes(payload, "big"))
        if code == 2:
            return int.from_bytes(payload, "big", signed=True)
        return ("tag", code)

    def read(data: bytes) -> Any:
        return msgspec.msgpack.decode(data, ext_hook=extension)

    (pid, _epoch, idx, data, _sum) = tables["page"][0]
    cids, states = read(idx), read(data)
    rows = {
        64 * pid + slot: (cids[slot], states[slot]) for slot in range(len(cids)) if cids[slot] is not None
    }
    names = {cid: name for cid, name, *_rest in tables["class"]}
    assert names[rows[1][0]] == "tapmodels.Root"
    state = read(rows[1][1])
    assert state["pair"] == [("tag", 32), 1, "two", [("tag", 33), 3]]
    assert read(rows[state["node"][1]][1]) == {"n": 2**70}
    big = state["big"][1]
    assert rows[big][0] == 1 and read(rows[big][1]) == [("tag", 46), [], 0, 3, 0]
    entries = [entry for _id, _epoch, data, _sum in tables["chunk"] for entry in read(data)]
    assert entries == list(range(2500))
    ((oid, epoch, operations, _sum),) = tables["delta"]
    assert (oid, epoch, read(operations)) == (big, 2, [["p", 2500, 2500, ["new"]]])
