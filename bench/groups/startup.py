"""From the command to an open port: how long a start takes, in the foreground and as a daemon.

A sample begins when the command is started and ends when its port accepts; a daemon must also have returned 0
by then, and its port must accept at the first try after that. Each program runs its own way of the same echo
server, its byte code already compiled.
"""

from __future__ import annotations

import resource
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.comparison import Comparison, Goal, Metric
from bench.contestant import BenchError, Contestant, Sample, afresh
from bench.cores import on_cores
from bench.group import Group
from bench.ports import free_port
from bench.process import Running, accepts, end_process, last_words, started, wait_accepting, wait_ended
from bench.workshop import SERVERS, Workshop

FOREGROUND, SOURCE, DAEMON = "taphouse twistd -n -f", "taphouse twistd -n -y", "taphouse twistd -f"
TWISTED, TWISTED_DAEMON = "Twisted twistd -n -y", "Twisted twistd -y"
BARE = "bare script"

TIME = Metric("listening_ms", "ms", "lower")
CPU = Metric("cpu_ms", "ms of CPU", "lower")
DAEMON_LIMIT_S = 60.0
PIDFILE = "twistd.pid"


@dataclass(frozen=True)
class Start:
    """Takes samples of one way to start. ``prepare`` puts the files of a sample into its folder."""

    workshop: Workshop
    command: Sequence[str]
    prepare: Callable[[Path, int], None] | None = None
    detaches: bool = False

    def measure(self) -> Sample:
        """Start once in a fresh folder, stop again, and return how long it took until the port accepted."""
        port = free_port()
        environment = {**self.workshop.environment, "BENCH_PORT": str(port)}
        command = [part.replace("{port}", str(port)) for part in self.command]
        cores = self.workshop.cores
        with self.workshop.run_folder() as folder:
            if self.prepare is not None:
                self.prepare(folder, port)
            with on_cores(cores.load):
                others_cpu_s = children_cpu_s()
                begin = time.perf_counter()
                with started(command, cores.server, folder, environment) as process:
                    if self.detaches:
                        wait_detached(process, port, folder)
                        listening_s = time.perf_counter() - begin
                        daemon = Running(int((folder / PIDFILE).read_text()))
                        cpu_s = children_cpu_s() - others_cpu_s + daemon.cpu_s()
                        end_process(daemon.pid)
                    else:
                        wait_accepting(port, process, folder)
                        listening_s = time.perf_counter() - begin
                        cpu_s = Running(process.pid).cpu_s()
        return {"listening_ms": listening_s * 1e3, "cpu_ms": cpu_s * 1e3}


def children_cpu_s() -> float:
    """Return the processor time of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def wait_detached(process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    """Wait until a daemon's parent has returned 0 and its port accepts at the first try.

    A port that opens later than the parent returns is waited for: Twisted's does, and its time counts too.
    """
    status = wait_ended(process, DAEMON_LIMIT_S)
    if status:
        raise BenchError(f"the start ended with {status}: {last_words(folder)}")
    if not accepts(port):
        wait_accepting(port, None, folder)


def from_seed(workshop: Workshop) -> Contestant:
    """Thaw a seed in the foreground."""
    command = [str(workshop.twistd), "-n", "-f", "echo-start.tap"]
    return _contestant(FOREGROUND, Start(workshop, command, _seeder(workshop)))


def from_source(workshop: Workshop) -> Contestant:
    """Run the script in the foreground."""
    command = [str(workshop.twistd), "-n", "-y", str(SERVERS / "echo_taphouse.py")]
    return _contestant(SOURCE, Start(workshop, command))


def daemonized(workshop: Workshop) -> Contestant:
    """Thaw a seed as a daemon."""
    command = [str(workshop.twistd), "-f", "echo-start.tap", "--pidfile", PIDFILE]
    return _contestant(DAEMON, Start(workshop, command, _seeder(workshop), detaches=True))


def twisted(workshop: Workshop) -> Contestant:
    """Twisted in the foreground."""
    return Contestant(
        TWISTED, afresh(Start(workshop, _twisted_command(workshop, "-n")).measure), _version(workshop)
    )


def twisted_daemonized(workshop: Workshop) -> Contestant:
    """Twisted as a daemon."""
    command = _twisted_command(workshop, "--pidfile", PIDFILE)
    return Contestant(
        TWISTED_DAEMON, afresh(Start(workshop, command, detaches=True).measure), _version(workshop)
    )


def bare(workshop: Workshop) -> Contestant:
    """A script that imports uvloop, sqlite3 and msgspec, and listens."""
    command = [workshop.python, str(SERVERS / "bare_start.py"), "{port}"]
    return Contestant(
        BARE, afresh(Start(workshop, command).measure), "imports uvloop, sqlite3, msgspec; listens"
    )


def _contestant(name: str, start: Start, detail: str = "") -> Contestant:
    start.measure()  # the first start compiles byte code and fills the file cache: it does not count
    return Contestant(name, afresh(start.measure), detail)


def _twisted_command(workshop: Workshop, *options: str) -> list[str]:
    return [str(workshop.peers() / "twistd"), *options, "-y", str(SERVERS / "echo_twisted.tac")]


def _version(workshop: Workshop) -> str:
    return f"Twisted {workshop.peer_version('twisted')}"


def _seeder(workshop: Workshop) -> Callable[[Path, int], None]:
    """Return what saves the seed of a sample; saving is not part of the time."""

    def save_seed(folder: Path, port: int) -> None:
        made = subprocess.run(
            [workshop.python, str(SERVERS / "echo_taphouse.py")],
            cwd=folder,
            env={**workshop.environment, "BENCH_PORT": str(port)},
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            said = made.stderr.strip().splitlines()
            raise BenchError(f"the seed cannot be saved: {said[-1] if said else made.returncode}")

    return save_seed


STARTUP = Group(
    name="startup",
    title="Start to listening",
    method="From starting the command until its port accepts a connection; a daemon's parent must have "
    "returned 0 as well. A fresh folder per sample; taphouse makes its state tap in it.",
    rounds=21,
    entries=(from_seed, from_source, daemonized, twisted, twisted_daemonized, bare),
    comparisons=(
        Comparison("start in the foreground", TIME, FOREGROUND, TWISTED, Goal(0.6)),
        Comparison("start as a daemon", TIME, DAEMON, TWISTED_DAEMON, Goal(0.6)),
        Comparison("start in the foreground", TIME, FOREGROUND, BARE, Goal(1.5)),
        Comparison("start from source", TIME, SOURCE, TWISTED, Goal(0.6)),
        Comparison("start from source", TIME, SOURCE, BARE),
        Comparison("start in the foreground", CPU, FOREGROUND, TWISTED),
        Comparison("start in the foreground", CPU, FOREGROUND, BARE),
        Comparison("start as a daemon", CPU, DAEMON, TWISTED_DAEMON),
    ),
)
