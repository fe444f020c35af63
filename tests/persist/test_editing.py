"""One object of a tap is changed as a document, and everything else stays the bytes that it was."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
import tapmodels
from tapwork import PLAN, begin, go_on, root_with, thaw_seed

from taphouse.errors import TapError
from taphouse.persist import TapEditor, TapLock, read_document, read_info, read_unused, write_seed


def stopped(folder: Path) -> Path:
    """A state with chunks, operations on them that are not folded in, and a journal: of a killed server."""
    running = begin(folder, table={f"key {n}": n for n in range(1200)}, list=list(range(100)), n=1)
    running.root.node = tapmodels.Node()
    for n in range(5):
        running.root.table[f"key {n}"] = running.root.node
        running.root.list.append(n)
        running.commit()
    path = folder / "tested-shutdown.tap"
    made = path.with_name("killed.tap")
    running.store.backup(made)
    running.stop()
    assert read_info(made).counts["deltas"] or read_info(made).counts["journal"]
    return made


def changed(path: Path, key: str, change: Any) -> Path:
    """Change one entry."""
    lock = TapLock(path)
    lock.acquire()
    try:
        editor = TapEditor(path)
        change(editor.objects[key])
        editor.write(key, b"change")
    finally:
        lock.release()
    return path


def without(document: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: entry for name, entry in document["objects"].items() if name != key}


def test_an_editor_shows_what_the_document_has(tmp_path: Path) -> None:
    path = stopped(tmp_path)
    assert dict(TapEditor(path).objects) == read_document(path)["objects"]


@pytest.mark.parametrize("key", ["Root@1", "dict@2", "list@3"])
def test_the_changed_entry_alone_is_another(tmp_path: Path, key: str) -> None:
    path = stopped(tmp_path)
    before, info = read_document(path), read_info(path)

    def change(entry: Any) -> None:
        if key == "Root@1":
            entry["state"]["n"] = 2
        elif key == "dict@2":
            entry["value"]["key 7"] = "seven"
        else:
            entry["value"][50:] = ["end"]

    after = read_document(changed(path, key, change))
    assert without(after, key) == without(before, key)
    assert after["objects"][key] != before["objects"][key]
    assert after["epoch"] == before["epoch"] + 1 and after["chain"] != before["chain"]
    assert {
        name: after[name] for name in ("lineage", "begin", "next_number", "plan", "classes", "created")
    } == {name: before[name] for name in ("lineage", "begin", "next_number", "plan", "classes", "created")}
    assert not read_info(path).is_open and not info.is_open
    running = go_on(path)
    assert (running.root.n, running.root.table["key 7"], running.root.list[-1]) == (
        2 if key == "Root@1" else 1,
        "seven" if key == "dict@2" else 7,
        "end" if key == "list@3" else 4,
    )
    running.root.table["key 8"] = "eight"
    assert running.commit() == after["epoch"] + 1
    running.stop()


def test_a_big_container_that_becomes_small_leaves_no_chunks(tmp_path: Path) -> None:
    path = changed(stopped(tmp_path), "dict@2", lambda entry: entry.update(value={"only": 1}))
    assert read_info(path).counts["chunks"] == 0
    running = go_on(path)
    assert dict(running.root.table) == {"only": 1}
    running.stop()


def test_a_backup_that_was_edited_is_nobodys_to_remove(tmp_path: Path) -> None:
    path = stopped(tmp_path)
    assert read_unused(path) is not None
    assert read_unused(changed(path, "Root@1", lambda entry: entry["state"].update(n=2))) is None


def test_a_seed_stays_one(tmp_path: Path) -> None:
    path = tmp_path / "a.tap"
    write_seed(path, root_with(n=1), PLAN)
    changed(path, "Root@1", lambda entry: entry["state"].update(n=[2]))
    assert (read_info(path).role, read_info(path).epoch) == ("seed", 0)
    assert thaw_seed(path).root.n == [2]


def test_what_no_tap_can_hold_is_told_and_nothing_is_written(tmp_path: Path) -> None:
    path = stopped(tmp_path)
    before = path.read_bytes()
    with pytest.raises(TapError, match=r"objects.Root@1.state.n.\$ref: there is no object 'Node@99'"):
        changed(path, "Root@1", lambda entry: entry["state"].update(n={"$ref": "Node@99"}))
    assert path.read_bytes() == before
    assert [name.name for name in tmp_path.glob(".*.tmp")] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_the_tap_stays_its_servers_own(tmp_path: Path) -> None:
    """Root changes a value; the server that runs as another user has to go on with the tap."""
    path = stopped(tmp_path)
    os.chown(path, 4711, 4712)
    path.chmod(0o640)
    changed(path, "Root@1", lambda entry: entry["state"].update(n=2))
    status = path.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (4711, 4712, 0o640)
