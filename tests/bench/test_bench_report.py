"""The page says what was measured, where, and what was missed; kept results come back as they were."""

import dataclasses
from datetime import UTC, datetime

import pytest
from bench.comparison import Comparison, Goal, Metric
from bench.contestant import BenchError, Contestant, Unavailable, afresh
from bench.cores import divide_cores
from bench.group import Group, measure_group
from bench.machine import file_system, require_disk
from bench.report import render_page, row_line
from bench.results import keep, read_result, write_result
from bench.workshop import Workshop

RATE = Metric("rate", "requests/s", "higher")


def ours(_workshop):
    return Contestant("ours", afresh(lambda: {"rate": 800.0, "p99_us": 12.5}), "version 1")


def theirs(_workshop):
    return Contestant("theirs", afresh(lambda: {"rate": 1000.0, "p99_us": 10.0}))


def missing(_workshop):
    raise Unavailable("no compiler: install gcc")


@pytest.fixture
def kept(tmp_path):
    group = Group(
        "sample", "A sample", "How it is taken.", 7, (ours, theirs, missing),
        (
            Comparison("beside", RATE, "ours", "theirs", Goal(0.9)),
            Comparison("the other way", RATE, "theirs", "ours", Goal(0.9)),
            Comparison("never", RATE, "ours", "absent"),
        ),
    )  # fmt: skip
    workshop = Workshop(tmp_path, cores=divide_cores(frozenset({0, 1})))
    now = datetime(2026, 11, 22, 17, 30, tzinfo=UTC)
    return keep(measure_group(group, workshop), workshop, {"processor": "EPYC", "file system": "ext4"}, now)


def test_a_missed_row_is_bold_and_a_met_one_is_not(kept):
    missed, met = [line for line in render_page([kept]).splitlines() if "is better)" in line]
    assert missed == (
        "| **beside (requests/s, higher is better)** | **800 (ours)** | **1 000 (theirs)** | **0.800x** "
        "| **0.800x to 0.800x** | **7** | **>= 0.9x** | **missed** |"
    )
    assert "**" not in met
    assert met.endswith("| 7 | >= 0.9x | met |")


def test_a_stretch_goal_stands_beside_the_goal(kept):
    row = dataclasses.replace(kept.rows[1], stretch=1.2, is_stretch_kept=True)
    page = render_page([dataclasses.replace(kept, rows=[row])])
    assert "| >= 0.9x, stretch 1.2x | met, stretch too |" in page


def test_the_page_names_machine_date_cores_absences_and_the_other_figures(kept):
    page = render_page([kept])
    assert "Measured 2026-11-22 17:30 UTC; server on core 0, load on core 1; processor: EPYC" in page
    assert "Not measured: no compiler: install gcc." in page
    assert "- ours (version 1): rate 800, p99_us 12.5" in page


def test_a_comparison_with_an_absent_contestant_has_no_row(kept):
    assert [row.title for row in kept.rows] == ["beside", "the other way"]


def test_a_kept_result_is_read_back_as_it_was(kept, tmp_path):
    assert read_result(write_result(kept, tmp_path / "results")) == kept


def test_the_line_for_a_terminal_says_missed_first(kept):
    assert row_line(kept.rows[0]).startswith(
        "MISSED    beside: ours 800 beside theirs 1 000 requests/s: 0.800x"
    )


def test_the_file_system_is_that_of_the_longest_and_latest_mount(tmp_path):
    mounts = tmp_path / "mountinfo"
    inner = tmp_path / "in ner"
    inner.mkdir()
    escaped = str(inner).replace(" ", "\\040")
    mounts.write_text(
        "20 1 8:1 / / rw - ext4 /dev/a rw\n"
        f"21 20 0:2 / {escaped} rw shared:1 - ext4 /dev/b rw\n"
        f"22 20 0:3 / {escaped} rw - tmpfs none rw\n"
        "23 20 0:4 / /elsewhere rw - xfs /dev/c rw\n"
    )
    assert file_system(inner / "deep", mounts) == "tmpfs"
    assert file_system(tmp_path, mounts) == "ext4"


def test_a_folder_in_memory_is_refused_for_durability(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.machine.file_system", lambda _folder: "tmpfs")
    with pytest.raises(BenchError, match="on tmpfs, which keeps nothing"):
        require_disk(tmp_path)


@pytest.mark.parametrize(
    ("available", "server", "load"),
    [({0, 1}, {0}, {1}), ({2, 5, 7}, {2}, {5, 7}), ({3}, {3}, {3})],
)
def test_server_and_load_share_a_core_only_if_there_is_one(available, server, load):
    cores = divide_cores(frozenset(available))
    assert (cores.server, cores.load) == (server, load)
    assert cores.are_apart == (len(available) > 1)
