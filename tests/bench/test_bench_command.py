"""The command keeps only what a full run measured, and a bad run nothing."""

import pytest
from bench.comparison import Comparison, Goal, Metric
from bench.contestant import BenchError, Contestant, afresh
from bench.group import Group
from bench.report import render_page

from bench import __main__ as command

RATE = Metric("rate", "requests/s", "higher")


@pytest.fixture
def house(monkeypatch, tmp_path):
    """A harness with one group whose figures are known, that keeps into lists."""

    class House:
        kept, pages = [], []
        work = str(tmp_path / "work")
        fails = False

    def entry(name, rate):
        def measure():
            if House.fails:
                raise BenchError("a reply is not what was asked for")
            return {"rate": rate}

        return lambda _workshop: Contestant(name, afresh(measure))

    comparison = Comparison("beside", RATE, "ours", "theirs", Goal(0.9))
    group = Group("sample", "A sample", "How.", 7, (entry("ours", 8.0), entry("theirs", 10.0)), (comparison,))
    House.kept, House.pages = [], []
    monkeypatch.setattr(command, "GROUPS", (group,))
    monkeypatch.setattr(command, "write_result", lambda kept: House.kept.append(kept))
    monkeypatch.setattr(command, "write_page", lambda results: House.pages.append(results))
    return House


def test_a_full_run_keeps_its_result_and_writes_the_page(house, capsys):
    assert command.main(["--work", house.work]) == 0
    assert [kept.rows[0].pairs for kept in house.kept] == [7]
    assert len(house.pages) == 1
    assert "MISSED    beside: ours 8 beside theirs 10 requests/s: 0.800x" in capsys.readouterr().out


@pytest.mark.parametrize("less", [["--quick"], ["--rounds", "2"], ["--seconds", "0.1"]])
def test_a_run_with_less_effort_keeps_nothing(house, capsys, less):
    assert command.main(["--work", house.work, *less]) == 0
    assert (house.kept, house.pages) == ([], [])
    assert "not kept" in capsys.readouterr().out


def test_a_measurement_that_cannot_be_trusted_keeps_nothing_and_fails(house, capsys):
    house.fails = True
    assert command.main(["--work", house.work]) == 1
    assert (house.kept, house.pages) == ([], [])
    assert capsys.readouterr().err == "bench: ours: a reply is not what was asked for\n"


def test_an_unknown_group_is_a_usage_error_that_names_the_others(house, capsys):
    assert command.main(["nonsense"]) == 64
    assert capsys.readouterr().err == "bench: no group 'nonsense'; there are: sample\n"


def test_the_groups_are_listed(house, capsys):
    assert command.main(["--list"]) == 0
    assert capsys.readouterr().out == "sample       A sample, 1 rows, 7 rounds\n"


def test_a_page_without_results_says_how_to_get_some():
    assert render_page([]).endswith("Nothing is kept yet: `./run bench` measures.\n")
