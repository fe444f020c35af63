"""Each signal means one thing, none ends a server without saving."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from taphouse.daemon import SIGNAL_TABLE, Intentions, Signals, dump_stacks


class Told:
    """Writes down what it was told."""

    def __init__(self, *, restart: bool = False, rotate: bool = True) -> None:
        self.words: list[str] = []
        self.intentions = Intentions(
            stop=lambda name: self.words.append(f"stop {name}"),
            hurry=lambda: self.words.append("hurry"),
            rotate=(lambda: self.words.append("rotate")) if rotate else None,
            restart=(lambda: self.words.append("restart")) if restart else None,
        )


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


def test_a_second_stop_signal_only_hurries(loop: asyncio.AbstractEventLoop) -> None:
    told = Told()
    signals = Signals(loop, told.intentions)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
        signals.handle(number)
    assert told.words == ["stop SIGTERM", "hurry", "hurry"]


def test_hup_without_restart_is_said_to_be_unavailable(
    loop: asyncio.AbstractEventLoop, caplog: pytest.LogCaptureFixture
) -> None:
    told = Told()
    Signals(loop, told.intentions).handle(signal.SIGHUP)
    assert told.words == []
    assert "restart in place is not available" in caplog.text


def test_hup_on_a_foreground_terminal_stops_in_order(loop: asyncio.AbstractEventLoop) -> None:
    told = Told()
    Signals(loop, told.intentions, on_terminal=True).handle(signal.SIGHUP)
    assert told.words == ["stop SIGHUP"]


def test_hup_restarts_where_that_is_possible(loop: asyncio.AbstractEventLoop) -> None:
    told = Told(restart=True)
    Signals(loop, told.intentions, on_terminal=True).handle(signal.SIGHUP)
    assert told.words == ["restart"]


def test_usr1_without_a_log_file_harms_nobody(
    loop: asyncio.AbstractEventLoop, caplog: pytest.LogCaptureFixture
) -> None:
    told = Told(rotate=False)
    with caplog.at_level(logging.INFO):
        Signals(loop, told.intentions).handle(signal.SIGUSR1)
    assert told.words == []
    assert "no log file" in caplog.text


def test_installed_signals_reach_the_loop_and_removed_ones_are_as_before(
    loop: asyncio.AbstractEventLoop,
) -> None:
    before = {number: signal.getsignal(number) for number in SIGNAL_TABLE}
    told = Told()

    async def run() -> None:
        signals = Signals(loop, told.intentions)
        signals.install()
        try:
            for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT):
                heard = len(told.words)
                os.kill(os.getpid(), number)
                while len(told.words) == heard:
                    await asyncio.sleep(0)
        finally:
            signals.remove()

    loop.run_until_complete(run())
    assert told.words == ["rotate", "stop SIGTERM", "hurry"]
    assert {number: signal.getsignal(number) for number in SIGNAL_TABLE} == before


def test_retired_signals_neither_kill_nor_need_a_loop_and_removed_ones_are_as_before(
    loop: asyncio.AbstractEventLoop,
) -> None:
    before = {number: signal.getsignal(number) for number in SIGNAL_TABLE}
    told = Told()
    signals = Signals(loop, told.intentions)
    signals.install()
    signals.retire()
    loop.close()
    for number in set(SIGNAL_TABLE) - {signal.SIGQUIT}:
        os.kill(os.getpid(), number)
    signals.remove()
    assert told.words == []
    assert {number: signal.getsignal(number) for number in SIGNAL_TABLE} == before


def test_a_loop_about_to_sleep_is_woken_by_a_signal(loop: asyncio.AbstractEventLoop) -> None:
    """Python's handlers run between bytecodes; a loop inside epoll_wait needs the descriptor to wake up."""
    signals = Signals(loop, Told().intentions)
    signals.install()
    descriptor = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(descriptor)
    signals.remove()
    assert descriptor != -1
    assert signal.set_wakeup_fd(-1) == -1


