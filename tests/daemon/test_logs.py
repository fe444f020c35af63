"""All that a program logs, warns or prints becomes safe lines of one form."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from playground import PATIENCE_S
from taphouse.daemon import Logs, LogSettings, open_logs, parse_level
from taphouse.errors import (
    CannotCreateError,
    UsageError,
)

FORM = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d) \[([^\]]*)\] (.*)")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "twistd.log"


@contextmanager
def opened(path: Path) -> Iterator[Logs]:
    """The log, open inside the test itself: pytest takes stdout and the root logger anew for each phase."""
    logs = open_logs(LogSettings(path=str(path)), context=lambda: "Keys,3,127.0.0.1")
    try:
        yield logs
    finally:
        logs.close()


def texts(path: Path) -> list[str]:
    """The texts of all lines; every line must have the form."""
    found = []
    for line in path.read_text().splitlines():
        match = FORM.fullmatch(line)
        assert match, line
        found.append(match[3])
    return found


def test_the_first_line_says_that_the_log_is_open_and_lines_have_the_documented_form(path: Path) -> None:
    with opened(path):
        logging.getLogger("otk").info("giving key %d", 7)
        first, second = path.read_text().splitlines()
        for line in (first, second):
            match = FORM.fullmatch(line)
            assert match
            assert match[2] == "Keys,3,127.0.0.1"
        assert first.endswith("] Log opened.")
        assert second.endswith("] giving key 7")


def test_without_a_context_the_word_is_a_dash(path: Path) -> None:
    for context in (lambda: "", lambda: "-", lambda: 1 // 0):
        open_logs(LogSettings(path=str(path)), context=context).close()
    assert [FORM.fullmatch(line)[2] for line in path.read_text().splitlines()] == ["-"] * 3  # type: ignore[index]


def test_every_line_of_a_text_carries_the_head(path: Path) -> None:
    with opened(path):
        try:
            raise ValueError("boom")
        except ValueError:
            logging.getLogger("otk").exception("it failed:\nhere")
        found = texts(path)
        assert found[1:4] == ["it failed:", "here", "Traceback (most recent call last):"]
        assert found[-1] == "ValueError: boom"


def test_what_a_client_sent_can_neither_forge_a_line_nor_drive_a_terminal(path: Path) -> None:
    with opened(path):
        logging.getLogger("otk").info("name %s", "x\r\x1b[2Jy\x00\x85\u2028z\udcff\ttab ü")
        assert texts(path)[1] == r"name x\r\x1b[2Jy\x00\x85\u2028z\udcff" + "\ttab ü"


def test_a_context_can_not_forge_a_line_either(path: Path) -> None:
    open_logs(LogSettings(path=str(path)), context=lambda: "a\nb\x1b").close()
    assert "[a b\\x1b] Log opened." in path.read_text()


def test_print_is_a_line_and_stderr_is_an_error_line(path: Path) -> None:
    with opened(path):
        seen: list[tuple[int, str]] = []

        class Watch(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                seen.append((record.levelno, record.getMessage()))

        watch = Watch()
        logging.getLogger().addHandler(watch)
        print("giving key", 3)
        print("half", end="")
        print(" and half")
        print("a\nb", file=sys.stderr)
        sys.stdout.buffer.write(b"raw \xff\n")
        sys.stdout.writelines(["c\n", "d\n"])
        sys.stdout.flush()
        logging.getLogger().removeHandler(watch)
        assert seen == [
            (logging.INFO, "giving key 3"),
            (logging.INFO, "half and half"),
            (logging.ERROR, "a"),
            (logging.ERROR, "b"),
            (logging.INFO, "raw \\xff"),
            (logging.INFO, "c"),
            (logging.INFO, "d"),
        ]
        assert texts(path)[1:] == [text for _, text in seen]


def test_the_captured_streams_still_look_like_streams(path: Path) -> None:
    real = sys.stderr.fileno()
    with opened(path):
        assert sys.stderr.writable()
        assert sys.stderr.fileno() == real
        assert (sys.stdout.encoding, sys.stdout.errors) == ("utf-8", "backslashreplace")
        assert not sys.stdout.isatty()
        assert sys.stdout.buffer.writable()
        with pytest.raises(TypeError, match="must be str"):
            sys.stdout.write(b"bytes")  # type: ignore[arg-type]


def test_a_handler_that_prints_its_own_error_does_not_go_round_in_circles(
    path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    class Prints(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            print("handler failed")

    with opened(path):
        handler = Prints()
        logging.getLogger().addHandler(handler)
        print("one line")
        logging.getLogger().removeHandler(handler)
    assert texts(path)[1:] == ["one line"]
    assert "handler failed" in capfd.readouterr().out


def test_percent_signs_in_printed_text_are_just_text(path: Path) -> None:
    with opened(path):
        print("100% %s %d")
        assert texts(path)[1] == "100% %s %d"


def test_what_was_printed_without_a_newline_is_logged_at_the_end(path: Path) -> None:
    logs = open_logs(LogSettings(path=str(path)))
    print("last words", end="")
    logs.close()
    assert texts(path)[-1] == "last words"


def test_a_program_that_never_ends_its_line_does_not_fill_the_memory(path: Path) -> None:
    with opened(path):
        for _ in range(70):
            print("x" * 1000, end="")
        assert len(texts(path)[1]) == 66_000


def test_two_threads_never_mix_in_one_line(path: Path) -> None:
    with opened(path):
        turn = threading.Barrier(2)

        def speak(word: str) -> None:
            for _ in range(20):
                turn.wait()
                print(word, end="")
                turn.wait()
                print(word)

        threads = [threading.Thread(target=speak, args=(word,)) for word in ("a", "b")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(texts(path)[1:]) == ["aa"] * 20 + ["bb"] * 20


def test_warnings_are_logged(path: Path) -> None:
    with opened(path):
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            logging.captureWarnings(False)
            logging.captureWarnings(True)
            warnings.warn("take care", UserWarning, stacklevel=1)
        assert any("UserWarning: take care" in text for text in texts(path))


def test_a_log_call_with_wrong_arguments_still_gives_a_line(path: Path) -> None:
    with opened(path):
        logging.getLogger("otk").info("%d keys %s", "three")
        assert "arguments that do not fit" in texts(path)[1]
        assert "%d keys %s" in texts(path)[1]


def test_levels_below_the_chosen_one_are_left_out(path: Path) -> None:
    logs = open_logs(LogSettings(path=str(path), level=parse_level("Warning")))
    logging.getLogger("otk").info("no")
    logging.getLogger("otk").warning("yes")
    logs.close()
    assert texts(path) == ["yes"]


def test_json_lines_carry_level_logger_context_and_extra_fields(path: Path) -> None:
    logs = open_logs(LogSettings(path=str(path), format="json"), context=lambda: "*otk*")
    logging.getLogger("otk").warning("line\n%s", "two", extra={"peer": "::1", "odd": {1, 2}})
    logs.close()
    first, second = [json.loads(line) for line in path.read_text().splitlines()]
    assert first["text"] == "Log opened."
    assert FORM.match(f"{second.pop('time')} [] ")
    assert second == {
        "level": "warning",
        "logger": "otk",
        "context": "*otk*",
        "text": "line\ntwo",
        "peer": "::1",
        "odd": "{1, 2}",
    }


@pytest.mark.parametrize(
    "bad",
    [
        {"format": "xml"},
        {"path": "-", "daemon": True},
        {"path": ""},
    ],
)
def test_settings_that_make_no_sense_are_usage_errors(bad: dict[str, object]) -> None:
    with pytest.raises(UsageError) as caught:
        LogSettings(**bad)  # type: ignore[arg-type]
    assert caught.value.exit_code == 64


def test_a_level_that_does_not_exist_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="--log-level 'loud'"):
        parse_level("loud")
    assert parse_level("DEBUG") == logging.DEBUG


def test_a_log_that_cannot_be_opened_changes_nothing(tmp_path: Path) -> None:
    before = sys.stdout, sys.stderr, list(logging.getLogger().handlers)
    with pytest.raises(CannotCreateError):
        open_logs(LogSettings(path=str(tmp_path)))
    assert (sys.stdout, sys.stderr, list(logging.getLogger().handlers)) == before


def test_closing_gives_everything_back_and_may_be_done_twice(path: Path) -> None:
    before = sys.stdout, sys.stderr, list(logging.getLogger().handlers), logging.getLogger().level
    logs = open_logs(LogSettings(path=str(path)))
    assert sys.stdout is not before[0]
    logs.close()
    logs.close()
    after = sys.stdout, sys.stderr, list(logging.getLogger().handlers), logging.getLogger().level
    assert after == before


def test_rotating_comes_between_the_lines_before_and_after_it(path: Path) -> None:
    with opened(path) as logs:
        logs.start_thread()
        for number in range(100):
            logging.getLogger("otk").info("before %d", number)
        logs.rotate()
        logging.getLogger("otk").info("after")
        assert logs.flush(PATIENCE_S)
        assert texts(path) == ["after"]
        assert texts(Path(f"{path}.1"))[-1] == "before 99"


@pytest.mark.process
def test_lines_are_written_however_the_process_ends(path: Path) -> None:
    for ending in (
        "",
        "raise ValueError('boom')",
        "import sys; sys.exit(3)",
        "logs.flush(); import os; os._exit(4)",
    ):
        path.unlink(missing_ok=True)
        code = (
            "import sys, logging\nfrom taphouse.daemon import LogSettings, open_logs\n"
            "logs = open_logs(LogSettings(path=sys.argv[1]))\nlogs.start_thread()\n"
            f"for n in range(1000): print('line', n)\n{ending}"
        )
        subprocess.run([sys.executable, "-c", code, str(path)], check=False, capture_output=True)
        found = texts(path)
        assert found[:1001] == ["Log opened.", *(f"line {number}" for number in range(1000))]
        assert ("ValueError: boom" in found) == ("boom" in ending)


@pytest.mark.process
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_child_can_log_too_and_hangs_on_nothing(path: Path) -> None:
    with opened(path) as logs:
        logs.start_thread()
        logging.getLogger("otk").info("parent")
        assert logs.flush(PATIENCE_S)
        child = os.fork()
        if not child:
            logging.getLogger("otk").info("child")
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert texts(path)[1:] == ["parent", "child"]


@pytest.mark.process
def test_in_the_foreground_the_log_goes_to_stdout_and_stdout_into_the_log() -> None:
    code = (
        "from taphouse.daemon import LogSettings, open_logs\nlogs = open_logs(LogSettings())\n"
        "print('hello')\nimport sys; print('oh', file=sys.stderr)\nlogs.close()\nprint('plain')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    *lines, last = done.stdout.splitlines()
    assert [FORM.fullmatch(line)[3] for line in lines] == ["Log opened.", "hello", "oh"]  # type: ignore[index]
    assert (last, done.stderr) == ("plain", "")
