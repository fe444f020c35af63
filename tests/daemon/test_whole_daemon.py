"""Everything together, as a real daemon: detached, locked, logging, signalled, stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from playground import PATIENCE_S, Playground
from taphouse.daemon import find_pidfile_holder, wait_gone

DAEMON = """
import asyncio, os, subprocess, sys
from taphouse.daemon import Intentions, LogSettings, PidFile, Signals, detach, hold_signals, open_logs

readiness = detach("twistd", log_path="twistd.log")
hold_signals()
try:
    pidfile = PidFile("twistd.pid")
    pidfile.acquire()
    logs = open_logs(LogSettings(path="twistd.log", daemon=True))
except Exception as error:
    os._exit(readiness.failed(error))
logs.start_thread()
loop = asyncio.new_event_loop()
stopped = loop.create_future()
def rotate():
    logs.rotate()
    logs.flush()
    # A child that knows nothing of our log, writing to the descriptors it inherits.
    subprocess.run([sys.executable, "-c", "import os; os.write(1, b'child says hello\\\\n')"])
Signals(loop, Intentions(stop=stopped.set_result, hurry=lambda: None, rotate=rotate)).install()
logs.redirect_stdio()
logs.flush()
readiness.ready(keep_stdio=True)
print("serving")
print("stopped by", loop.run_until_complete(stopped))
pidfile.release()
logs.close()
loop.close()
"""


def start(folder: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-c", DAEMON], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    done.stderr = Playground.WAITING.sub("", done.stderr)
    return done


@pytest.mark.process
def test_a_daemon_lives_as_documented_and_leaves_nothing_but_its_log(tmp_path: Path) -> None:
    first = start(tmp_path)
    assert (first.returncode, first.stdout, first.stderr) == (0, "", "")
    holder = find_pidfile_holder(str(tmp_path / "twistd.pid"))
    assert holder is not None
    try:
        assert (tmp_path / "twistd.pid").read_text() == f"{holder.pid}\n"

        second = start(tmp_path)
        assert second.returncode == 75
        assert second.stderr.startswith(f"twistd: A server is already running, PID {holder.pid} (")
        assert len(second.stderr.splitlines()) == 1

        os.kill(holder.pid, signal.SIGUSR1)
        os.kill(holder.pid, signal.SIGTERM)
        assert wait_gone(holder.pid, started=holder.started, timeout=PATIENCE_S)
    finally:
        if find_pidfile_holder(str(tmp_path / "twistd.pid")):
            os.kill(holder.pid, signal.SIGKILL)
    assert sorted(os.listdir(tmp_path)) == ["twistd.log", "twistd.log.1"]
    old, new = (tmp_path / "twistd.log.1").read_text(), (tmp_path / "twistd.log").read_text()
    assert "Log opened." in old
    assert "serving" in old
    assert "child says hello" in new  # descriptors 1 and 2 followed the rotation
    assert new.endswith("stopped by SIGTERM\n")
    assert "already running" not in old + new  # who was refused wrote nothing into the running one's log
