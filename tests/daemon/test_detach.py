"""The waiting command ends when the daemon is ready or has failed, and says which."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from playground import PATIENCE_S, Playground
from taphouse.daemon import Readiness, System, detach, wait_gone
from taphouse.errors import AddressError, InternalError


class Ended(BaseException):
    """Stands for the end of a process."""


class Rehearsal(System):
    """Forks in name only: which of the three processes we are is decided by the answers."""

    def __init__(self, *forks: int) -> None:
        self.forks = list(forks)
        self.calls: list[str] = []
        self.sent = b""
        self.to_read: list[bytes] = []
        self.now = 0.0
        self.threads = 1
        self.on_wait: Callable[[], None] = lambda: None

    def fork(self) -> int:
        self.calls.append("fork")
        return self.forks.pop(0)

    def exit_now(self, code: int) -> None:
        self.calls.append(f"exit {code}")
        raise Ended

    def pipe(self) -> tuple[int, int]:
        return 1000, 1001

    def close(self, fd: int) -> None:
        self.calls.append(f"close {fd}")

    def write(self, fd: int, data: bytes) -> int:
        self.sent += data[:7]  # a pipe may take less than it is given
        return len(data[:7])

    def read(self, fd: int, size: int) -> bytes:
        return self.to_read.pop(0)

    def wait_readable(self, fd: int, timeout: float) -> bool:
        self.on_wait()
        if self.to_read:
            return True
        self.now += timeout
        return False

    def waitpid(self, pid: int, *, block: bool = True) -> tuple[int, int]:
        self.calls.append(f"waitpid {pid}")
        return pid, signal.SIGSEGV if pid == 99 else 0

    def wait_end(self, pid: int, timeout: float) -> bool:
        self.calls.append(f"wait_end {pid}")
        return True

    def killpg(self, group: int, number: int) -> None:
        self.calls.append(f"killpg {group} {signal.Signals(number).name}")

    def monotonic(self) -> float:
        return self.now

    def thread_count(self) -> int:
        return self.threads

    def setsid(self) -> None:
        self.calls.append("setsid")

    def open_null(self) -> int:
        return 7

    def dup2(self, fd: int, target: int) -> None:
        self.calls.append(f"dup2 {fd} {target}")

    def become_subreaper(self) -> None:
        pass

    def messages(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.sent.splitlines()]


def wait_as_parent(system: Rehearsal, *messages: dict[str, object], timeout_s: float = 10.0) -> str:
    system.forks = [50]
    system.to_read = [json.dumps(message).encode() + b"\n" for message in messages] + system.to_read
    with pytest.raises(Ended):
        detach("twistd", timeout_s=timeout_s, log_path="/run/twistd.log", system=system)
    return system.calls[-1]


def test_the_daemon_is_the_grandchild_without_stdin_and_with_the_pipes_write_end_only() -> None:
    system = Rehearsal(0, 0)
    readiness = detach("twistd", system=system)
    assert system.calls == ["fork", "close 1000", "setsid", "fork", "dup2 7 0", "close 7"]
    assert readiness.is_detached
    assert system.messages() == [{"pid": os.getpid()}]


def test_the_middle_child_makes_a_session_and_ends_at_once() -> None:
    system = Rehearsal(0, 51)
    with pytest.raises(Ended):
        detach("twistd", system=system)
    assert system.calls[1:] == ["close 1000", "setsid", "fork", "exit 0"]


def test_ready_gives_the_terminal_back_and_reports_zero() -> None:
    system = Rehearsal(0, 0)
    readiness = detach("twistd", system=system)
    readiness.ready()
    assert system.calls[-3:] == ["dup2 0 1", "dup2 0 2", "close 1001"]
    assert system.messages()[-1] == {"code": 0, "error": ""}
    assert not readiness.is_detached
    readiness.step("later words are harmless")
    assert system.messages()[-1] == {"code": 0, "error": ""}


def test_a_process_with_threads_is_not_forked() -> None:
    system = Rehearsal()
    system.threads = 2
    with pytest.raises(InternalError, match="threads"):
        detach("twistd", system=system)
    assert system.calls == []


def test_a_failure_reports_one_line_and_the_errors_own_code() -> None:
    system = Rehearsal()
    code = Readiness(1001, system=system).failed(AddressError("port 80\nis busy", cure="stop the other"))
    assert code == 69
    assert system.messages() == [{"code": 69, "error": "port 80 is busy; stop the other"}]


def test_a_failure_is_never_reported_as_success() -> None:
    system = Rehearsal()
    assert Readiness(1001, system=system).failed(SystemExit(0), code=0) == 70
    assert system.messages() == [{"code": 70, "error": "0"}]
    system = Rehearsal()
    assert Readiness(1001, system=system).failed(KeyError()) == 70
    assert system.messages() == [{"code": 70, "error": "KeyError"}]


def test_in_the_foreground_reporting_does_nothing_but_keep_the_code() -> None:
    system = Rehearsal()
    readiness = Readiness(system=system)
    readiness.step("loading")
    readiness.ready()
    assert readiness.failed(AddressError("busy")) == 69
    assert system.calls == []
    assert system.sent == b""


def test_the_parent_ends_with_zero_and_prints_nothing_when_ready(capsys: pytest.CaptureFixture[str]) -> None:
    system = Rehearsal()
    end = wait_as_parent(system, {"pid": 60}, {"step": "loading"}, {"code": 0, "error": ""})
    assert end == "exit 0"
    assert system.calls[:2] == ["fork", "close 1001"]
    assert capsys.readouterr() == ("", "")


def test_the_parent_prints_the_daemons_line_and_ends_with_its_code(
    capsys: pytest.CaptureFixture[str],
) -> None:
    system = Rehearsal()
    assert wait_as_parent(system, {"pid": 60}, {"code": 69, "error": "port 80 is busy"}) == "exit 69"
    assert system.calls[-3:-1] == ["wait_end 60", "waitpid 60"]  # its locks are free when we return
    assert capsys.readouterr().err == "twistd: port 80 is busy\n"


def test_messages_may_arrive_in_any_pieces() -> None:
    text = json.dumps({"step": "lädt"}) + "\n" + json.dumps({"code": 75, "error": "x"}) + "\n"
    system = Rehearsal()
    system.to_read = [bytes([byte]) for byte in text.encode()]
    assert wait_as_parent(system) == "exit 75"


def test_a_daemon_killed_before_it_was_ready_is_reported_with_signal_step_and_log(
    capsys: pytest.CaptureFixture[str],
) -> None:
    system = Rehearsal()
    system.to_read = [b""]
    assert wait_as_parent(system, {"pid": 99}, {"step": "loading otk.tap"}) == "exit 70"
    assert capsys.readouterr().err == (
        "twistd: the server was killed by signal 11 (Segmentation fault) before it was ready"
        " (loading otk.tap); see /run/twistd.log\n"
    )


def test_a_silent_daemon_is_stopped_with_its_whole_group(capsys: pytest.CaptureFixture[str]) -> None:
    system = Rehearsal()
    assert wait_as_parent(system, {"pid": 60}, timeout_s=3) == "exit 70"
    assert "killpg 50 SIGTERM" in system.calls
    assert system.calls[-2] == "killpg 50 SIGKILL"
    assert "no sign of life for 3 s" in capsys.readouterr().err


def test_every_step_starts_the_patience_anew_and_long_waits_are_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    system = Rehearsal()
    steps = iter(range(6))

    def say_something_after_two_seconds() -> None:
        number = next(steps, None)
        if number is not None:
            system.now += 2
            system.to_read = [json.dumps({"step": f"part {number}"}).encode() + b"\n"]
        elif system.now > 15:
            system.to_read = [b'{"code": 0, "error": ""}\n']

    system.on_wait = say_something_after_two_seconds
    assert wait_as_parent(system, timeout_s=5) == "exit 0"
    assert capsys.readouterr().err.splitlines() == [
        "twistd: not ready after 2 s, part 0; waiting",
        "twistd: not ready after 4 s, part 1; waiting",
        "twistd: not ready after 8 s, part 3; waiting",
        "twistd: not ready after 16 s, part 5; waiting",
    ]


def test_ctrl_c_while_waiting_stops_the_daemon_too(capsys: pytest.CaptureFixture[str]) -> None:
    system = Rehearsal()

    def interrupt() -> None:
        system.on_wait = lambda: None
        system.to_read = [b""]  # and the daemon ends
        raise KeyboardInterrupt

    system.on_wait = interrupt
    assert wait_as_parent(system) == "exit 130"
    assert system.calls[-2:] == ["killpg 50 SIGTERM", "exit 130"]
    assert "interrupted" in capsys.readouterr().err


DAEMON = """
import os, signal, sys
from taphouse.daemon import System, detach
from taphouse.errors import AddressError

