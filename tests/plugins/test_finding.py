"""Makers are found where they were installed or dropped, and nothing of them runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from playground import TOP
from plugins.shelf import MAKER, Shelf, marked
from taphouse.errors import ConfigurationError, UsageError
from taphouse.plugins import find_makers

RUNS = 'raise AssertionError("it ran")\n'


def names() -> list[str]:
    return [entry.name for entry in find_makers()]


# --- installed ----------------------------------------------------------------------------------


def test_an_entry_point_declares_a_maker(shelf: Shelf) -> None:
    shelf.install("my_quotes-1.0", "quotes = myquotes", myquotes=RUNS + MAKER)
    (entry,) = find_makers()
    assert (entry.name, entry.module, entry.origin) == ("quotes", "myquotes", "my_quotes 1.0")
    assert (entry.distribution, entry.description, entry.problem) == ("my_quotes", "Serve a thing.", "")


@pytest.mark.parametrize(
    ("source", "description"),
    [
        ('description = "said"\n' + MAKER, "said"),
        (MAKER, "Serve a thing."),
        ('"""Of the module.\n\nMore."""\n', "Of the module."),
        ("x = 1\n", ""),
        ('description: str = "annotated"\n', "annotated"),
        ('description = "escape\\x1b[2Jd\\nlines"\n', "escape [2Jd lines"),
        ('"""Of the module."""\nclass Options:\n    pass\n', "Of the module."),
    ],
)
def test_a_description_is_read_from_the_source(shelf: Shelf, source: str, description: str) -> None:
    shelf.install("quotes-1.0", "quotes = quotes", quotes=source + "\n" + RUNS)
    assert find_makers().get("quotes").description == description


@pytest.mark.parametrize(
    "source",
    [
        'class Thing:\n    description = "of the object"\nmaker = Thing()\n',
        'class maker:\n    class Options:\n        """of the object"""\n',
        'class maker:\n    """of the object"""\n',
        '"""Module."""\nclass Thing:\n    """of the object"""\nmaker: Thing = Thing(1)\n',
    ],
)
def test_the_description_of_an_object_is_its_own(shelf: Shelf, source: str) -> None:
    shelf.install("quotes-1.0", "quotes = quotes:maker", quotes=source + RUNS)
    assert find_makers().get("quotes").description == "of the object"


def test_a_maker_in_a_package_is_found_without_importing_the_package(shelf: Shelf) -> None:
    shelf.drop("several/__init__.py", RUNS)
    shelf.drop("several/quotes.py", RUNS + MAKER)
    shelf.install("several-2.0", "quotes = several.quotes\nlost = several.lost")
    makers = find_makers()
    assert makers.get("quotes").description == "Serve a thing."
    assert makers.get("lost").problem == "module several.lost is not there"


def test_of_two_versions_of_a_distribution_the_first_on_the_path_counts(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.install("my_quotes-2.0", "quotes = quotes", quotes=MAKER)
    older = Shelf(tmp_path / "older", shelf.own)
    older.path.mkdir()
    older.install("My.Quotes-1.0", "quotes = quotes\ngone = quotes", quotes=MAKER)
    monkeypatch.setattr(sys, "path", [*sys.path, str(older.path)])
    makers = find_makers()
    assert [entry.origin for entry in makers] == ["my_quotes 2.0"] and makers.duplicates == []


def test_what_an_interrupted_installation_left_counts_for_nothing(shelf: Shelf) -> None:
    shelf.install("~uotes-1.0", "quotes = quotes", quotes=MAKER)
    assert names() == []


def test_an_egg_info_folder_is_read_too(shelf: Shelf) -> None:
    info = shelf.install("quotes-1.0-py3.11", "quotes = quotes", quotes=MAKER)
    info.rename(info.with_suffix(".egg-info"))
    assert [entry.origin for entry in find_makers()] == ["quotes 1.0"]


@pytest.mark.parametrize(
    "value", ["", "a b", "quotes:", ":x", "quotes:a:b", "../quotes", "quotes:a..b", "1x"]
)
def test_an_entry_point_of_nonsense_is_listed_as_broken(shelf: Shelf, value: str) -> None:
    shelf.install("bad-1.0", f"bad = {value}\ngood = good", good=MAKER)
    makers = find_makers()
    assert [entry.name for entry in makers] == ["bad", "good"]
    (problem,) = makers.problems
    assert problem == (
        f"server type bad (bad 1.0) is broken: its entry point says {value!r},"
        " which is neither MODULE nor MODULE:OBJECT"
    )
    with pytest.raises(ConfigurationError, match="neither MODULE nor MODULE:OBJECT"):
        makers.get("bad").load()


def test_an_entry_point_that_cannot_be_typed_is_reported(shelf: Shelf) -> None:
    shelf.install("bad-1.0", "-rf / = good\ngood = good", good=MAKER)
    makers = find_makers()
    assert [entry.name for entry in makers] == ["good"]
    assert makers.problems == ["bad 1.0: its entry point '-rf /' cannot be typed as a server type"]


# --- dropped ------------------------------------------------------------------------------------


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("file", ["quotes.py", "quotes/__init__.py"])
def test_a_marker_line_declares_a_maker(shelf: Shelf, file: str, own: bool) -> None:
    path = shelf.drop(file, "#!/usr/bin/env python\n\n" + marked("quotes", "one - or two", RUNS), own=own)
    (entry,) = find_makers()
    assert (entry.name, entry.module, entry.origin) == ("quotes", "quotes", str(path))
    assert (entry.description, entry.problem, entry.distribution) == ("one - or two", "", "")


@pytest.mark.parametrize(
    "line",
    ["#taphouse-maker:quotes-serve", "#  taphouse-maker:  quotes  -  serve", "# taphouse-maker: quotes"],
)
def test_the_marker_line_may_be_written_with_other_blanks(shelf: Shelf, line: str) -> None:
    shelf.drop("quotes.py", line + "\n" + MAKER)
    assert names() in (["quotes"], ["quotes-serve"])


def test_without_a_description_in_its_marker_a_maker_is_described_by_its_source(shelf: Shelf) -> None:
    shelf.drop("quotes.py", "# taphouse-maker: quotes\n" + MAKER)
    assert find_makers().get("quotes").description == "Serve a thing."


@pytest.mark.parametrize(
    "source",
    [
        "\n" * 30 + marked("quotes"),
        "x = 1  " + marked("quotes"),
        '"""\ntaphouse-maker: quotes - in a text\n"""\n',
        " " * 5000 + "\n" + marked("quotes"),
    ],
)
def test_only_a_comment_among_the_first_lines_is_a_marker(shelf: Shelf, source: str) -> None:
    shelf.drop("quotes.py", source)
    makers = find_makers()
    assert list(makers) == [] and makers.problems == []


@pytest.mark.parametrize(
    "line", ["# taphouse-maker:", "# taphouse-maker: - text", "# taphouse-maker: a/b - x"]
)
def test_a_marker_line_without_a_usable_name_is_reported(shelf: Shelf, line: str) -> None:
    path = shelf.drop("quotes.py", line + "\n" + MAKER)
    makers = find_makers()
    assert list(makers) == []
    assert makers.problems == [
        f"{path}: its marker line names no server type; write '# taphouse-maker: NAME - description'"
    ]


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("my-quotes.py", "'my-quotes' is no name that Python can import; rename it, such as my_quotes"),
        ("2quotes.py", "'2quotes' is no name that Python can import; rename it, such as _2quotes"),
        ("json.py", "module json is Python's own; rename it"),
    ],
)
def test_a_file_that_cannot_be_imported_by_its_name_is_broken(shelf: Shelf, file: str, reason: str) -> None:
    path = shelf.drop(file, marked("quotes"), own=True)
    assert find_makers().problems == [f"server type quotes ({path}) is broken: {reason}"]


def test_a_module_that_another_hides_is_broken(shelf: Shelf) -> None:
    hiding = shelf.drop("quotes.py", "x = 1\n")
    shelf.drop("quotes.py", marked("quotes"), own=True)
    assert (
        find_makers().get("quotes").problem
        == f"module quotes is taken from {hiding}, which comes first; rename it"
    )


def test_files_that_are_no_files_are_passed_over(shelf: Shelf) -> None:
    os.mkfifo(shelf.path / "waiting.py")
    (shelf.path / "folder.py").mkdir()
    (shelf.path / "null.py").symlink_to("/dev/null")
    (shelf.path / "dangling.py").symlink_to("nowhere")
    makers = find_makers()
    assert list(makers) == [] and makers.problems == []


def test_what_cannot_be_read_is_reported_and_the_rest_is_found(shelf: Shelf) -> None:
    (shelf.path / "round.py").symlink_to("round.py")
    shelf.drop("quotes.py", marked("quotes"))
    makers = find_makers()
    assert [entry.name for entry in makers] == ["quotes"]
    assert makers.problems == [f"{shelf.path}/round.py: cannot be read: Too many levels of symbolic links"]


def test_a_folder_that_cannot_be_read_is_reported_and_the_rest_is_found(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.drop("quotes.py", marked("quotes"), own=True)
    scandir = os.scandir

    def refusing(folder: str) -> object:
        if folder == str(shelf.path):
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refusing)
    makers = find_makers()
    assert [entry.name for entry in makers] == ["quotes"]
    assert makers.problems == [f"{shelf.path}: cannot be read: Permission denied"]


def test_a_bare_folder_hides_no_module(shelf: Shelf) -> None:
    (shelf.path / "quotes").mkdir()
    shelf.drop("quotes.py", marked("quotes"), own=True)
    assert find_makers().get("quotes").load().entry.module == "quotes"


def test_a_folder_with_too_many_names_is_reported_and_not_looked_through(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taphouse.plugins.finding.MOST_NAMES", 2)
    for name in ("a", "b", "c"):
        shelf.drop(f"{name}.py", marked(name))
    makers = find_makers()
    assert list(makers) == []
    assert makers.problems == [f"{shelf.path}: holds more than 2 names and is not looked through"]


def test_no_folder_of_ones_own_and_an_odd_path_are_no_trouble(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    monkeypatch.setenv("HOME", "/nowhere/at/all")
    monkeypatch.setattr(sys, "path", [*sys.path, "/nowhere", "", str(shelf.path / "x.zip"), str(shelf.path)])
    monkeypatch.chdir(shelf.path)
    shelf.drop("quotes.py", marked("quotes"))
    makers = find_makers()
    assert [entry.name for entry in makers] == ["quotes"] and makers.problems == makers.duplicates == []


# --- who may have put it there ------------------------------------------------------------------


@pytest.mark.parametrize("what", ["folder", "file", "package"])
def test_what_others_may_write_is_refused_with_the_reason(shelf: Shelf, what: str) -> None:
    file = shelf.drop("quotes/__init__.py" if what == "package" else "quotes.py", marked("quotes"), own=True)
    place = {"folder": shelf.own, "file": file, "package": file.parent}[what]
    place.chmod(0o777)
    makers = find_makers()
    (problem,) = makers.problems
    assert problem == (
        f"server type quotes ({file}) is broken: {place} may be written by anybody,"
        " who could replace what is run from there"
    )
    with pytest.raises(ConfigurationError, match="may be written by anybody"):
        makers.get("quotes").load()
    assert "quotes" not in sys.modules


def test_what_belongs_to_another_user_is_refused_with_the_reason(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = shelf.drop("quotes.py", marked("quotes"), own=True)
    real = os.stat

    class Foreign:
        st_uid, st_mode = 4711, 0o100644

    monkeypatch.setattr(os, "stat", lambda path, **how: Foreign() if path == str(file) else real(path, **how))
    assert f"{file} belongs to user 4711" in find_makers().get("quotes").problem


# --- several with one name ----------------------------------------------------------------------


def test_an_entry_point_comes_before_a_dropped_module_and_both_are_named(shelf: Shelf) -> None:
    dropped = shelf.drop("a.py", marked("quotes"))
    shelf.install("quotes-1.0", "quotes = z", z=MAKER)
    makers = find_makers()
    assert makers.get("quotes").module == "z"
    assert makers.duplicates == [f"server type quotes is there twice: quotes 1.0 is used, {dropped} is not"]
    assert len(makers) == 1


def test_the_path_comes_before_the_folder_of_ones_own(shelf: Shelf) -> None:
    own = shelf.drop("a.py", marked("quotes"), own=True)
    path = shelf.drop("b.py", marked("quotes"))
    makers = find_makers()
    assert makers.get("quotes").module == "b"
    assert makers.duplicates == [f"server type quotes is there twice: {path} is used, {own} is not"]


def test_a_working_maker_comes_before_a_broken_one(shelf: Shelf) -> None:
    broken = shelf.drop("a.py", marked("quotes", source="def :\n"))
    works = shelf.drop("b.py", marked("quotes"))
    makers = find_makers()
    assert makers.get("quotes").module == "b"
    assert makers.duplicates == [f"server type quotes is there twice: {works} is used, {broken} is not"]


def test_a_module_that_is_declared_both_ways_is_one_maker(shelf: Shelf) -> None:
    shelf.install("quotes-1.0", "quotes = quotes", quotes=marked("quotes"))
    makers = find_makers()
    assert len(makers) == 1 and makers.duplicates == []


# --- the list as a whole ------------------------------------------------------------------------


def test_the_list_is_sorted_by_name(shelf: Shelf) -> None:
    shelf.install("several-1.0", "b = x\nd = x", x=MAKER)
    shelf.drop("y.py", marked("c"))
    shelf.drop("z.py", marked("a"), own=True)
    assert names() == ["a", "b", "c", "d"]
    assert "c" in find_makers() and "x" not in find_makers()


@pytest.mark.parametrize(
    ("typed", "cure"), [("qoutes", "did you mean quotes?"), ("xyz", "mktap without arguments lists them")]
)
def test_an_unknown_type_is_refused_with_the_nearest(shelf: Shelf, typed: str, cure: str) -> None:
    shelf.drop("quotes.py", marked("quotes"))
    with pytest.raises(UsageError) as caught:
        find_makers().get(typed)
    assert str(caught.value) == f"there is no server type {typed!r}; {cure}"


def test_check_46(shelf: Shelf) -> None:
    """A broken plugin file: others are listed and usable, a line names it; duplicate names are reported."""
    broken = shelf.drop("broken.py", marked("broken", source="x = 1\ndef f(:\n"))
    works = shelf.drop("works.py", marked("works"))
    twice = shelf.drop("twice.py", marked("works"), own=True)
    makers = find_makers()
    assert [(entry.name, bool(entry.problem)) for entry in makers] == [("broken", True), ("works", False)]
    (problem,) = makers.problems
    assert problem.startswith(f"server type broken ({broken}) is broken: SyntaxError: ")
    assert problem.endswith(f"({broken} line 3)")
    assert makers.duplicates == [f"server type works is there twice: {works} is used, {twice} is not"]
    assert makers.get("works").load().Options is sys.modules["works"].Options


_LIST = """
import sys
from taphouse.plugins import find_makers
makers = find_makers()
for entry in makers:
    print(entry.name, entry.description, entry.problem)
print(makers.problems, makers.duplicates)
print("LOADED", *sys.modules)
"""


def test_listing_imports_no_maker_and_little_else(tmp_path: Path) -> None:
    (tmp_path / "quotes.py").write_text(marked("quotes", source=RUNS))
    environment = {"PYTHONPATH": f"{TOP / 'src'}:{tmp_path}", "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", _LIST], env=environment, capture_output=True, text=True, check=True
    )
    listed, _, loaded = done.stdout.partition("LOADED ")
    assert "quotes serve a thing" in listed
    modules = set(loaded.split())
    makers = {name for name in modules if name.startswith(("taphouse.makers.", "taphouse.usage"))}
    assert (
        makers | modules & {"quotes", "importlib.metadata", "email", "click", "msgspec", "asyncio"} == set()
    )
