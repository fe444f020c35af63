"""To the journal a record is one record, with its fields, however long and of how many lines."""

from __future__ import annotations

import array
import fcntl
import logging
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from taphouse.daemon import LogSettings, open_logs
from taphouse.daemon.journal import JournalSink, find_journal

SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL


class Journal:
    """The journal's end of its socket."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._socket.settimeout(30)
        self.was_file = False

    def next(self) -> dict[str, str]:
        """Return the fields of the next record."""
        data, ancillary, _, _ = self._socket.recvmsg(1 << 20, socket.CMSG_SPACE(4))
        self.was_file = bool(ancillary)
        for _, _, sent in ancillary:
            fd = array.array("i", sent)[0]
            assert fcntl.fcntl(fd, fcntl.F_GET_SEALS) == SEALS
            with open(fd, "rb") as file:
                file.seek(0)
                data = file.read()
        return fields(data)

    def wait_for(self, text: str) -> dict[str, str]:
        """Read records up to the one with this message."""
        while True:
            found = self.next()
            if found["MESSAGE"] == text:
                return found

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()


def fields(data: bytes) -> dict[str, str]:
    """Read a record as the protocol has it."""
    found = {}
    while data:
        line, _, data = data.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            length = int.from_bytes(data[:8], "little")
            value, data = data[8 : 8 + length], data[8 + length :]
            assert data[:1] == b"\n"
            data = data[1:]
        found[name.decode()] = value.decode()
    return found


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path / "journal")
    yield made
    made.close()


def stream_of(fd: int) -> str:
    found = os.fstat(fd)
    return f"{found.st_dev}:{found.st_ino}"


@pytest.fixture
def logging_to(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> Iterator[Journal]:
    """A log whose standard output is the journal's stream."""
    monkeypatch.setenv("JOURNAL_STREAM", stream_of(1))
    logs = open_logs(
        LogSettings(journal_path=journal.path), context=lambda: "Keys,3,::1", application=lambda: "otk"
    )
    yield journal
    logs.close()


def test_a_record_has_its_severity_its_place_and_who_speaks(logging_to: Journal) -> None:
    logging.getLogger("otk.keys").warning("low on %s", "keys")
    here = sys._getframe().f_lineno - 1
    assert logging_to.wait_for("low on keys") == {
        "MESSAGE": "low on keys",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "otk",
        "TAPHOUSE_CONTEXT": "Keys,3,::1",
        "TAPHOUSE_LOGGER": "otk.keys",
        "TAPHOUSE_APPLICATION": "otk",
        "CODE_FILE": __file__,
        "CODE_LINE": str(here),
        "CODE_FUNC": "test_a_record_has_its_severity_its_place_and_who_speaks",
    }


@pytest.mark.parametrize(
    ("level", "priority"), [("critical", "2"), ("error", "3"), ("warning", "4"), ("info", "6")]
)
def test_levels_are_priorities(logging_to: Journal, level: str, priority: str) -> None:
    getattr(logging.getLogger("x"), level)("a word")
    assert logging_to.wait_for("a word")["PRIORITY"] == priority


def test_a_traceback_is_one_record_and_an_error_of_the_system_has_its_number(logging_to: Journal) -> None:
    try:
        raise FileNotFoundError(2, "No such file or directory")
    except OSError:
        logging.getLogger("x").exception("failed")
    logging.getLogger("x").info("afterwards")
    logging_to.wait_for("Log opened.")
    found = logging_to.next()
    assert found["MESSAGE"].startswith("failed\nTraceback (most recent call last):\n")
    assert found["MESSAGE"].endswith("\nFileNotFoundError: [Errno 2] No such file or directory")
    assert found["ERRNO"] == "2"
    assert logging_to.next()["MESSAGE"] == "afterwards"


def test_what_is_printed_is_a_record_without_a_place(logging_to: Journal) -> None:
    logging.getLogger("stdout").info("hello")
    found = logging_to.wait_for("hello")
    assert found["PRIORITY"] == "6"
    assert "CODE_FILE" not in found


def test_what_a_terminal_would_obey_is_escaped_and_no_field_can_be_forged(logging_to: Journal) -> None:
    logging.getLogger("x").info("red \x1b[31m\nPRIORITY=0")
    assert logging_to.wait_for("red \\x1b[31m\nPRIORITY=0")["PRIORITY"] == "6"


def test_what_is_too_long_for_a_datagram_comes_in_a_sealed_file(logging_to: Journal) -> None:
    logging.getLogger("x").info("é" * 250_000)
    logging_to.wait_for("Log opened.")
    assert logging_to.next()["MESSAGE"] == "é" * 250_000
    assert logging_to.was_file


def test_only_a_stream_of_the_journal_itself_means_the_journal(journal: Journal, tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    try:
        assert find_journal({}, write_end, path=journal.path) is None
        assert find_journal({"JOURNAL_STREAM": "1:2"}, write_end, path=journal.path) is None
        own = {"JOURNAL_STREAM": stream_of(write_end)}
        assert find_journal(own, write_end, path=str(tmp_path / "nobody")) is None
        found = find_journal(own, write_end, path=journal.path)
        assert found is not None
        found.close()
    finally:
        os.close(read_end)
        os.close(write_end)


def test_json_that_was_asked_for_is_written_as_it_is(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", stream_of(1))
    open_logs(LogSettings(format="json", journal_path=journal.path)).close()
    assert '"text": "Log opened."' in capfd.readouterr().out


def test_a_journal_that_was_started_anew_is_found_again(journal: Journal, tmp_path: Path) -> None:
    sink = JournalSink(journal.path)
    journal.close()
    os.unlink(journal.path)
    anew = Journal(tmp_path / "journal")
    sink.write([b"MESSAGE=again\n"])
    assert anew.next() == {"MESSAGE": "again"}
    sink.close()
    anew.close()


def test_a_journal_that_is_away_costs_records_not_time(journal: Journal) -> None:
    sink = JournalSink(journal.path)
    journal.close()
    sink.write([b"MESSAGE=lost\n"] * 100_000)
    sink.close()
