"""A server as a program that several groups measure: how it is started, put to sleep, traced and ended.

A server that is not being measured is stopped (SIGSTOP): what it has to tidy up afterwards (folding,
checkpoints) it does in its own time and not in its peer's. Knows processes and ports; not what is asked.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from bench.contestant import BenchError, Unavailable
from bench.cores import on_cores
from bench.ports import free_port
from bench.process import Running, serving
from bench.workshop import Workshop

TRACE = "syncs"
SYNC_CALLS = ("fsync", "fdatasync", "sync_file_range", "msync", "syncfs", "sync")
# One line per call; a line "<... fsync resumed>" is the end of a call that has its line already.
SYNC_LINE = re.compile(rf"^(\d+ +)?({'|'.join(SYNC_CALLS)})\(", re.MULTILINE)
QUIET_S, QUIET_LIMIT_S = 0.5, 8.0


class Stand:
    """A server that stands: its port, its process, its folder."""

    def __init__(self, port: int, process: Running, folder: Path, *, sleeps: bool) -> None:
        self.port = port
        self.process = process
        self.folder = folder
        self._sleeps = sleeps

    @contextmanager
    def awake(self) -> Iterator[None]:
        """Let the server run while the block runs."""
        self.wake()
        try:
            yield
        finally:
            self.sleep()

    def wake(self) -> None:
        """Let it run."""
        if self._sleeps:
            os.kill(self.process.pid, signal.SIGCONT)

    def sleep(self) -> None:
        """Stop it where it is."""
        if self._sleeps:
            os.kill(self.process.pid, signal.SIGSTOP)

    def syncs(self) -> int:
        """Return how many syncs a traced server has asked for since it was started."""
        return count_syncs((self.folder / TRACE).read_text(errors="replace"))

    def wait_no_more_syncs(self) -> None:
        """Return when a traced server has synced nothing for half a second; after some seconds anyway."""
        deadline = time.monotonic() + QUIET_LIMIT_S
        seen, since = self.syncs(), time.monotonic()
        while (now := time.monotonic()) < deadline and now - since < QUIET_S:
            time.sleep(0.05)
            if (syncs := self.syncs()) != seen:
                seen, since = syncs, now


@dataclass(frozen=True)
class Program:
    """How a server is started. ``{port}`` and ``{folder}`` may stand in ``command`` and in ``files``.

    ``beside`` is what has to run before it (a database), given the folder; what it gives is ``{beside}``.
    """

    workshop: Workshop
    command: tuple[str, ...]
    files: tuple[tuple[str, str], ...] = ()
    beside: Callable[[Path, bool], AbstractContextManager[str]] | None = None

    @contextmanager
    def running(self, *, is_traced: bool = False) -> Iterator[Stand]:
        """Start the server in a folder of its own; it runs until the block ends, or sleeps if it was put to.

        Raises Unavailable if it should be traced and there is no strace.
        """
        port = free_port()
        cores = self.workshop.cores
        environment = {**self.workshop.environment, "BENCH_PORT": str(port)}
        with self.workshop.run_folder() as folder, on_cores(cores.load):
            beside = self.beside(folder, is_traced) if self.beside is not None else nullcontext("")
            with beside as besides:
                words = {"{port}": str(port), "{folder}": str(folder), "{beside}": besides}
                for name, text in self.files:
                    (folder / name).write_text(_filled(text, words))
                command = [_filled(part, words) for part in self.command]
                if is_traced and self.beside is None:
                    command = [*tracer(folder / TRACE), *command]
                with serving(command, port, cores.server, folder, environment) as process:
                    stand = Stand(port, process, folder, sleeps=not is_traced)
                    try:
                        yield stand
                    finally:
                        stand.wake()


def tracer(log: Path) -> list[str]:
    """Return what has to stand before a command so that its syncs are written to ``log``, line by line.

    Raises Unavailable without strace, or where it may not trace.
    """
    if (reason := why_no_tracing()) is not None:
        raise Unavailable(reason)
    # -D: the tracer is the grandchild, so that the started process is the server itself.
    return [
        "strace",
        "-D",
        "-f",
        "--seccomp-bpf",
        "-qq",
        "-e",
        f"trace={','.join(SYNC_CALLS)}",
        "-o",
        str(log),
    ]


@functools.cache
def why_no_tracing() -> str | None:
    """Return why syncs cannot be counted here, or None."""
    if shutil.which("strace") is None:
        return "no strace to count syncs: apt-get install strace"
    command = ["strace", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "true"]
    tried = subprocess.run(command, capture_output=True, text=True, check=False)
    if tried.returncode:
        return f"strace may not trace here: {(tried.stderr.strip() or 'no reason given').splitlines()[-1]}"
    return None


def count_syncs(trace: str) -> int:
    """Return the number of syncs in what strace wrote."""
    return len(SYNC_LINE.findall(trace))


def require_command(name: str, package: str) -> str:
    """Return the path of a command. Raises Unavailable with the package that has it."""
    path = shutil.which(name)
    if path is None:
        raise Unavailable(f"no {name}: apt-get install {package}")
    return path


def say_syncs(syncs: int, tidying: int, requests: int) -> str:
    """Return the sentence about syncs. Raises BenchError if nothing was synced for requests that change."""
    if not syncs:
        raise BenchError(f"{requests} changes and not one sync: this would measure something else")
    later = f", {tidying} more to tidy up afterwards" if tidying else ""
    return f"{syncs / requests:.3g} syncs per request ({syncs} for {requests}, traced apart{later})"


def _filled(text: str, words: dict[str, str]) -> str:
    for word, value in words.items():
        text = text.replace(word, value)
    return text
