"""Forwarders: how much passes through one stream and through eight, and how many connections a second.

Every forwarder runs on one core, the program at both of its ends on the other. Streams go from a client to a
target as fast as the forwarder takes them, and are compared on the way; connections each bring back a number
that nobody else gets. Forwarders run as their users run them, on uvloop where they can: taphouse counts, logs
each connection and passes on half-closed ones; those made of asyncio's streams or protocols alone do not.
"""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from bench.comparison import Comparison, Goal, Metric
from bench.contestant import Contestant, Measure, Sample
from bench.cores import on_cores
from bench.generators import generate
from bench.group import Group
from bench.ports import free_port
from bench.process import Running, serving, started, wait_accepting
from bench.programs import require_command
from bench.shared import Shared
from bench.workshop import HERE, SERVERS, Workshop

CLIENTS, STREAMS = 50, 8
WARM_S, SAMPLE_S = 0.05, 0.2

TAPHOUSE, STREAMED, PROTOCOLS = (
    "taphouse portforward",
    "asyncio streams on uvloop",
    "asyncio protocols on uvloop",
)
PPROXY, PROXY_PY, SOCAT, HAPROXY = "pproxy", "proxy.py", "socat", "haproxy"
OF_SEVERAL_PROCESSES = (PROXY_PY, SOCAT)
PEERS = (STREAMED, PROTOCOLS, PPROXY, PROXY_PY, SOCAT, HAPROXY)

ONE, SEVERAL, CONNECTIONS = "one stream", f"{STREAMS} streams", "connections"
THROUGHPUT = Metric("megabytes_per_s", "MB/s", "higher")
RATE = Metric("connections_per_s", "connections/s", "higher")

HAPROXY_LINES = """\
global
  nbthread 1
defaults
  mode tcp
  timeout connect 10s
  timeout client 1m
  timeout server 1m
listen forward
  bind 127.0.0.1:{port}
  server target 127.0.0.1:{target_port}
"""


@dataclass(frozen=True)
class Way:
    """A running forwarder: where it listens, and where it forwards to."""

    workshop: Workshop
    process: Running
    port: int
    target_port: int

    def stream(self, streams: int, seconds: float) -> Sample:
        """Send through ``streams`` connections. Raises BenchError if a byte is wrong or nothing arrives."""
        generator = str(self.workshop.compiled(HERE / "load" / "stream.c"))
        command = [generator, str(self.port), str(self.target_port), str(streams), str(WARM_S), str(seconds)]
        sample, _ = generate(command, self.process, "megabytes")
        found = dict(sample)
        found["server_cpu_ms_per_gb"] = found.pop("server_cpu_us")  # it counts megabytes
        return found

    def connect(self, seconds: float) -> Sample:
        """Connect again and again. Raises BenchError if a number is wrong or was given twice."""
        numbers = str(self.workshop.compiled(SERVERS / "numbers.c"))
        generator = str(self.workshop.compiled(HERE / "load" / "connect.c"))
        load = self.workshop.cores.load
        with (
            self.workshop.run_folder() as folder,
            started([numbers, str(self.target_port)], load, folder, self.workshop.environment) as target,
        ):
            wait_accepting(self.target_port, target, folder)
            command = [generator, str(self.port), str(CLIENTS), str(WARM_S), str(seconds)]
            sample, _ = generate(command, self.process, "connections")
        return sample


MEASURES: dict[str, Callable[[Way, float], Sample]] = {
    ONE: lambda way, seconds: way.stream(1, seconds),
    SEVERAL: lambda way, seconds: way.stream(STREAMS, seconds),
    CONNECTIONS: Way.connect,
}


@contextmanager
def _way(workshop: Workshop, words: Sequence[str], before: Sequence[str], text: str) -> Iterator[Way]:
    """Run a forwarder. ``before`` runs first, to its end; ``text`` is its ``configuration``."""
    port, target_port = free_port(), free_port()
    known = {"{port}": str(port), "{target_port}": str(target_port)}

    def filled(line: str) -> str:
        for word, value in known.items():
            line = line.replace(word, value)
        return line

    with workshop.run_folder() as folder, on_cores(workshop.cores.load):
        (folder / "configuration").write_text(filled(text))
        if before:
            command = [filled(word) for word in before]
            subprocess.run(command, cwd=folder, env=workshop.environment, check=True, capture_output=True)
        command = [filled(word) for word in words]
        with serving(command, port, workshop.cores.server, folder, workshop.environment) as process:
            yield Way(workshop, process, port, target_port)


@functools.cache
def _shared(workshop: Workshop, words: tuple[str, ...], before: tuple[str, ...], text: str) -> Shared[Way]:
    return Shared(lambda: _way(workshop, words, before, text))


