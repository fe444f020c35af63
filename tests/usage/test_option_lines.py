"""Command lines: what is understood, and the one line that says what is not."""

from __future__ import annotations

from typing import Literal

import pytest
from optionmodels import Copy, Everything, LogOptions, Quotes, Tool, options, parse, refusal

from taphouse import usage


def test_check_47():
    """The manners of getopt that the system of 2002 had."""
    assert options(Everything, "-vvv").verbose == 3
    assert options(Everything, "-v", "-cvv").verbose == 3
    assert options(Everything, "-DX", "-DY").names == ["X", "Y"]
    assert options(Everything, "--name=val", "--name", "a=b").names == ["val", "a=b"]

    copied = options(Copy, "-f", "--", "-a", "--force")
    assert (copied.force, copied.source, copied.targets) == (True, "-a", ["--force"])

    assert options(Everything, "--verb", "--po", "3").port == 3
    assert options(Everything, "--w", "very-heavy", "--ti=5s", "--c").colour is True
    assert refusal(Everything, "--t", "1") == "--t is not unique; it may be --timeout or --target"
    assert refusal(Everything, "--li", "1") == "--limit: 1 is not at least 1KiB; see mktap quotes --help"
    assert refusal(Everything, "--pa", "1").startswith("--pa is not unique; it may be --password or --pass")
    assert refusal(Everything, "--l", "1") == "--l is not unique; it may be --limit or --log-file"

    assert refusal(Copy, "a").startswith("TARGETS is required (where to); give TARGETS")
    assert refusal(Copy).startswith("SOURCE is required (what)")
    assert refusal(Everything, "stray") == "unexpected argument 'stray'; see mktap quotes --help"

    assert refusal(Everything, "--colour=yes") == "-c/--colour takes no value; see mktap quotes --help"
    assert refusal(Everything, "--verbose=2") == "-v/--verbose takes no value; see mktap quotes --help"
    assert refusal(Everything, "-p") == "-p/--port needs a value, INTEGER; see mktap quotes --help"

    tool = options(Tool, "-vv", "log", "-l", "5", "--to", "x")
    assert (tool.verbose, tool.sub_command, tool.sub_options) == (2, "log", LogOptions(level=5, to="x"))
    assert refusal(Tool, "lug") == "unknown command 'lug'; did you mean log?"
    assert refusal(Tool, "log", "--levle", "3") == "unknown option --levle; did you mean --level?"
    assert refusal(Tool, "log", "--nonsense") == "unknown option --nonsense; see mktap quotes log --help"
    assert options(Tool).sub_command is None and options(Tool).sub_options is None


def test_flags_have_an_opposite():
    assert options(Everything, "--colour").colour is True
    assert options(Everything, "--no-colour").colour is False
    assert options(Everything, "--no-numbers").numbers == []
    assert options(Everything, "--no-verbose").verbose == 0
    assert options(Everything, "--no-v").verbose == 0


def test_a_count_and_a_list_can_be_none_whatever_their_default_is():
    class Loud(usage.Options):
        loud: usage.Count = usage.option(2, "-l")
        words: list[str] = usage.option(["a"])

    assert vars(options(Loud)) == {"loud": 2, "words": ["a"]}
    assert usage.to_argv(Loud(loud=0, words=[])) == ["--no-loud", "--no-words"]
    assert vars(options(Loud, "--no-loud", "--no-words")) == {"loud": 0, "words": []}
    assert options(Loud, "-l").loud == 1


def test_underscores_are_hyphens_and_values_keep_theirs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert options(Everything, "--log_file", "a_b").log_file == tmp_path / "a_b"
    assert options(Everything, "--no_colour").colour is False


def test_options_may_stand_behind_arguments():
    assert options(Copy, "a", "b", "-f", "c").targets == ["b", "c"]


