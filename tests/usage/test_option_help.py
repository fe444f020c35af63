"""Help says everything that was declared, as wide as the terminal."""

from __future__ import annotations

import re

import pytest
from optionmodels import Copy, Everything, Quotes, Tool, parse

from playground import TOP
from taphouse import usage

QUOTES = """\
usage: mktap quotes --file FILE [options]

Serve quotes.

options:
  -p, --port INTEGER  TCP port (from 0 to 65535; default: 1717;
                      $TAPHOUSE_QUOTES_PORT)
      --file FILE     the fortunes (required; $TAPHOUSE_QUOTES_FILE)
  -h, --help          show this help and exit
"""


def help_of(cls, capsys, *argv):
    with pytest.raises(SystemExit) as ended:
        parse(cls, *argv)
    assert ended.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("flag", ["-h", "--help", "--he"])
def test_help_goes_to_standard_output_and_ends_with_0(capsys, monkeypatch, flag):
    monkeypatch.setenv("COLUMNS", "80")
    assert help_of(Quotes, capsys, flag) == QUOTES


def test_help_wins_over_what_is_missing(capsys):
    assert "usage:" in help_of(Quotes, capsys, "-p", "nonsense", "--help")


@pytest.mark.parametrize("columns", ["40", "60", "80", "200"])
def test_help_is_as_wide_as_the_terminal(capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    text = help_of(Everything, capsys, "-h")
    assert max(map(len, text.splitlines())) <= max(int(columns), 57)  # a variable's name is not broken
    monkeypatch.setenv("COLUMNS", "nonsense")
    assert max(map(len, help_of(Everything, capsys, "-h").splitlines())) <= 80


def test_everything_that_is_declared_is_told(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    text = help_of(Everything, capsys, "-h")
    for line in (
        "Serve a random fortune.",
        "One of them at a time, to whoever connects.",
        "-v, --verbose say more ($TAPHOUSE_QUOTES_VERBOSE)",
        "whom to greet (at most 4 values; may be repeated; default: none; $TAPHOUSE_QUOTES_NAMES)",
        "lucky ones (each at least 0; may be repeated; default: 1, 2; $TAPHOUSE_QUOTES_NUMBERS)",
        "-c, --colour, --no-colour send colours (default: no;",
        "--mode fast|safe",
        "how (default: safe; $TAPHOUSE_QUOTES_MODE)",
        "patience (from 1s to 1h; default: 30s; $TAPHOUSE_QUOTES_TIMEOUT)",
        "at least 1KiB; default: 10MiB; $TAPHOUSE_QUOTES_LIMIT",
        "--target ADDRESS",
        "of the database (asks for it; $TAPHOUSE_QUOTES_PASSWORD)",
        "--password-file FILE",
        "--password-credential NAME",
    ):
        assert line in " ".join(text.split()), line
    assert text.endswith(
        "examples:\n  mktap quotes --file fortunes\n  mktap quotes --file fortunes -p 1818\n"
    )


def test_arguments_have_a_table_of_their_own(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    text = help_of(Copy, capsys, "-h")
    assert "usage: mktap quotes [options] SOURCE TARGETS...\n" in text
    assert "arguments:\n  SOURCE   what (required; $TAPHOUSE_QUOTES_SOURCE)\n" in text
    assert "  TARGETS  where to (one or more; required; $TAPHOUSE_QUOTES_TARGETS)\n" in text


def test_commands_are_listed_and_have_help_of_their_own(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    text = help_of(Tool, capsys, "-h")
    assert "commands:\n  log     write a log\n  quotes  Serve quotes.\n" in text
    text = help_of(Tool, capsys, "log", "--help")
    assert text.startswith("usage: mktap quotes log [options]\n\nWrite a log.\n")
    assert "$TAPHOUSE_QUOTES_LOG_LEVEL" in text


def test_what_is_hidden_is_understood_and_not_told(capsys):
    class Hidden(usage.Options):
        secretly: bool = usage.option(False, hidden=True)
        seen: bool = usage.option(False)

    assert "secretly" not in help_of(Hidden, capsys, "-h")
    assert parse(Hidden, "--secretly").options.secretly
    assert parse(Hidden, "--se").options.seen  # hidden ones are in nobody's way


def test_indented_paragraphs_of_the_docstring_stay_as_they_are(capsys, monkeypatch):
    class Long(usage.Options):
        """First.

        This is text that is
        filled.

            $ this stays
            $ as it is
        """

    monkeypatch.setenv("COLUMNS", "80")
    text = help_of(Long, capsys, "-h")
    assert "This is text that is filled.\n\n    $ this stays\n    $ as it is\n" in text


def test_click_sees_the_same_options():
    command = usage.make_command(Everything, "quotes", "mktap quotes")
    flags = {flag for param in command.params for flag in (*param.opts, *param.secondary_opts)}
    assert {"-p", "--port", "--no-colour", "--password-file", "-h", "--help", "--no-numbers"} <= flags
    assert "usage: mktap quotes" in command.get_help(__import__("click").Context(command))
    by_name = {param.name: param for param in command.params}
    assert by_name["port"].envvar == "TAPHOUSE_QUOTES_PORT"
    assert list(by_name["mode"].type.choices) == ["fast", "safe"]
    tool = usage.make_command(Tool, "quotes", "mktap quotes")
    assert sorted(tool.commands) == ["log", "quotes"]
    assert tool.commands["log"].get_short_help_str() == "write a log"


def test_the_guide_names_everything_that_is_offered():
    text = (TOP / "docs" / "options.md").read_text()
    assert {name for name in usage.__all__ if not re.search(rf"\b{name}\b", text)} == set()
    assert {name for name in usage.__all__ if not hasattr(usage, name)} == set()
