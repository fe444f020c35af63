"""Command lines: spellings of 2002 accepted, mistakes told in one line with the nearest right one."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest

from taphouse.cli import tap, twistd
from taphouse.cli.parsing import bytes_size, duration_s, octal_mode, with_hyphens
from taphouse.cli.settings import Settings, is_python_target, settings_from
from taphouse.errors import UsageError


def parse(*argv: str, **more: object) -> Settings:
    return settings_from(twistd.make_parser().parse(argv), **more)


def test_underscores_of_2002_are_accepted_in_every_option() -> None:
    assert parse("--no_save").save is False
    assert parse("--log_format=json", "--max_connections", "3").max_connections == 3


def test_values_and_what_follows_a_double_dash_keep_their_underscores() -> None:
    assert with_hyphens(["--rundir=/a_b", "a_b", "--", "--c_d"]) == ["--rundir=/a_b", "a_b", "--", "--c_d"]


def test_an_unknown_option_names_the_nearest_one() -> None:
    with pytest.raises(UsageError) as caught:
        parse("--logfiel", "x")
    assert str(caught.value) == "unknown option --logfiel; did you mean --logfile?"


def test_an_option_without_its_value_is_named() -> None:
    with pytest.raises(UsageError, match="-l/--logfile: expected one argument"):
        parse("-l")


def test_an_unknown_reactor_says_which_there_are() -> None:
    with pytest.raises(UsageError, match="-r/--reactor: invalid choice: 'kqueue'.*'uvloop', 'asyncio'"):
        parse("-r", "kqueue")


def test_a_stray_word_is_refused() -> None:
    with pytest.raises(UsageError, match="unexpected argument 'otk.tap'"):
        parse("otk.tap")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["-f", "a.tap", "-y", "b.py"], "-f and -y both"),
        (["-f", "a.tap", "--drop", "Keys#1"], "--drop only means something with -y"),
        (["-o", "-f", "a.tap", "--fresh"], "-o keeps no state"),
        (["-o", "--state", "a.tap"], "-o keeps no state"),
        (["-o", "-f", "a.tap", "--durability", "exit"], "-o keeps no state, --durability says when"),
        (["--state", "a.tap", "--fresh"], "--fresh needs something to begin from"),
        (["--syslog", "-l", "x.log"], "--syslog and --logfile"),
        (["--prefix", "x"], "--prefix only means something with --syslog"),
        (["--savestats"], "--savestats needs a file"),
    ],
)
def test_options_that_contradict_each_other_are_refused(argv: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse(*argv)


def test_a_daemon_cannot_log_to_standard_output() -> None:
    with pytest.raises(UsageError, match="a daemon has no standard output"):
        parse("-l", "-", daemon=True)
    assert parse("-n", "-l", "-", daemon=False).logfile == "-"


def test_files_to_run_are_found_from_where_the_command_was_typed() -> None:
    settings = parse("-f", "otk.tap", "-d", "/")
    assert settings.tap == os.path.join(os.getcwd(), "otk.tap")
    assert settings.run_directory == "/"
    assert parse("-y", "otk.py").python == os.path.join(os.getcwd(), "otk.py")
    assert parse("-y", "otk:app").python == "otk:app"


@pytest.mark.parametrize(
    ("target", "python"),
    [
        ("otk.py", True), ("/srv/otk.py:app", True), ("otk:app", True), ("a.b:c.d", True),
        ("otk-start.tap", False), ("dir/otk.tap", False), ("C:", False), ("otk", False),
    ],
)  # fmt: skip
def test_a_target_is_python_or_a_tap_by_its_form(target: str, python: bool) -> None:
    assert is_python_target(target) is python


@pytest.mark.parametrize(
    ("text", "seconds"), [("5", 5.0), ("1.5s", 1.5), ("2m", 120.0), ("3h", 10800.0), ("150ms", 0.15)]
)
def test_durations_have_units(text: str, seconds: float) -> None:
    assert duration_s(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "size"), [("10", 10), ("64k", 64000), ("10MiB", 10 << 20), ("1 GB", 10**9), ("0", 0)]
)
def test_sizes_have_units(text: str, size: int) -> None:
    assert bytes_size(text) == size


@pytest.mark.parametrize("text", ["", "s", "-1", "5x", "nan", "inf", "1e999", "5 s s"])
def test_nonsense_is_neither_a_duration_nor_a_size(text: str) -> None:
    for convert in (duration_s, bytes_size):
        with pytest.raises(argparse.ArgumentTypeError, match="is no"):
            convert(text)


def test_modes_are_octal() -> None:
    assert octal_mode("027") == octal_mode("27") == octal_mode("0o27") == 0o27
    for text in ("8", "1777", "-1", ""):
        with pytest.raises(argparse.ArgumentTypeError):
            octal_mode(text)


def test_limits_take_only_what_was_given() -> None:
    settings = parse("--idle-timeout", "5m", "--free-space-stop", "10MiB")
    assert settings.limits() == {"idle_timeout_s": 300.0, "free_space_stop_bytes": 10 << 20}


def test_help_shows_pidfile_logfile_and_examples(capsys: pytest.CaptureFixture[str]) -> None:
    for flag in ("-h", "--help"):
        assert twistd.main([flag]) == 0
        said = capsys.readouterr().out
        assert "--pidfile" in said and "--logfile" in said
        assert "twistd -f otk-start.tap" in said


def test_nothing_to_run_prints_help_and_is_a_usage_error(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert twistd.main([]) == 64
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("usage: twistd")
    assert said.err.splitlines()[-1] == (
        "twistd: nothing to run: there is no twistd.tap here; give -f TAP or -y FILE.py"
    )


def test_tap_without_a_verb_prints_help_and_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert tap.main([]) == 64
    said = capsys.readouterr().err
    assert all(verb in said for verb in tap.VERBS)


def test_an_unknown_verb_names_the_nearest_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert tap.main(["strat"]) == 64
    assert capsys.readouterr().err == "tap: there is no verb 'strat'; did you mean start?\n"


@pytest.mark.parametrize("verb", tap.VERBS)
def test_every_verb_has_help_with_examples(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert tap.main([verb, "--help"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"usage: tap {verb}")
    assert "examples:" in said


@pytest.mark.process
def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\nfrom taphouse.cli.twistd import main\nmain(['--help'])\n"
        "heavy = {'asyncio', 'uvloop', 'sqlite3', 'msgspec', 'ssl', 'logging'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
