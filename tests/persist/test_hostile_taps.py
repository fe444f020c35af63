"""A tap may come from a stranger, or from a failing disk: it is refused in one line, or it is what it was."""

from __future__ import annotations

import datetime
import gc
import json
import os
import sqlite3
import subprocess
import sys
import tracemalloc
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import tapmodels
from tapforge import BOMBS, STATES, forge, with_state, with_value
from tapwork import PLAN, find, root_with

from taphouse.durable import ClassRecord
from taphouse.errors import TapError, TaphouseError
from taphouse.persist import NullStore, check_integrity, read_info, read_objects, thaw, write_seed
from taphouse.persist.codes import CodecError
from taphouse.persist.origin import fresh_meta
from taphouse.persist.schema import Meta

MUTANTS = int(os.environ.get("TAPHOUSE_MUTANTS", "600"))
SEED = int(os.environ.get("TAPHOUSE_MUTANTS_SEED", "1"))


def run_mutants(count: int, seed: int) -> dict[str, Any]:
    """Judge mutants in a process of its own; return its report."""
    program = Path(__file__).with_name("tapmutants.py")
    done = subprocess.run(
        [sys.executable, str(program), str(count), str(seed)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def assert_fine(report: dict[str, Any], count: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Print outcomes per class of mutation; nothing may have gone wrong."""
    with capsys.disabled():
        print(f"\n{count} mutated taps, peak memory {report['peak_kib'] // 1024} MiB:")
        for kind, outcomes in report["outcomes"].items():
            print(f"  {kind:30} " + ", ".join(f"{word} {n}" for word, n in sorted(outcomes.items())))
    assert report["wrong"] == []
    assert report["peak_kib"] < 400 << 10
    resealed = [
        outcomes for kind, outcomes in report["outcomes"].items() if "fit" in kind or "forged" in kind
    ]
    assert sum(sum(outcomes.values()) for outcomes in resealed) >= 0.4 * count


@pytest.mark.slow
@pytest.mark.process
def test_mutants_are_refused_in_one_line_or_thaw_equal(capsys: pytest.CaptureFixture[str]) -> None:
    """Some hundred of each kind; ``TAPHOUSE_MUTANTS=20000`` makes more."""
    assert_fine(run_mutants(MUTANTS, SEED), MUTANTS, capsys)


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.soak
def test_twenty_thousand_mutants(capsys: pytest.CaptureFixture[str]) -> None:
    """The whole number, with a seed that is new every day."""
    seed = datetime.date.today().toordinal()
    assert_fine(run_mutants(20_000, seed), 20_000, capsys)


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a small seed."""
    path = tmp_path_factory.mktemp("honest") / "honest.tap"
    write_seed(path, root_with(x=tapmodels.Node()), PLAN)
    return path.read_bytes()


def refused(path: Path, resolve: Any = find) -> TaphouseError:
    """Thaw a tap that must be refused; return the error after looking at its form."""
    with pytest.raises(TaphouseError) as caught:
        thaw(NullStore(path), resolve)
    text = str(caught.value)
    assert "\n" not in text and str(path) in text
    return caught.value


@pytest.mark.parametrize("name", BOMBS)
def test_a_value_that_no_writer_makes_is_refused(tmp_path: Path, honest: bytes, name: str) -> None:
    """Wrong lengths, depths, codes, references, keys: one line that names the row, little memory."""
    path = tmp_path / "forged.tap"
    path.write_bytes(honest)
    forge(path, with_value(BOMBS[name]))
    tracemalloc.start()
    try:
        error = refused(path)
        _size, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(error, TapError) and error.where == "row 1"
    assert peak < 100 * path.stat().st_size + 2_000_000


@pytest.mark.parametrize("name", STATES)
def test_a_state_that_no_object_has_is_refused(tmp_path: Path, honest: bytes, name: str) -> None:
    path = tmp_path / "forged.tap"
    path.write_bytes(honest)
    forge(path, with_state(STATES[name]))
    assert "row 1" in str(refused(path))


def test_what_is_read_bounds_what_is_made(tmp_path: Path, honest: bytes) -> None:
    """A megabyte of the costliest values, empty containers, takes no more than some hundred bytes each."""
    path = tmp_path / "forged.tap"
    path.write_bytes(honest)
    count = 20_000
    forge(path, with_value(b"\xdd" + count.to_bytes(4, "big") + b"\x91\xc7\x00\x21" * count))
    tracemalloc.start()
    root = thaw(NullStore(path), find).root
    _size, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(root.x) == count
    assert peak < 500 * path.stat().st_size


def test_names_in_a_tap_are_only_ever_looked_up(tmp_path: Path, honest: bytes) -> None:
    """Showing and checking a tap whose classes name dangerous things imports and calls nothing."""
    path = tmp_path / "forged.tap"
    path.write_bytes(honest)

    def change(image: Any, _rows: Any) -> None:
        for cid in image.classes:
            image.classes[cid] = ClassRecord("os.system", "antigravity", "os.system", 1, "durable")

    forge(path, change)
    read_info(path)
    check_integrity(path)
    assert {found.kind for found in read_objects(path)} == {"os.system"}
    assert "antigravity" not in sys.modules
    asked = []
    error = refused(path, lambda record: asked.append(record))
    assert "os.system is not installed" in str(error) and error.exit_code == 78


def test_a_class_of_another_kind_is_not_instantiated(tmp_path: Path, honest: bytes) -> None:
    """An enumeration, a function or a built-in class as the class of a row."""
    path = tmp_path / "forged.tap"
    for found in (tapmodels.Colour, tapmodels.module_function, tapmodels.Point, int, type, tapmodels.Plain):
        path.write_bytes(honest)
        refused(path, lambda _record, found=found: found)
    assert tapmodels.Plain.calls == []


def test_a_refused_tap_leaves_no_half_made_objects_to_run_their_del(tmp_path: Path) -> None:
    """``__del__`` of an application's class does not run on what a refused tap made of it."""
    path = tmp_path / "forged.tap"
    root = root_with(x=tapmodels.Dying(), y=tapmodels.DyingSlots(), z=tapmodels.DyingPlain())
    write_seed(path, root, PLAN)
    forge(path, lambda _image, rows: rows.update({63: (16, BOMBS["never used byte"])}))
    gc.collect()
    tapmodels.DEATHS.clear()
    assert "row 63" in str(refused(path))
    gc.collect()
    assert tapmodels.DEATHS == []
    del root
    gc.collect()
    assert sorted(tapmodels.DEATHS) == ["durable", "plain", "slots"]


def test_two_rows_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    """Pages that two places refer to would let a small file pretend to be endless."""
    path = tmp_path / "shared.tap"
    write_seed(path, root_with(a=bytes(range(256)) * 40, big=["x" * 90] * 5000), PLAN)
    data = bytearray(path.read_bytes())
    pages = [data[at : at + 4096] for at in range(0, len(data), 4096)]
    leaves = [n for n, page in enumerate(pages) if page[0] == 0x05]
    assert leaves, "the big container needs a tree of two levels"
    at = leaves[0] * 4096
    first = int.from_bytes(data[at + 12 : at + 14], "big")
    second = int.from_bytes(data[at + 14 : at + 16], "big")
    data[at + first : at + first + 4] = data[at + second : at + second + 4]
    path.write_bytes(data)
    assert "damaged" in str(refused(path))


def test_a_key_of_meta_that_is_no_text_is_refused(tmp_path: Path, honest: bytes) -> None:
    """SQLite keeps any type in a column of text; found by a flipped bit."""
    path = tmp_path / "keys.tap"
    path.write_bytes(honest)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE meta SET k = CAST('lineage' AS BLOB) WHERE k = 'lineage'")
    assert "meta: row b'lineage' has a key" in str(refused(path))


@pytest.mark.parametrize(
    "content", [b"", b"SQLite format 3\0", b"dear reader", bytes(5000), b"SQLite format 3\0" * 400]
)
def test_a_file_that_is_no_tap_says_so(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "letter.tap"
    path.write_bytes(content)
    assert refused(path).exit_code == 78


def test_a_tap_of_a_newer_format_says_so(tmp_path: Path, honest: bytes) -> None:
    path = tmp_path / "new.tap"
    path.write_bytes(honest[:60] + (9).to_bytes(4, "big") + honest[64:])
    assert "format 9, this taphouse reads up to 1; upgrade taphouse" in str(refused(path))


def test_a_missing_tap_and_a_folder_say_so(tmp_path: Path) -> None:
    assert "no such file" in str(refused(tmp_path / "none.tap"))
    assert "is not a regular file" in str(refused(tmp_path))


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_a_plan_that_is_nested_too_deep_to_be_printed_is_damaged(opening: str, closing: str) -> None:
    def plan(levels: int) -> Meta:
        return fresh_meta(None, '{"servers":' + opening * levels + "0" + closing * levels + "}")

    assert "servers" in plan(60).plan_dict()
    for levels in (70, 300):
        with pytest.raises(CodecError, match="plan"):
            plan(levels).plan_dict()