@dataclass(frozen=True)
class Entry:
    """Makes the contestant of one forwarder and one workload."""

    forwarder: str
    workload: str

    def __call__(self, workshop: Workshop, /) -> Contestant:
        """Return it. Raises Unavailable if the forwarder is not there."""
        words, before, text, detail = MAKERS[self.forwarder](workshop)
        shared = _shared(workshop, words, before, text)
        seconds = workshop.seconds or SAMPLE_S
        measure = MEASURES[self.workload]

        def sample(way: Way) -> Sample:
            found = measure(way, seconds)
            if self.forwarder in OF_SEVERAL_PROCESSES:  # what one of them used says nothing
                return {name: value for name, value in found.items() if not name.startswith("server_")}
            return found

        @contextmanager
        def standing() -> Iterator[Measure]:
            with shared.stand() as way:
                measure(way, seconds / 2)
                yield partial(sample, way)

        return Contestant(named(self.forwarder, self.workload), standing, detail)


Made = tuple[tuple[str, ...], tuple[str, ...], str, str]
"""The command, the one before it, the configuration, and what a reader has to know."""


def _taphouse(workshop: Workshop) -> Made:
    target = ("--port", "{port}", "--to", "127.0.0.1:{target_port}")
    before = (str(workshop.twistd.parent / "mktap"), "portforward", *target)
    return (
        (str(workshop.twistd), "-n", "-f", "portforward.tap"),
        before,
        "",
        "mktap portforward, twistd -n -f",
    )


def _own(name: str) -> Callable[[Workshop], Made]:
    script = str(SERVERS / name)
    return lambda workshop: (
        (workshop.python, script, "{port}", "{target_port}"),
        (),
        "",
        f"bench/servers/{name}",
    )


def _peer(name: str, distribution: str) -> Callable[[Workshop], Made]:
    def made(workshop: Workshop) -> Made:
        words = (str(workshop.peers() / "python"), str(SERVERS / name), "{port}", "{target_port}")
        return words, (), "", f"{distribution} {workshop.peer_version(distribution)}, bench/servers/{name}"

    return made


def _socat(workshop: Workshop) -> Made:
    listener = "TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr,backlog=1024"
    words = (require_command("socat", "socat"), listener, "TCP:127.0.0.1:{target_port}")
    return (
        words,
        (),
        "",
        f"socat {_version(words[0], '-V')}, a process for each connection",
    )


def _haproxy(workshop: Workshop) -> Made:
    program = require_command("haproxy", "haproxy")
    return (
        (program, "-f", "configuration", "-db"),
        (),
        HAPROXY_LINES,
        f"haproxy {_version(program, '-v')}, nbthread 1",
    )


def _version(program: str, option: str) -> str:
    said = subprocess.run([program, option], capture_output=True, text=True, check=False).stdout
    words = said.partition("version ")[2].split()
    return words[0] if words else "?"


MAKERS: dict[str, Callable[[Workshop], Made]] = {
    TAPHOUSE: _taphouse,
    STREAMED: _own("forward_streams.py"),
    PROTOCOLS: _own("forward_protocols.py"),
    PPROXY: _peer("forward_pproxy.py", "pproxy"),
    PROXY_PY: _peer("forward_proxypy.py", "proxy.py"),
    SOCAT: _socat,
    HAPROXY: _haproxy,
}


def named(forwarder: str, workload: str) -> str:
    """Return the name of a contestant."""
    return f"{forwarder}, {workload}"


def _beside(workload: str, metric: Metric, peer: str, goal: Goal | None) -> Comparison:
    return Comparison(workload, metric, named(TAPHOUSE, workload), named(peer, workload), goal)


def _comparisons() -> Iterator[Comparison]:
    for workload, metric in ((ONE, THROUGHPUT), (SEVERAL, THROUGHPUT), (CONNECTIONS, RATE)):
        # A connection costs about the same in both, so that chance decides on which side the median falls.
        beside_streams = Goal(1.0, by_interval=workload == CONNECTIONS)
        wanted = {PPROXY: Goal(1.0), PROXY_PY: Goal(1.0), STREAMED: beside_streams}
        for peer in PEERS:
            yield _beside(workload, metric, peer, wanted.get(peer))


PORTFORWARD = Group(
    name="portforward",
    title="Forwarded connections",
    method=f"Bytes from one client to one target, and from {STREAMS} to {STREAMS}, as fast as the forwarder "
    f"takes them; and {CLIENTS} clients that connect, read a number until the target hangs up, and connect "
    "again. A program in C is at both ends and compares what arrives; samples of "
    f"{SAMPLE_S:g} s, forwarders started again every 10 rounds.",
    rounds=40,
    rounds_per_start=10,
    limit_s=150.0,
    entries=[Entry(forwarder, workload) for workload in MEASURES for forwarder in MAKERS],
    comparisons=tuple(_comparisons()),
)
