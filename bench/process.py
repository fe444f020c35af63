"""A measured process: started on its cores, watched through /proc, ended by its own number.

Knows Linux's /proc (proc(5)) and TCP connect as the sign of readiness; not what the process is.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.contestant import BenchError
from bench.cores import on_cores

START_LIMIT_S = 60.0
STOP_LIMIT_S = 30.0
# Between two tries to connect: a start takes 30 ms or more, a try costs 30 us of the load's core.
POLL_S = 0.000_2


class Running:
    """A running process by number."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def cpu_s(self) -> float:
        """Return the processor seconds used by the living threads of the process.

        From ``schedstat`` (nanoseconds) where the kernel keeps it, else from ``stat`` (ticks of 10 ms).
        """
        folder = Path(f"/proc/{self.pid}/task")
        if not (folder / str(self.pid) / "schedstat").exists():
            return self._ticks_s()
        used_ns = 0
        for task in folder.iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):  # a thread that has just ended
                used_ns += int((task / "schedstat").read_text().split()[0])
        return used_ns / 1e9

    def _ticks_s(self) -> float:
        # The command in parentheses may hold spaces: the fields count from behind the last one.
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def private_bytes(self) -> int:
        """Return the memory that this process alone has written: heap and stack, no mapped files.

        Clean pages are left out: whether they are private depends on who else runs the same libraries.
        """
        for line in Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines():
            name, _, amount = line.partition(":")
            if name == "Private_Dirty":
                return int(amount.split()[0]) * 1024
        raise BenchError(f"/proc/{self.pid}/smaps_rollup has no Private_Dirty")


@contextmanager
def serving(
    command: Sequence[str],
    port: int,
    cores: frozenset[int],
    folder: Path,
    environment: Mapping[str, str],
) -> Iterator[Running]:
    """Run a server in the foreground while the block runs; 127.0.0.1:``port`` accepts from its begin."""
    with started(command, cores, folder, environment) as process:
        wait_accepting(port, process, folder)
        yield Running(process.pid)


@contextmanager
def started(
    command: Sequence[str], cores: frozenset[int], folder: Path, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``command`` on ``cores`` in ``folder`` while the block runs; what it says goes to ``output``."""
    with (folder / "output").open("wb") as output, on_cores(cores):
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_accepting(port: int, process: subprocess.Popen[bytes] | None, folder: Path) -> None:
    """Return as soon as 127.0.0.1:``port`` accepts a connection.

    Raises BenchError with the last line in ``folder/output`` if the process ends first or takes too long.
    """
    deadline = time.monotonic() + START_LIMIT_S
    while not accepts(port):
        if process is not None and process.poll() is not None:
            raise BenchError(f"the server ended with {process.returncode}: {last_words(folder)}")
        if time.monotonic() > deadline:
            raise BenchError(f"no listener after {START_LIMIT_S:g} s: {last_words(folder)}")
        time.sleep(POLL_S)


def accepts(port: int) -> bool:
    """Whether somebody accepts on 127.0.0.1:``port`` now."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def end_process(pid: int) -> None:
    """End a process that is not our child (a daemon) and return when it is gone."""
    descriptor = os.pidfd_open(pid)
    try:
        for number, limit_s in ((signal.SIGTERM, STOP_LIMIT_S), (signal.SIGKILL, STOP_LIMIT_S)):
            signal.pidfd_send_signal(descriptor, number)
            if _wait_gone(descriptor, limit_s):
                return
    finally:
        os.close(descriptor)


def wait_ended(process: subprocess.Popen[bytes], limit_s: float) -> int:
    """Return the exit status of ``process`` as soon as it ends. Raises BenchError after ``limit_s``.

    Not ``Popen.wait(timeout)``: that looks every 50 ms.
    """
    descriptor = os.pidfd_open(process.pid)
    try:
        if not _wait_gone(descriptor, limit_s):
            raise BenchError(f"process {process.args!r} has not ended after {limit_s:g} s")
    finally:
        os.close(descriptor)
    return process.wait()


def _wait_gone(descriptor: int, limit_s: float) -> bool:
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    return bool(waiting.poll(limit_s * 1000))


def last_words(folder: Path) -> str:
    """Return the last line that the process in ``folder`` wrote."""
    lines = (folder / "output").read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
