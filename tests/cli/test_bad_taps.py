"""Taps that are missing, damaged, foreign, newer or overtaken: one line, the right status, nothing lost."""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.badinput import refused
from playground import Playground

pytestmark = pytest.mark.process


def test_a_missing_tap_is_named(playground: Playground) -> None:
    refused(playground, "twistd", "-f", "nothere.tap", status=78, says=("nothere.tap", "no such file"))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    at = data.index(b"nextkey")
    data[at] ^= 1
    path.write_bytes(data)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def make_foreign(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE t (x)")
    database.close()


def make_newer(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[60:64] = (99).to_bytes(4, "big")
    path.write_bytes(data)


def make_text(path: Path) -> None:
    path.write_text("import os\n" * 100)


@pytest.mark.parametrize("tap", ["otk-start.tap", "otk-shutdown.tap"])
@pytest.mark.parametrize(
    ("damage", "word"),
    [
        (cut, "cut off"),
        (flip, ""),
        (empty, "not a tap"),
        (make_foreign, "not a tap"),
        (make_newer, "format 99"),
        (make_text, "not a tap"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_damaged_or_foreign_tap_is_refused_by_name(
    state: Playground, tap: str, damage: Callable[[Path], None], word: str
) -> None:
    damage(state.folder / tap)
    for command in (["twistd", "-n", "-f", tap], ["tap", "show", tap], ["tap", "check", tap]):
        refused(state, *command, status=78, says=(tap, word))


def test_an_open_tap_without_its_wal_is_never_opened_as_older_state(seed: Playground) -> None:
    seed.run("twistd", "-f", "otk-start.tap")
    assert seed.ask(8123) == b"0\n"
    seed.kill(signal.SIGKILL)
    (seed.folder / "otk-shutdown.tap-wal").unlink()
    (seed.folder / "twistd.pid").unlink()
    for tap in ("otk-shutdown.tap", "otk-start.tap"):
        refused(seed, "twistd", "-n", "-f", tap, status=78, says=("otk-shutdown.tap", "-wal"))


def test_a_seed_is_refused_where_newer_state_lies_with_both_cures(state: Playground) -> None:
    line = refused(state, "twistd", "-f", "otk-start.tap", status=78, says=("otk-shutdown.tap",))
    assert "-f otk-shutdown.tap" in line
    assert "--fresh" in line


def test_fresh_begins_anew_and_keeps_what_was(state: Playground) -> None:
    before = (state.folder / "otk-shutdown.tap").read_bytes()
    state.run("twistd", "-f", "otk-start.tap", "--fresh")
    assert state.ask(8123) == b"0\n"
    state.kill()
    assert (state.folder / "otk-shutdown.tap.1").read_bytes() == before


def test_damaged_state_can_be_set_aside_too(state: Playground) -> None:
    flip(state.folder / "otk-shutdown.tap")
    before = (state.folder / "otk-shutdown.tap").read_bytes()
    state.run("twistd", "-f", "otk-start.tap", "--fresh")
    assert state.ask(8123) == b"0\n"
    assert (state.folder / "otk-shutdown.tap.1").read_bytes() == before


def test_state_that_is_to_be_gone_on_from_must_be_there_or_a_seed_named(seed: Playground) -> None:
    refused(
        seed, "twistd", "-n", "--state", "a.tap", status=78, says=("a.tap does not exist", "give -f SEED")
    )
    refused(
        seed, "twistd", "-n", "--state", "otk-start.tap", status=78, says=("otk-start.tap", "only ever read")
    )