def test_a_dump_shows_threads_and_tasks_with_their_stacks(loop: asyncio.AbstractEventLoop) -> None:
    async def waits_for_godot(never: asyncio.Future[None]) -> None:
        await never

    async def run() -> str:
        never = loop.create_future()
        task = asyncio.create_task(waits_for_godot(never), name="godot")
        await asyncio.sleep(0)
        text = dump_stacks(loop)
        never.set_result(None)
        await task
        return text

    text = loop.run_until_complete(run())
    assert "thread MainThread:" in text
    assert "task godot:" in text
    assert "await never" in text
    assert text.endswith("2 tasks")


SERVER = """
import asyncio, logging, os, signal, sys
from taphouse.daemon import Intentions, LogSettings, Signals, hold_signals, open_logs

hold_signals()
logs = open_logs(LogSettings(path="-"))
print("holding", flush=True)
if sys.argv[2] == "early":
    sys.stdin.readline()
if sys.argv[1] == "uvloop":
    import uvloop as maker
else:
    maker = asyncio
loop = maker.new_event_loop()
stopped = loop.create_future()
signals = Signals(loop, Intentions(stop=lambda name: stopped.set_result(name), hurry=lambda: None,
    rotate=lambda: print("rotated")))
signals.install()
logs.start_thread()

def spin():
    print("spinning")
    while signals is not None:
        pass

if sys.argv[2] == "nested":
    def during_the_dump(record):
        if "SIGQUIT" in record.getMessage():
            os.kill(os.getpid(), signal.SIGUSR1)
        return True
    logging.getLogger("taphouse").addFilter(during_the_dump)
if sys.argv[2] == "hung":
    loop.call_soon(spin)
loop.call_soon(print, "running")
loop.run_until_complete(stopped)
print("stopped by", stopped.result())
logs.close()
"""


def start(kind: str, how: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SERVER, kind, how], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def read_until(child: subprocess.Popen[str], word: str) -> str:
    """Return the output up to ``word``; a child that never says it is ended, so that the test fails."""
    assert child.stdout is not None
    text = ""
    patience = threading.Timer(30, child.kill)
    patience.start()
    try:
        for line in child.stdout:
            text += line
            if word in line:
                return text
    finally:
        patience.cancel()
    raise AssertionError(f"{word!r} never came: {text}")


@pytest.mark.process
@pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
def test_a_real_server_survives_usr1_hup_and_quit_and_stops_on_term(kind: str) -> None:
    child = start(kind, "idle")
    try:
        read_until(child, "running")
        child.send_signal(signal.SIGUSR1)
        read_until(child, "rotated")
        child.send_signal(signal.SIGHUP)
        read_until(child, "not available")
        child.send_signal(signal.SIGQUIT)
        assert "thread MainThread" in read_until(child, " threads, ")
        child.send_signal(signal.SIGTERM)
        read_until(child, "stopped by SIGTERM")
        assert child.wait(30) == 0
    finally:
        child.kill()
        child.communicate()


@pytest.mark.process
@pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
def test_one_signal_counts_once_even_if_another_comes_at_the_same_moment(kind: str) -> None:
    child = start(kind, "nested")  # SIGUSR1 comes while SIGQUIT is handled
    try:
        read_until(child, "running")
        text = ""
        for _ in range(3):
            child.send_signal(signal.SIGQUIT)
            text += read_until(child, "rotated")
        child.send_signal(signal.SIGTERM)
        text += read_until(child, "stopped by SIGTERM")
        assert text.count("rotated") == 3
    finally:
        child.kill()
        child.communicate()


@pytest.mark.process
@pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
def test_a_loop_that_hangs_in_python_code_still_shows_where(kind: str) -> None:
    child = start(kind, "hung")
    try:
        read_until(child, "spinning")
        child.send_signal(signal.SIGQUIT)
        assert "in spin" in read_until(child, " threads, ")
    finally:
        child.kill()
        child.communicate()


@pytest.mark.process
def test_signals_that_come_while_a_server_starts_wait_until_it_can_act_on_them() -> None:
    child = start("asyncio", "early")
    try:
        read_until(child, "holding")
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGQUIT):
            child.send_signal(number)
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
        text = read_until(child, "rotated")
        text += "" if " threads, " in text else read_until(child, " threads, ")
        assert "Received SIGQUIT" in text
        child.send_signal(signal.SIGTERM)
        assert child.wait(30) == 0
    finally:
        child.kill()
        child.communicate()
