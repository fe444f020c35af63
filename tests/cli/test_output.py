"""What a command says when it cannot go on: one line, the right status, no traceback unasked."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest

from taphouse.cli.output import describe_error, one_line, run_command, say
from taphouse.errors import AddressError, StateExistsError, UsageError


def test_an_error_becomes_one_line_with_its_cure_and_its_status(capsys: pytest.CaptureFixture[str]) -> None:
    def fails() -> int:
        raise AddressError("port 8123: in use", cure="stop the other server")

    assert run_command("twistd", fails) == 69
    assert capsys.readouterr().err == "twistd: port 8123: in use; stop the other server\n"


def test_an_unexpected_exception_is_one_line_with_a_hint_and_status_70(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_command("twistd", lambda: [][1], debug=False) == 70
    error = capsys.readouterr().err
    assert error == (
        "twistd: internal error: IndexError: list index out of range; run with --debug for the traceback\n"
    )


@pytest.mark.parametrize("words", [(), ("echo", "--help"), ("echo", "--print-config")])
def test_a_disk_that_is_full_under_the_output_is_a_line_and_status_74(words: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "taphouse.cli.mktap", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (
        74,
        "mktap: writing the output: No space left on device\n",
    )


def test_debug_adds_the_traceback_before_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("twistd", lambda: [][1], debug=True) == 70
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1].startswith("twistd: internal error: IndexError")


def test_success_and_none_are_status_0_and_exits_keep_theirs() -> None:
    assert run_command("tap", lambda: None) == 0
    assert run_command("tap", lambda: 3) == 3
    assert run_command("tap", lambda: sys.exit(64)) == 64
    assert run_command("tap", lambda: sys.exit()) == 0


def test_an_interrupted_command_ends_as_a_shell_expects(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> int:
        raise KeyboardInterrupt

    assert run_command("tap", interrupted) == 130
    assert capsys.readouterr().err == ""


def test_line_breaks_and_terminal_escapes_of_a_hostile_name_are_not_obeyed() -> None:
    assert one_line("a\nb\r\x1b[31mc\x07\tü") == "a b \\x1b[31mc\\x07 ü"


def test_a_long_message_of_a_foreign_exception_is_bounded() -> None:
    line, code = describe_error(ValueError("x" * 1_000_000))
    assert code == 70
    assert len(line) <= 2000


def test_every_error_carries_its_own_status() -> None:
    assert describe_error(UsageError("no")) == ("no", 64)
    assert describe_error(StateExistsError("newer", path="otk.tap", cure="use it")) == (
        "otk.tap: newer; use it",
        78,
    )


def test_a_closed_standard_error_does_not_hide_the_status() -> None:
    closed = io.StringIO()
    closed.close()
    say("twistd", "nobody hears this", stream=closed)


_SCRIPT = """
from taphouse.cli.output import take_uncaught_errors
from taphouse.errors import NotDurableError
take_uncaught_errors()
{statement}
"""


@pytest.mark.process
def test_an_uncaught_error_of_ours_ends_a_script_in_one_line_with_its_status() -> None:
    statement = 'raise NotDurableError("otk.Keys#1.cache: a socket cannot be saved", cure="use _v_cache")'
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT.format(statement=statement)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == "-c: otk.Keys#1.cache: a socket cannot be saved; use _v_cache\n"
    assert done.returncode == 70


@pytest.mark.process
def test_other_uncaught_exceptions_of_a_script_keep_their_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT.format(statement="1 / 0")], capture_output=True, text=True, check=False
    )
    assert "Traceback" in done.stderr
    assert done.returncode == 1


@pytest.mark.process
def test_a_reader_that_goes_away_is_no_error() -> None:
    program = (
        "import sys\nfrom taphouse.cli.output import run_command\n"
        "sys.exit(run_command('tap', lambda: print('x' * 1_000_000)))"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout is not None and child.stderr is not None
    child.stdout.close()
    assert child.stderr.read() == ""
    child.stderr.close()
    assert child.wait() == 0
