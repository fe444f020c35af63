"""Sockets that a manager hands over are taken once, and by nobody else."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from taphouse.daemon import take_sockets
from taphouse.errors import ConfigurationError

OURS = str(os.getpid())


@pytest.fixture
def first() -> Iterator[int]:
    """The first of two descriptors in a row, both sockets."""
    with socket.socket() as one, socket.socket() as other:
        high = 900  # far from what a worker of the tests has open itself
        for number, sock in enumerate((one, other)):
            os.dup2(sock.fileno(), high + number, inheritable=True)
        yield high
        for number in range(2):
            try:
                os.close(high + number)
            except OSError:
                pass


def test_they_have_names_are_no_childs_and_the_variables_are_gone(first: int) -> None:
    environment = {"LISTEN_FDS": "2", "LISTEN_PID": OURS, "LISTEN_FDNAMES": "http:ssh", "LISTEN_PIDFDID": "9"}
    handed = take_sockets(environment, first=first)
    assert [(name, sock.fileno()) for name, sock in handed] == [("http", first), ("ssh", first + 1)]
    assert not any(sock.get_inheritable() for _, sock in handed)
    assert environment == {}
    for _, sock in handed:
        sock.close()
    assert take_sockets(environment, first=first) == []


def test_without_names_they_are_unknown(first: int) -> None:
    handed = take_sockets({"LISTEN_FDS": "2", "LISTEN_PID": OURS}, first=first)
    assert [name for name, _ in handed] == ["unknown", "unknown"]
    for _, sock in handed:
        sock.close()


def test_what_is_meant_for_another_process_is_left_alone(first: int) -> None:
    environment = {"LISTEN_FDS": "2", "LISTEN_PID": str(os.getppid())}
    assert take_sockets(environment, first=first) == []
    assert environment == {}
    assert os.get_inheritable(first)


@pytest.mark.parametrize(
    ("count", "names", "line"),
    [
        ("two", "", "LISTEN_FDS is 'two', not a number"),
        ("2", "one", "LISTEN_FDNAMES has 1 names for 2 descriptors"),
        ("3", "", "descriptor 902 ('unknown') was handed over and is not open"),
    ],
)
def test_what_cannot_be_is_told_in_a_line(first: int, count: str, names: str, line: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        take_sockets({"LISTEN_FDS": count, "LISTEN_PID": OURS, "LISTEN_FDNAMES": names}, first=first)
    assert caught.value.message == line


def test_a_file_is_no_socket(first: int) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, first + 1)
    os.close(null)
    with pytest.raises(ConfigurationError) as caught:
        take_sockets({"LISTEN_FDS": "2", "LISTEN_PID": OURS, "LISTEN_FDNAMES": "a:b"}, first=first)
    assert caught.value.message == f"descriptor {first + 1} ('b') was handed over and is no socket"
