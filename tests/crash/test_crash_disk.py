"""The model of a disk that loses power: what is certain, and what is not."""

from __future__ import annotations

import random

from crashdisk import Disk, Event

FOLDER = ""


def replay(*events: tuple[str, str, int, bytes]) -> Disk:
    """Return a disk after events (op, name, offset, data); the inode of a name is the sum of its letters."""
    disk = Disk()
    for op, name, offset, data in events:
        disk.replay(Event(op, 3, 0, sum(map(ord, data.decode() if op == "r" else name)), offset, name, data))
    return disk


def possible(disk: Disk, name: str, samples: int = 300) -> set[bytes | None]:
    """Return every content that ``name`` may have; None where it is missing."""
    return {state.files.get(name) for state in disk.states(random.Random(1), samples)}


CREATED = (("c", "a", 0, b""), ("b", FOLDER, 0, b""), ("f", FOLDER, 0, b""))


def test_what_is_not_synced_may_be_there_or_not() -> None:
    assert possible(replay(*CREATED, ("w", "a", 0, b"x")), "a") == {b"", b"x"}


def test_what_was_written_before_a_sync_is_there_after_it() -> None:
    disk = replay(*CREATED, ("w", "a", 0, b"x"), ("b", "a", 0, b""), ("f", "a", 0, b""))
    assert possible(disk, "a") == {b"x"}


def test_what_was_written_during_a_sync_may_be_lost() -> None:
    disk = replay(*CREATED, ("w", "a", 0, b"x"), ("b", "a", 0, b""), ("w", "a", 1, b"y"), ("f", "a", 0, b""))
    assert possible(disk, "a") == {b"x", b"xy"}


def test_two_writes_may_arrive_in_any_order() -> None:
    disk = replay(*CREATED, ("w", "a", 0, b"x"), ("w", "a", 1, b"y"))
    assert possible(disk, "a") == {b"", b"x", b"\0y", b"xy"}


def test_a_long_write_is_torn_at_sectors() -> None:
    disk = replay(*CREATED, ("w", "a", 500, bytes([1]) * 1000))
    found = possible(disk, "a")
    assert bytes(500) + bytes([1]) * 12 in found, "up to the end of the first sector"
    assert bytes(512) + bytes([1]) * 512 in found, "the second alone"
    for content in found:
        assert content is not None
        for at in range(0, len(content), 512):
            assert len(set(content[max(at, 500) : at + 512])) <= 1, "half a sector"


def test_a_name_is_there_for_certain_only_when_its_folder_was_synced() -> None:
    created = replay(("c", "a", 0, b""), ("w", "a", 0, b"x"), ("b", "a", 0, b""), ("f", "a", 0, b""))
    assert possible(created, "a") == {None, b"x"}
    created.replay(Event("b", 3, 0, 0, 0, FOLDER, b""))
    created.replay(Event("f", 3, 0, 0, 0, FOLDER, b""))
    assert possible(created, "a") == {b"x"}


def test_a_rename_is_there_or_not_and_never_half() -> None:
    disk = replay(*CREATED, ("w", "a", 0, b"x"), ("b", "a", 0, b""), ("f", "a", 0, b""), ("r", "b", 0, b"a"))
    assert {tuple(sorted(state.files)) for state in disk.states(random.Random(1), 100)} == {("a",), ("b",)}


def test_a_sync_that_failed_makes_nothing_certain() -> None:
    disk = replay(*CREATED, ("w", "a", 0, b"x"), ("b", "a", 0, b""))
    disk.replay(Event("f", 3, -1, ord("a"), 0, "a", b""))
    assert possible(disk, "a") == {b"", b"x"}
