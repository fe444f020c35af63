"""A process is known by its number and its start time together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from taphouse.daemon import read_process, send_signal, start_time, wait_gone

NOBODY = 4_194_399  # above the kernel's highest possible pid


def sleeper(*arguments: str) -> subprocess.Popen[bytes]:
    """Start a process that sleeps; when this returns it really runs (exec is not yet done at fork)."""
    code = "import signal; print('here', flush=True); signal.pause()"
    child = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"here\n"
    return child


def test_a_number_nobody_has_is_nobody() -> None:
    assert start_time(NOBODY) is None
    assert read_process(NOBODY) is None
    assert wait_gone(NOBODY, timeout=0)
    assert not send_signal(NOBODY, signal.SIGTERM)


def test_we_see_ourselves() -> None:
    me = read_process(os.getpid())
    assert me is not None
    assert me.started == start_time(os.getpid())
    assert me.cwd == os.getcwd()
    assert not wait_gone(os.getpid(), timeout=0)


THREADS = """
import threading
from taphouse.daemon import System

system, waits = System(), threading.Event()
assert system.thread_count() == 1
for _ in range(300):
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()
    assert system.thread_count() == 1
thread = threading.Thread(target=waits.wait)
thread.start()
print(system.thread_count())
waits.set()
"""


@pytest.mark.process
def test_a_thread_that_was_joined_is_none_any_more() -> None:
    """The kernel's list has it for another moment, and who drops privileges would be refused."""
    done = subprocess.run([sys.executable, "-c", THREADS], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("2\n", "")


@pytest.mark.process
def test_a_command_line_cannot_drive_a_terminal_and_is_cut() -> None:
    child = sleeper("\x1b[2J\n", "x" * 500)
    try:
        seen = read_process(child.pid)
        assert seen is not None
        assert seen.command.isprintable()
        assert len(seen.command) == 200
        assert str(seen).startswith(f"PID {child.pid} (")
    finally:
        child.kill()
        child.communicate()


@pytest.mark.process
def test_a_signal_is_never_sent_to_a_later_process_of_the_same_number() -> None:
    child = sleeper()
    try:
        started = start_time(child.pid)
        assert started is not None
        assert not send_signal(child.pid, signal.SIGKILL, started=started - 1)
        assert wait_gone(child.pid, started=started - 1, timeout=30)
        assert child.poll() is None
        assert send_signal(child.pid, signal.SIGKILL, started=started)
        assert wait_gone(child.pid, started=started, timeout=30)
        assert start_time(child.pid) is None  # a zombie holds nothing any more
        assert child.wait() == -signal.SIGKILL
    finally:
        child.kill()
        child.communicate()