def test_with_commands_options_come_first():
    assert refusal(Tool, "--", "-v") == "-v stands behind an argument; options come first"


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["--prot", "1"], "unknown option --prot; did you mean --port?"),
        (["--zzzz"], "unknown option --zzzz; see mktap quotes --help"),
        (["-x"], "unknown option -x; see mktap quotes --help"),
        (["-p", "x"], "-p/--port: 'x' is no whole number; see mktap quotes --help"),
        (["-p", "1.5"], "-p/--port: '1.5' is no whole number; see mktap quotes --help"),
        (["-p", ""], "-p/--port: '' is no whole number; see mktap quotes --help"),
        (["--port=-1"], "-p/--port: -1 is not from 0 to 65535; see mktap quotes --help"),
        (["-p", "1", "--port=1"], "-p/--port is given twice; give it once"),
        (["--colour", "--no-colour"], "-c/--colour/--no-colour is given twice; give it once"),
        (["--name=a", "--no-name"], "-D/--name/--no-name is given twice; give one of them"),
        (["-Da", "-Db", "-Dc", "-Dd", "-De"], "-D/--name: 5 values are not at most 4 values"),
        (["--numbers=1", "--numbers=-1"], "--numbers: -1 is not at least 0"),
        (["--ratio=0"], "-r/--ratio: 0 is not above 0"),
        (["--ratio=nan"], "-r/--ratio: 'nan' is no number"),
        (["--mode=sate"], "--mode: 'sate' is not one of fast, safe; did you mean safe?"),
        (["--hue=blue"], "--hue: 'blue' is not one of red, dark-blue; did you mean dark-blue?"),
        (["--weight=heavy"], "--weight: 'heavy' is not one of light, very-heavy"),
        (["--timeout=soon"], "--timeout: 'soon' is no duration such as 30s, 5m or 2h"),
        (["--timeout=2h"], "--timeout: 2h is not from 1s to 1h"),
        (["--limit=lots"], "--limit: 'lots' is no size such as 64k, 10MiB or 1GB"),
        (["--limit=5"], "--limit: 5 is not at least 1KiB"),
        (
            ["--target=nowhere"],
            "--target: 'nowhere' is no address such as host:port, [::1]:80, :80 or unix:/path",
        ),
        (["--target=x:70000"], "--target: 'x:70000': ports end at 65535"),
        (["--folder=/no/such"], "--folder: /no/such does not exist"),
        (["--folder=/etc/passwd"], "--folder: /etc/passwd is no folder"),
        (
            ["--log-file=/no/such/file"],
            "--log-file: /no/such/file cannot be made, there is no folder /no/such",
        ),
        (["--log-file=/etc"], "--log-file: /etc is a folder, not a file"),
        (["--log-file="], "--log-file: an empty path names nothing"),
        (["--greeting=hey!"], "--greeting: 'hey!' is not like ^[^!]*$ and at least 1 character long"),
        (["--greeting=a\0b"], r"--greeting: 'a\x00b' holds a NUL"),
        (["--greeting=\udc80"], r"--greeting: '\udc80' is no text in UTF-8"),
        (["--greeting=two\nlines!"], r"--greeting: 'two\nlines!' is not like"),
        (["--password=x"], "--password takes no value"),
        (["--password-file=/no/such"], "--password-file: secret file /no/such: No such file or directory"),
        (["--password-credential=a/b"], "--password-credential: 'a/b' is no name of a credential"),
        (["--password-file=/etc/passwd", "--password"], "--password is given twice; give one of them"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(argv, line):
    said = refusal(Everything, *argv)
    assert said == line or said.startswith(line), said


def test_a_missing_required_option_says_how_it_can_be_given():
    assert refusal(Quotes) == (
        "--file is required (the fortunes); give --file FILE, or set TAPHOUSE_QUOTES_FILE"
    )


def test_a_file_that_has_to_be_there_is_named_in_full(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert refusal(Quotes, "--file", "gone").startswith(f"--file: {tmp_path}/gone does not exist")
    (tmp_path / "there").touch()
    assert options(Quotes, "--file", "there").file == tmp_path / "there"
    assert refusal(Quotes, "--file", ".").startswith(f"--file: {tmp_path} is a folder, not a file")


def test_a_file_that_may_not_be_read_is_refused(tmp_path, monkeypatch):
    secret = tmp_path / "secret"
    secret.touch()
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert refusal(Quotes, "--file", str(secret)).startswith(f"--file: {secret} cannot be read")


def test_dash_h_may_be_an_option():
    class Host(usage.Options):
        host: str = usage.option("", "-h")

    assert options(Host, "-h", "x").host == "x"
    with pytest.raises(SystemExit):
        parse(Host, "--help")


def test_a_socket_is_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert options(Everything, "--target", "unix:x.sock").target.path == f"{tmp_path}/x.sock"


def test_choices_of_numbers_are_numbers():
    class Numbers(usage.Options):
        size: Literal[1, 2, "many"] = usage.option(1)

    assert options(Numbers, "--size=2").size == 2
    assert options(Numbers, "--size", "many").size == "many"
    assert refusal(Numbers, config={"size": True}) == "configuration: size: True is not one of 1, 2, many"


def test_words_may_begin_like_options():
    assert options(Everything, "--name", "-x", "--name=--", "--greeting", "-").names == ["-x", "--"]
    assert options(Copy, "a", "--", "-5").targets == ["-5"]
