"""A death while the WAL is moved into the main file: whatever part of the pages arrived, nothing is lost."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
import tapwork

from taphouse.errors import TapError
from taphouse.persist import copy_tap_files, read_info

PAGE = 4096


@pytest.fixture
def before_and_after(tmp_path: Path) -> tuple[bytes, bytes, bytes]:
    """Return the main file before the WAL is moved, after it, and the WAL; the file grew in between."""
    running = tapwork.begin(tmp_path, name="small")
    tap, wal = tmp_path / "tested-shutdown.tap", tmp_path / "tested-shutdown.tap-wal"
    for number in range(3):
        running.root.name = f"{number} " * 2000
        running.commit()
    before, written = tap.read_bytes(), wal.read_bytes()
    running.store._checkpoint("PASSIVE")
    running.store.abandon()
    after = tap.read_bytes()
    assert len(after) > len(before)
    assert len(wal.read_bytes()) == len(written)
    return before, after, written


def open_again(folder: Path, main: bytes, wal: bytes) -> str:
    folder.mkdir(exist_ok=True)
    tap = folder / "tested-shutdown.tap"
    tap.write_bytes(main)
    tap.with_name(tap.name + "-wal").write_bytes(wal)
    running = tapwork.go_on(tap)
    name = running.root.name
    running.root.name = "gone on"
    running.stop()
    assert tapwork.go_on(tap).root.name == "gone on"
    shutil.rmtree(folder)
    return str(name)


def test_the_first_page_may_be_there_before_the_file_has_grown(
    tmp_path: Path, before_and_after: tuple[bytes, bytes, bytes]
) -> None:
    before, after, wal = before_and_after
    assert open_again(tmp_path / "died", after[:PAGE] + before[PAGE:], wal) == "2 " * 2000


def test_the_file_may_end_inside_of_a_page(
    tmp_path: Path, before_and_after: tuple[bytes, bytes, bytes]
) -> None:
    _, after, wal = before_and_after
    assert open_again(tmp_path / "died", after[: -PAGE + 512], wal) == "2 " * 2000


def test_any_sectors_may_have_arrived(tmp_path: Path, before_and_after: tuple[bytes, bytes, bytes]) -> None:
    before, after, wal = before_and_after
    chance = random.Random(7)
    longer = before + bytes(len(after) - len(before))
    for _ in range(20):
        share = chance.random()
        main = b"".join(
            (after if chance.random() < share else longer)[at : at + 512] for at in range(0, len(after), 512)
        )
        assert open_again(tmp_path / "died", main, wal) == "2 " * 2000


def test_a_file_that_lacks_more_than_the_wal_holds_is_cut_off(
    tmp_path: Path, before_and_after: tuple[bytes, bytes, bytes]
) -> None:
    _, after, wal = before_and_after
    head = bytearray(after[:PAGE])
    head[28:32] = (1 << 30).to_bytes(4, "big")
    with pytest.raises(TapError, match="cut off"):
        open_again(tmp_path / "forged", bytes(head), wal)


def test_without_a_wal_the_file_has_to_be_whole(
    tmp_path: Path, before_and_after: tuple[bytes, bytes, bytes]
) -> None:
    _, after, _ = before_and_after
    with pytest.raises(TapError, match="cut off"):
        open_again(tmp_path / "short", after[:-PAGE], b"")


def test_through_a_link_elsewhere_the_wal_beside_the_file_is_read(tmp_path: Path) -> None:
    running = tapwork.begin(tmp_path)
    running.root.name = "committed"
    running.commit()
    running.store.abandon()
    link = tmp_path / "elsewhere" / "other.tap"
    link.parent.joinpath("copies").mkdir(parents=True)
    link.symlink_to(running.store.path)
    assert read_info(link).epoch == read_info(running.store.path).epoch == 2
    copied = copy_tap_files(link, link.parent.joinpath("copies"))
    assert copied.with_name("other.tap-wal").exists()
    assert tapwork.go_on(link).root.name == "committed"
