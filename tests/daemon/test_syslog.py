"""Each line is one record of syslog, and a syslog daemon that is away stops nobody."""

from __future__ import annotations

import logging
import os
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from taphouse.daemon import LogSettings, open_logs
from taphouse.daemon.syslog import SyslogSink
from taphouse.errors import (
    ConfigurationError,
    UsageError,
)

FORM = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d) \[([^\]]*)\] (.*)")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "twistd.log"


def texts(path: Path) -> list[str]:
    """The texts of all lines; every line must have the form."""
    found = []
    for line in path.read_text().splitlines():
        match = FORM.fullmatch(line)
        assert match, line
        found.append(match[3])
    return found


@pytest.fixture
def syslogd(tmp_path: Path) -> Iterator[socket.socket]:
    """A syslog daemon's socket."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    server.bind(str(tmp_path / "log"))
    server.settimeout(30)
    yield server
    server.close()


def test_syslog_gets_one_record_a_line_each_with_the_prefix_and_its_severity(
    syslogd: socket.socket, path: Path
) -> None:
    settings = LogSettings(path="", syslog=True, prefix="otk", syslog_path=syslogd.getsockname())
    logs = open_logs(settings, context=lambda: "*otk*")
    logging.getLogger("otk").error("one\ntwo")
    logs.close()
    form = re.compile(
        rf"<(\d+)>[A-Z][a-z]{{2}} [ \d]\d \d\d:\d\d:\d\d otk\[{os.getpid()}\]: \[\*otk\*\] (.*)"
    )
    found = [form.fullmatch(syslogd.recv(10000).decode()) for _ in range(3)]
    assert [match and match.groups() for match in found] == [
        ("30", "Log opened."),
        ("27", "one"),
        ("27", "two"),
    ]


def test_syslog_and_a_file_can_both_be_had(syslogd: socket.socket, path: Path) -> None:
    open_logs(LogSettings(path=str(path), syslog=True, syslog_path=syslogd.getsockname())).close()
    assert b"Log opened." in syslogd.recv(10000)
    assert texts(path) == ["Log opened."]


def test_a_very_long_line_reaches_syslog_in_pieces(syslogd: socket.socket) -> None:
    sink = SyslogSink("otk", path=syslogd.getsockname())
    sink.write([b"x" * 20_000 + b"\n"])
    sink.close()
    pieces = [syslogd.recv(20_000).rpartition(b": ")[2] for _ in range(3)]
    assert b"".join(pieces) == b"x" * 20_000


def test_syslog_over_a_stream_socket_works_too(tmp_path: Path) -> None:
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(str(tmp_path / "log"))
    server.listen()
    sink = SyslogSink("otk", path=str(tmp_path / "log"))
    sink.write([b"one\n", b"two\n"])
    sink.close()
    peer, _ = server.accept()
    data = b"".join(iter(lambda: peer.recv(1000), b""))
    peer.close()
    server.close()
    assert [record.rpartition(b": ")[2] for record in data.split(b"\0")] == [b"one", b"two", b""]


def test_a_syslog_daemon_that_comes_back_is_used_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    place = str(tmp_path / "log")
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    server.bind(place)
    sink = SyslogSink("otk", path=place)
    server.close()
    os.unlink(place)
    sink.write([b"lost\n"])
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    server.bind(place)
    server.setblocking(False)
    sink.write([b"still waiting\n"])
    with pytest.raises(BlockingIOError):
        server.recv(1000)
    now += 10
    sink.write([b"back\n"])
    assert server.recv(1000).endswith(b"back")
    sink.close()
    server.close()


def test_no_syslog_daemon_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no syslog daemon listens"):
        open_logs(LogSettings(path="", syslog=True, syslog_path=str(tmp_path / "nothing")))


@pytest.mark.parametrize("prefix", ["", "a b", "a\n", "x" * 50, "ü"])
def test_a_prefix_that_is_no_word_is_a_usage_error(prefix: str) -> None:
    with pytest.raises(UsageError, match="--prefix"):
        SyslogSink(prefix)