class Patient(System):
    # The waiter's patience begins when the daemon hangs, however long the machine took until then.
    hangs = False

    def read(self, fd, size):
        data = super().read(fd, size)
        self.hangs = self.hangs or b'"hanging"' in data
        return data

    def wait_readable(self, fd, timeout):
        return super().wait_readable(fd, timeout if self.hangs else 60)

readiness = detach("twistd", timeout_s=float(sys.argv[2]), log_path="twistd.log", system=Patient())
print("daemon", os.getpid(), os.getppid(), os.getsid(0), os.getpgid(0), flush=True)
readiness.step("loading otk.tap")
match sys.argv[1]:
    case "ok":
        readiness.ready()
        print("nobody reads this", flush=True)
        os.read(int(sys.argv[3]), 1)
    case "busy":
        sys.exit(readiness.failed(AddressError("port 80 is busy", cure="stop the other")))
    case "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    case "exit":
        os._exit(3)
    case "hang":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        readiness.step("hanging")
        os.read(int(sys.argv[3]), 1)
os._exit(0)
"""


def run_daemon(how: str, timeout_s: float = 60) -> tuple[subprocess.CompletedProcess[str], list[int], int]:
    """Run DAEMON; its output must reach its end because nothing of it holds our pipes."""
    leash_read, leash_write = os.pipe()
    try:
        done = subprocess.run(
            [sys.executable, "-c", DAEMON, how, str(timeout_s), str(leash_read)],
            capture_output=True,
            text=True,
            pass_fds=[leash_read],
            timeout=120,
            check=False,
        )
    finally:
        os.close(leash_read)
    done.stderr = Playground.WAITING.sub("", done.stderr)
    word, *numbers = done.stdout.split()
    assert word == "daemon"
    return done, [int(number) for number in numbers], leash_write


def wait_end(pid: int) -> None:
    """Wait until a process that is not our child has ended."""
    assert wait_gone(pid, timeout=PATIENCE_S)


@pytest.mark.process
def test_ready_returns_zero_and_leaves_a_daemon_without_terminal() -> None:
    done, (pid, _parent, session, group), leash = run_daemon("ok")
    try:
        assert (done.returncode, done.stderr) == (0, "")
        assert session == group != pid  # not the session's leader: it can never get a terminal
        with open(f"/proc/{pid}/stat") as file:
            assert file.read().rpartition(")")[2].split()[4] == "0"  # no controlling terminal
        for fd in (0, 1, 2):
            assert Path(f"/proc/{pid}/fd/{fd}").readlink() == Path(os.devnull)
    finally:
        os.close(leash)
        wait_end(pid)


@pytest.mark.process
@pytest.mark.parametrize(
    ("how", "code", "text"),
    [
        ("busy", 69, "twistd: port 80 is busy; stop the other\n"),
        (
            "crash",
            70,
            (
                "twistd: the server was killed by signal 11 (Segmentation fault) before it was ready"
                " (loading otk.tap); see twistd.log\n"
            ),
        ),
        (
            "exit",
            70,
            "twistd: the server exited with status 3 before it was ready (loading otk.tap); see twistd.log\n",
        ),
    ],
)
def test_a_start_that_fails_says_why_and_returns_non_zero(how: str, code: int, text: str) -> None:
    done, (pid, *_), leash = run_daemon(how)
    os.close(leash)
    assert (done.returncode, done.stderr) == (code, text)
    assert not Path(f"/proc/{pid}").exists()  # it is gone when the command returns


@pytest.mark.process
def test_a_daemon_that_hangs_and_ignores_sigterm_is_killed_with_its_group() -> None:
    done, (pid, *_), leash = run_daemon("hang", timeout_s=0.2)
    os.close(leash)
    wait_end(pid)
    assert done.returncode == 70
    gave_up = "twistd: the server gave no sign of life for 0.2 s, stopped (hanging); see twistd.log\n"
    assert done.stderr == gave_up
