"""Who takes part, and how each is started. It knows command lines and nothing of what is counted."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.contestant import BenchError, Unavailable
from bench.losses.clients import Language, http, resp, take_one
from bench.losses.powercut import Disk
from bench.ports import free_port
from bench.process import STOP_LIMIT_S, wait_accepting
from bench.workshop import Workshop

__all__ = ["CONTENDERS", "Contender", "Place"]

SERVERS = Path(__file__).with_name("servers")


@dataclass(frozen=True)
class Place:
    """Where one server lives.

    Args:
        workshop: has the programs.
        disk: its folder, and the disk under it.
        port: it listens on 127.0.0.1 there.
        output: what it says goes there.
    """

    workshop: Workshop
    disk: Disk
    port: int
    output: Path

    @property
    def environment(self) -> dict[str, str]:
        """The environment of everything that is started here."""
        kept = {name: value for name, value in self.workshop.environment.items() if name != "LD_PRELOAD"}
        return {
            **kept,
            "COUNTER_PORT": str(self.port),
            "PYTHONPATH": str(SERVERS),
            "TAPHOUSE_RUNTIME_DIR": str(self.output.parent / "registry"),
        }

    def run(self, *command: str) -> None:
        """Run a command to its end."""
        done = subprocess.run(
            command, cwd=self.disk.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise BenchError(f"{command[0]}: {(done.stderr or done.stdout).strip()}")

    @contextmanager
    def serving(self, command: Sequence[str]) -> Iterator[Callable[[signal.Signals], None]]:
        """Run a server while the block runs, which gets a function that ends it and all its processes."""
        with self.output.open("wb") as output:
            server = subprocess.Popen(
                command,
                cwd=self.disk.folder,
                env={**self.environment, **self.disk.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

        def end(how: signal.Signals) -> None:
            if server.poll() is not None:
                raise BenchError(f"{command[0]} ended by itself: {self.output.read_text()[-2000:]}")
            os.killpg(server.pid, how)
            server.wait(STOP_LIMIT_S)

        try:
            wait_accepting(self.port, server, self.output.parent)
            yield end
        finally:
            if server.poll() is None:
                os.killpg(server.pid, signal.SIGKILL)
                server.wait()


@dataclass(frozen=True)
class Contender:
    """One server.

    Args:
        name: for the table.
        language: how it is asked.
        command: makes the command line; raises Unavailable if it is not installed.
        prepare: makes what has to be there before the first start.
    """

    name: str
    language: Language
    command: Callable[[Place], list[str]]
    prepare: Callable[[Place], None] = lambda place: None


def _taphouse(place: Place) -> list[str]:
    program = str(SERVERS / "counter_taphouse.py")
    return [str(place.workshop.twistd), "-n", "-y", program, "--state", "counter.tap", "-l", "server.log"]


def _taphouse_interval(place: Place) -> list[str]:
    return [*_taphouse(place), "--durability", "interval"]


def _redis(policy: str) -> Callable[[Place], list[str]]:
    def command(place: Place) -> list[str]:
        program = shutil.which("redis-server")
        if program is None:
            raise Unavailable("no redis-server: apt-get install redis-server")
        words = (
            f"--port {place.port} --bind 127.0.0.1 --appendonly yes --appendfsync {policy} --save '' --dir ."
        )
        return [program, *(word.strip("'") for word in words.split())]

    return command


def _twisted(place: Place) -> list[str]:
    return [str(place.workshop.peers() / "twistd"), "-n", "--pidfile=", "-f", "counter-shutdown.tap"]


def _save_as_in_2002(place: Place) -> None:
    """Build, start and stop in order once: there is a tap that an orderly stop has saved."""
    folder = place.workshop.peers()
    place.run(str(folder / "python"), str(SERVERS / "counter_twisted.py"))
    with place.serving([str(folder / "twistd"), "-n", "--pidfile=", "-f", "counter-start.tap"]) as end:
        take_one(place.port, resp)  # it listens before it knows signals; who answers, runs
        end(signal.SIGTERM)


def _gunicorn(place: Place) -> list[str]:
    words = f"--workers 1 --threads 8 --bind 127.0.0.1:{place.port} counter_wsgi:application"
    return [str(place.workshop.peers() / "gunicorn"), *words.split()]


CONTENDERS = (
    Contender("taphouse", resp, _taphouse),
    Contender("taphouse, durability interval", resp, _taphouse_interval),
    Contender("Redis, appendfsync always", resp, _redis("always")),
    Contender("Redis, appendfsync everysec", resp, _redis("everysec")),
    Contender("Twisted, .tap saved at exit", resp, _twisted, _save_as_in_2002),
    Contender("a dict behind gunicorn", http, _gunicorn),
)


def new_place(workshop: Workshop, folder: Path, shim: Path) -> Place:
    """Return a fresh place inside of ``folder``."""
    (folder / "files").mkdir()
    disk = Disk(folder / "files", folder / "copies", shim)
    return Place(workshop, disk, free_port(), folder / "output")
