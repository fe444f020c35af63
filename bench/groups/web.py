"""A web application under ``mktap web`` beside uvicorn alone: what a server that remembers costs a request.

The same starlette application, the same loop, parser and protocols; what differs is who holds the
connections.  wrk asks on a core of its own.
"""

from __future__ import annotations

import re
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

from bench.comparison import Comparison, Goal, Metric
from bench.contestant import BenchError, Contestant, Measure, Sample
from bench.cores import on_cores
from bench.group import Group
from bench.ports import free_port
from bench.process import Running, serving
from bench.programs import require_command
from bench.workshop import SERVERS, Workshop

CONNECTIONS = 50
SAMPLE_S = 1  # wrk knows whole seconds
RATE = Metric("requests_per_s", "requests/s", "higher")
CPU = Metric("server_cpu_us", "server CPU us/request", "lower")
P99 = Metric("p99_us", "p99 us", "lower")

TAPHOUSE, UVICORN, UVICORN_AGAIN = "mktap web --app", "uvicorn", "uvicorn again"
COUNTING, COUNTING_UVICORN = "mktap web --app, counting", "uvicorn, counting in memory"

_UNITS_US = {"us": 1.0, "ms": 1e3, "s": 1e6}


@dataclass(frozen=True)
class WebServer:
    """Takes samples of one server; ``{port}`` in its commands is its port.

    ``prepare`` is run before it in its folder.
    """

    workshop: Workshop
    path: str
    command: list[str]
    prepare: list[str] | None = None

    @contextmanager
    def standing(self) -> Iterator[Measure]:
        """Start the server, warm it up, and give what takes a sample."""
        wrk = require_command("wrk", "wrk")
        port = free_port()
        prepare, command = (
            [part.replace("{port}", str(port)) for part in words]
            for words in (self.prepare or [], self.command)
        )
        cores, environment = self.workshop.cores, self.workshop.environment
        seconds = max(1, round(self.workshop.seconds or SAMPLE_S))
        loading = [wrk, "-t1", f"-c{CONNECTIONS}", "--latency", f"http://127.0.0.1:{port}{self.path}"]
        with self.workshop.run_folder() as folder, on_cores(cores.load):
            if prepare:
                _must(prepare, folder, environment)
            with serving(command, port, cores.server, folder, environment) as server:
                load([*loading, "-d1"], server)
                yield partial(load, [*loading, f"-d{seconds}"], server)


def load(command: list[str], server: Running) -> Sample:
    """Run wrk and return its figures. Raises BenchError if a reply was missing or none of 2xx."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_before_s = server.cpu_s()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    cpu_s = server.cpu_s() - cpu_before_s
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise BenchError(f"wrk ended with {done.returncode}: {done.stderr.strip()}")
    return figures_of(done.stdout, cpu_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def figures_of(said: str, cpu_s: float, load_cpu_s: float) -> Sample:
    """Return the figures of what wrk said.

    Raises BenchError if it complained, or said something else.
    """
    for complaint in ("Socket errors", "Non-2xx"):
        if complaint in said:
            line = next(line for line in said.splitlines() if complaint in line)
            raise BenchError(f"wrk: {line.strip()}")
    total = re.search(r"(\d+) requests in ([\d.]+)s", said)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    shares = dict(re.findall(r"^\s+(50|99)%\s+([\d.]+(?:us|ms|s))$", said, re.MULTILINE))
    if total is None or rate is None or not int(total[1]) or len(shares) != 2:
        raise BenchError(f"wrk said {said!r:.200}")
    requests, seconds = int(total[1]), float(total[2])
    return {
        "requests_per_s": float(rate[1]),
        "server_cpu_us": cpu_s / requests * 1e6,
        "server_share": cpu_s / seconds,
        "load_share": load_cpu_s / seconds,
        "p50_us": _us(shares["50"]),
        "p99_us": _us(shares["99"]),
    }


def _us(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(\w+)", text).groups()  # type: ignore[union-attr]
    return float(number) * _UNITS_US[unit]


def _must(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"{' '.join(command)}: {done.stderr.strip()}")


def taphouse(workshop: Workshop) -> Contestant:
    """``mktap web`` and ``twistd``, as users run them."""
    return _taphouse(workshop, TAPHOUSE, "/", "state tap open, nothing dirty")


def taphouse_counting(workshop: Workshop) -> Contestant:
    """The same where each request changes durable state, and each reply waits for the disk."""
    return _taphouse(workshop, COUNTING, "/visits", "each reply after its commit")


def uvicorn(workshop: Workshop) -> Contestant:
    """uvicorn with the same loop and parser."""
    return _uvicorn(workshop, UVICORN, "/")


def uvicorn_again(workshop: Workshop) -> Contestant:
    """The same once more: what differs between the two is the noise of the run."""
    return _uvicorn(workshop, UVICORN_AGAIN, "/")


def uvicorn_counting(workshop: Workshop) -> Contestant:
    """uvicorn, whose application forgets at the end what it has counted."""
    return _uvicorn(workshop, COUNTING_UVICORN, "/visits")


def _taphouse(workshop: Workshop, name: str, path: str, detail: str) -> Contestant:
    require_command("wrk", "wrk")
    twistd = workshop.twistd
    make = [str(twistd.with_name("mktap")), "web", "--app", "web_hello:app", "--app-dir", str(SERVERS)]
    make += ["--port", "{port}", "--interface", "127.0.0.1", "--no-access-log"]
    server = WebServer(workshop, path, [str(twistd), "-n", "-f", "web.tap"], make)
    return Contestant(name, server.standing, detail)


def _uvicorn(workshop: Workshop, name: str, path: str) -> Contestant:
    require_command("wrk", "wrk")
    command = [workshop.python, "-m", "uvicorn", "web_hello:app", "--app-dir", str(SERVERS)]
    command += ["--host", "127.0.0.1", "--port", "{port}", "--no-access-log"]
    command += ["--loop", "uvloop", "--http", "httptools"]
    detail = f"uvicorn {version('uvicorn')} --loop uvloop --http httptools, starlette {version('starlette')}"
    return Contestant(name, WebServer(workshop, path, command).standing, detail)


def _beside(metric: Metric, goal: Goal | None = None) -> Comparison:
    return Comparison("starlette application, 50 connections", metric, TAPHOUSE, UVICORN, goal)


WEB = Group(
    name="web",
    title="A web application",
    method=f"GET of 12 bytes from a starlette application, {CONNECTIONS} keep-alive connections of wrk in "
    f"one thread, samples of {SAMPLE_S} s, no access log; servers started again every 8 rounds. A "
    "server_share near 1 means that the server was the limit, not its load.",
    rounds=24,
    rounds_per_start=8,
    entries=(taphouse, uvicorn, uvicorn_again, taphouse_counting, uvicorn_counting),
    comparisons=(
        _beside(RATE, Goal(0.95, stretch=1.0)),
        _beside(CPU),
        _beside(P99),
        Comparison("one server twice: the noise of this run", RATE, UVICORN_AGAIN, UVICORN),
        Comparison("each request counted", RATE, COUNTING, COUNTING_UVICORN),
        Comparison("each request counted", CPU, COUNTING, COUNTING_UVICORN),
    ),
    needs_disk=True,
)
