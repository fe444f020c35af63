"""Requests and replies of 32 bytes over 50 connections: what a byte costs on its way through each server.

Every server does the same: ``data_received`` writes back what came. taphouse runs as users run it (``twistd
-n``, a state tap open, nothing dirty). The generator keeps one request per connection in flight and verifies
each reply; it has a core of its own.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from bench.comparison import Comparison, Goal, Metric
from bench.contestant import BenchError, Contestant, Measure, Sample
from bench.cores import on_cores
from bench.group import Group
from bench.ports import free_port
from bench.process import Running, serving
from bench.workshop import SERVERS, Workshop

CONNECTIONS = 50
REQUEST_BYTES = 32
# Short samples, many pairs: what disturbs a shared machine lasts longer than a pair and cancels in its ratio.
FIRST_S, WARM_S, MEASURE_S = 0.2, 0.03, 0.15
RATE = Metric("requests_per_s", "requests/s", "higher")
CPU = Metric("server_cpu_us", "server CPU us/request", "lower")

TAPHOUSE, UVLOOP, EPOLL = "taphouse", "bare uvloop", "C epoll loop"
UVLOOP_AGAIN = "bare uvloop again"
TWISTED, TWISTED_UVLOOP = "Twisted, default reactor", "Twisted, asyncioreactor on uvloop"


@dataclass(frozen=True)
class EchoServer:
    """Takes samples of one echo server; its port is ``{port}`` in ``command``, and BENCH_PORT."""

    workshop: Workshop
    loader: list[str]
    command: list[str]

    @contextmanager
    def standing(self) -> Iterator[Measure]:
        """Start the server, warm it up, and give what takes a sample."""
        port = free_port()
        command = [part.replace("{port}", str(port)) for part in self.command]
        environment = {**self.workshop.environment, "BENCH_PORT": str(port)}
        cores = self.workshop.cores
        seconds = self.workshop.seconds or MEASURE_S
        loading = [*self.loader, "127.0.0.1", str(port), str(CONNECTIONS), str(REQUEST_BYTES), str(WARM_S)]
        with (
            self.workshop.run_folder() as folder,
            on_cores(cores.load),
            serving(command, port, cores.server, folder, environment) as server,
        ):
            load([*loading, str(FIRST_S)], server)
            yield partial(load, [*loading, str(seconds)], server)


def load(command: list[str], server: Running) -> Sample:
    """Run a load generator and return the figures; the server's CPU counts from the end of the warm-up.

    A server whose share of its core is near 1 is what was measured; one far below it was waiting for the
    generator. Raises BenchError if a reply was wrong or missing.
    """
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as generator:
        assert generator.stdout is not None
        first = generator.stdout.readline()
        cpu_before_s = server.cpu_s()
        figures, complaint = generator.communicate()
        cpu_s = server.cpu_s() - cpu_before_s
    if generator.returncode or first != "warm\n":
        raise BenchError(complaint.strip() or f"the generator ended with {generator.returncode}")
    found = json.loads(figures)
    return {
        "requests_per_s": found["requests"] / found["seconds"],
        "server_cpu_us": cpu_s / found["requests"] * 1e6,
        "server_share": cpu_s / found["seconds"],
        "load_share": found["load_cpu_s"] / found["seconds"],
        "p50_us": found["p50_us"],
        "p99_us": found["p99_us"],
    }


def taphouse(workshop: Workshop) -> Contestant:
    """Taphouse's own twistd in the foreground."""
    command = [str(workshop.twistd), "-n", "-y", str(SERVERS / "echo_taphouse.py")]
    return _contestant(workshop, TAPHOUSE, command, "twistd -n -y")


def bare_uvloop(workshop: Workshop) -> Contestant:
    """The same protocol on uvloop and nothing else."""
    return _uvloop(workshop, UVLOOP)


def bare_uvloop_again(workshop: Workshop) -> Contestant:
    """The same once more: what differs between the two is the noise of the run."""
    return _uvloop(workshop, UVLOOP_AGAIN)


def twisted_default(workshop: Workshop) -> Contestant:
    """Twisted as installed."""
    return _twisted(workshop, TWISTED, "default")


def twisted_uvloop(workshop: Workshop) -> Contestant:
    """Twisted on asyncioreactor with uvloop's loop."""
    return _twisted(workshop, TWISTED_UVLOOP, "uvloop")


def epoll_loop(workshop: Workshop) -> Contestant:
    """One loop of C: what the kernel alone costs."""
    program = workshop.compiled(SERVERS / "echo_epoll.c")
    return _contestant(workshop, EPOLL, [str(program), "{port}"])


def _uvloop(workshop: Workshop, name: str) -> Contestant:
    return _contestant(workshop, name, [workshop.python, str(SERVERS / "echo_uvloop.py"), "{port}"])


def _twisted(workshop: Workshop, name: str, reactor: str) -> Contestant:
    command = [str(workshop.peers() / "python"), str(SERVERS / "echo_twisted.py"), "{port}", reactor]
    return _contestant(workshop, name, command, f"Twisted {workshop.peer_version('twisted')}")


def _contestant(workshop: Workshop, name: str, command: list[str], detail: str = "") -> Contestant:
    loader = workshop.load_generator("pingpong")
    if loader[-1].endswith(".py"):
        detail = f"{detail}; loaded by Python, which may be what was measured".lstrip("; ")
    return Contestant(name, EchoServer(workshop, loader, command).standing, detail)


def _beside(metric: Metric, peer: str, goal: Goal | None = None) -> Comparison:
    return Comparison("request and reply, 50 connections", metric, TAPHOUSE, peer, goal)


REQUESTS = Group(
    name="requests",
    title="Requests and replies",
    method=f"{REQUEST_BYTES}-byte request, the same bytes back, {CONNECTIONS} connections, one request in "
    f"flight on each, every reply verified by a generator in C; samples of {MEASURE_S:g} s, servers started "
    "again every 15 rounds. A server_share near 1 means that the server was the limit, not its load.",
    rounds=105,
    rounds_per_start=15,
    entries=(taphouse, bare_uvloop, bare_uvloop_again, twisted_default, twisted_uvloop, epoll_loop),
    comparisons=(
        _beside(RATE, UVLOOP, Goal(0.97, by_interval=True)),
        _beside(CPU, UVLOOP),
        _beside(RATE, TWISTED, Goal(1.5)),
        _beside(RATE, TWISTED_UVLOOP),
        _beside(RATE, EPOLL),
        Comparison("one server twice: the noise of this run", RATE, UVLOOP_AGAIN, UVLOOP),
    ),
)
