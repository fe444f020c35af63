"""Memory per idle connection: what 5,000 clients that have said hello and then wait cost the server.

A sample opens 100 connections first, so that what is paid once is paid, and then 4,900 more; each sends one
request and gets its reply, then nothing. The figure is the growth of the server's private memory divided by
4,900. The kernel's socket buffers are the same for everybody and not counted.
"""

from __future__ import annotations

import contextlib
import resource
import socket
from collections.abc import Iterator
from dataclasses import dataclass

from bench.comparison import Comparison, Goal, Metric
from bench.contestant import BenchError, Contestant, Sample, Unavailable, afresh
from bench.cores import on_cores
from bench.group import Group
from bench.ports import free_port
from bench.process import serving
from bench.workshop import SERVERS, Workshop

SETTLING, COUNTED = 100, 4900
DESCRIPTORS = SETTLING + COUNTED + 500
REPLY_LIMIT_S = 30.0

TAPHOUSE, UVLOOP, TWISTED = "taphouse", "bare uvloop", "Twisted, default reactor"
MEMORY = Metric("bytes_per_connection", "bytes/connection", "lower")


@dataclass(frozen=True)
class IdleServer:
    """Takes samples of one echo server's memory; ``{port}`` in ``command`` is its port."""

    workshop: Workshop
    command: list[str]

    def measure(self) -> Sample:
        """Start the server afresh, connect, and return what each connection added."""
        port = free_port()
        command = [part.replace("{port}", str(port)) for part in self.command]
        environment = {**self.workshop.environment, "BENCH_PORT": str(port)}
        cores = self.workshop.cores
        with (
            many_descriptors(),
            self.workshop.run_folder() as folder,
            on_cores(cores.load),
            serving(command, port, cores.server, folder, environment) as server,
            contextlib.ExitStack() as clients,
        ):
            for number in range(SETTLING):
                clients.enter_context(greeted(port, number))
            before = server.private_bytes()
            for number in range(COUNTED):
                clients.enter_context(greeted(port, number))
            grown = server.private_bytes() - before
        return {"bytes_per_connection": grown / COUNTED, "before_mib": before / 2**20}


def greeted(port: int, number: int) -> socket.socket:
    """Return a connection that has sent one request and got its reply. Raises BenchError if it is wrong."""
    request = b"connection %08d says hello.\n" % number
    with contextlib.ExitStack() as on_failure:
        try:
            client = on_failure.enter_context(socket.create_connection(("127.0.0.1", port), REPLY_LIMIT_S))
            client.sendall(request)
            reply = b""
            while len(reply) < len(request) and (part := client.recv(len(request))):
                reply += part
        except OSError as error:
            raise BenchError(f"connection {number} got no reply: {error}") from error
        if reply != request:
            raise BenchError(f"connection {number} got a wrong reply: {reply!r}")
        on_failure.pop_all()
    return client


@contextlib.contextmanager
def many_descriptors() -> Iterator[None]:
    """Allow this process and what it starts enough open files. Raises BenchError if the system does not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, max(hard, DESCRIPTORS)))
    except (ValueError, OSError) as error:
        raise BenchError(f"{DESCRIPTORS} open files are needed and {hard} allowed") from error
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def taphouse(workshop: Workshop) -> Contestant:
    """Taphouse's own twistd in the foreground."""
    command = [str(workshop.twistd), "-n", "-y", str(SERVERS / "echo_taphouse.py")]
    return _contestant(workshop, TAPHOUSE, command)


def bare_uvloop(workshop: Workshop) -> Contestant:
    """The same protocol on uvloop and nothing else."""
    return _contestant(workshop, UVLOOP, [workshop.python, str(SERVERS / "echo_uvloop.py"), "{port}"])


def twisted(workshop: Workshop) -> Contestant:
    """Twisted as installed."""
    command = [str(workshop.peers() / "python"), str(SERVERS / "echo_twisted.py"), "{port}", "default"]
    return _contestant(workshop, TWISTED, command)


def _contestant(workshop: Workshop, name: str, command: list[str]) -> Contestant:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < DESCRIPTORS:
        raise Unavailable(f"{name}: {DESCRIPTORS} open files are needed, {hard} allowed: raise ulimit -Hn")
    return Contestant(name, afresh(IdleServer(workshop, command).measure))


IDLE = Group(
    name="idle",
    title="Idle connections",
    method=f"Growth of the server's private memory over {COUNTED} connections that each had one reply, after "
    f"{SETTLING} to settle; without the kernel's buffers.",
    rounds=7,
    entries=(taphouse, bare_uvloop, twisted),
    comparisons=(
        Comparison("memory of an idle connection", MEMORY, TAPHOUSE, UVLOOP, Goal(1.15)),
        Comparison("memory of an idle connection", MEMORY, TAPHOUSE, TWISTED),
    ),
)
