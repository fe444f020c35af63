"""A service manager is told what it asks for, and never waited for."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from managed import FakeManager
from taphouse.daemon import Condition, Manager, find_manager
from taphouse.errors import AddressError


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeManager]:
    made = FakeManager(str(tmp_path / "notify"))
    yield made
    made.close()


@pytest.fixture
def manager(fake: FakeManager) -> Iterator[Manager]:
    made = find_manager({"NOTIFY_SOCKET": fake.address, "WATCHDOG_USEC": "20000"})
    yield made
    made.close()


def test_without_a_manager_everything_is_said_to_nobody() -> None:
    manager = find_manager({})
    manager.ready("x")
    manager.failed("x", 70)
    manager.look()
    manager.close()
    assert type(manager) is Manager
    assert manager.problem == ""


def test_the_variables_are_taken_so_that_no_child_speaks_for_us(fake: FakeManager) -> None:
    environment = {"NOTIFY_SOCKET": fake.address, "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1", "HOME": "/"}
    find_manager(environment).close()
    assert environment == {"HOME": "/"}


def test_ready_comes_with_a_status_on_one_line(fake: FakeManager, manager: Manager) -> None:
    manager.ready("two\nlines " + "x" * 1000)
    message = fake.next()
    assert message["READY"] == "1"
    assert message["STATUS"].startswith("two lines xxx")
    assert len(message["STATUS"]) == 500


def test_an_abstract_address_is_spoken_to(tmp_path: Path) -> None:
    fake = FakeManager(f"@{tmp_path}/abstract")
    manager = find_manager({"NOTIFY_SOCKET": fake.address})
    manager.status("here")
    assert fake.next() == {"STATUS": "here"}
    manager.close()
    fake.close()


@pytest.mark.parametrize("address", ["vsock:2:1", "relative/path", "/nobody/there"])
def test_a_manager_that_cannot_be_spoken_to_is_a_warning_not_the_end(address: str) -> None:
    manager = find_manager({"NOTIFY_SOCKET": address})
    manager.ready("x")
    assert manager.problem.startswith(f"NOTIFY_SOCKET {address!r}")


def test_the_same_status_is_said_once(fake: FakeManager, manager: Manager) -> None:
    for text in ("one", "one", "two"):
        manager.status(text)
    assert fake.pending() == [{"STATUS": "one"}, {"STATUS": "two"}]


def test_a_failure_is_told_with_the_errno_of_the_call_that_failed(
    fake: FakeManager, manager: Manager
) -> None:
    try:
        try:
            raise PermissionError(13, "Permission denied")
        except OSError as cause:
            raise AddressError("port 80: no") from cause
    except AddressError as error:
        manager.failed("port 80: no", 69, error)
    manager.failed("in use", 69, AddressError("in use"))
    assert fake.pending() == [
        {"STATUS": "port 80: no", "ERRNO": "13"},
        {"STATUS": "in use", "ERRNO": "98"},
    ]


def test_signs_of_life_come_from_a_loop_that_turns(fake: FakeManager, manager: Manager) -> None:
    conditions = [Condition("0 connections")]

    async def live() -> None:
        loop = asyncio.get_running_loop()
        manager.attend(loop, lambda: conditions[0])
        for _ in range(3):
            assert await loop.run_in_executor(None, fake.wait_for, "WATCHDOG") == {"WATCHDOG": "1"}
        manager.leave()

    asyncio.run(live())
    assert fake.heard[0] == {"STATUS": "0 connections"}


def test_a_server_that_is_not_well_gives_no_signs_of_life(fake: FakeManager, manager: Manager) -> None:
    conditions = [Condition("the disk does not answer", is_well=False)]
    loop = asyncio.new_event_loop()
    manager.attend(loop, lambda: conditions[0])
    assert fake.pending() == [{"STATUS": "the disk does not answer"}]
    conditions[0] = Condition("0 connections")
    manager.look()
    assert fake.pending() == [{"STATUS": "0 connections"}, {"WATCHDOG": "1"}]
    manager.leave()
    loop.close()


def test_a_stop_is_told_once_and_asks_for_time_as_long_as_it_goes_on(
    fake: FakeManager, manager: Manager
) -> None:
    loop = asyncio.new_event_loop()
    manager.attend(loop, lambda: Condition("stopping: 1 connection", is_stopping=True))
    manager.look()
    said = fake.pending()
    assert [message for message in said if "STOPPING" in message] == [{"STOPPING": "1"}]
    assert said[0] == {"STOPPING": "1"}
    assert said.count({"EXTEND_TIMEOUT_USEC": "60000000"}) == 2
    manager.leave()
    loop.close()


def test_a_watchdog_that_is_meant_for_another_process_gets_no_signs(fake: FakeManager) -> None:
    environment = {"NOTIFY_SOCKET": fake.address, "WATCHDOG_USEC": "20000", "WATCHDOG_PID": str(os.getppid())}
    manager = find_manager(environment)
    loop = asyncio.new_event_loop()
    manager.attend(loop, lambda: Condition("well"))
    assert fake.pending() == [{"STATUS": "well"}]
    manager.close()
    loop.close()


def test_what_must_be_said_is_said_as_soon_as_there_is_room(fake: FakeManager) -> None:
    manager = find_manager({"NOTIFY_SOCKET": fake.address})
    full = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    full.setblocking(False)
    with pytest.raises(BlockingIOError):
        while True:
            full.sendto(b"X=1", fake.address)
    manager.ready("serving")
    loop = asyncio.new_event_loop()
    fake.pending()
    manager.attend(loop, lambda: Condition("serving"))
    assert fake.pending() == [{"READY": "1", "STATUS": "serving"}]
    manager.close()
    loop.close()
    full.close()


def test_a_forked_child_says_that_it_is_the_server(fake: FakeManager) -> None:
    program = (
        "import os; from taphouse.daemon import find_manager; m = find_manager(os.environ); m.forked();"
        "print(os.getpid(), sorted(os.environ.keys() & {'NOTIFY_SOCKET'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "NOTIFY_SOCKET": fake.address},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{fake.next()['MAINPID']} []\n"
