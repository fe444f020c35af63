"""Asking what speaks Redis's protocol: by redis-benchmark for the figures, by a small client to see that they
are true.

redis-benchmark ends at the first error reply, but it does not look at values: after a standing, the counters
are added up, and every increment that was answered has to be in them. Knows the protocol; starts no server.
"""

from __future__ import annotations

import csv
import resource
import socket
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.contestant import BenchError, Sample
from bench.programs import Program, Stand, require_command, say_syncs, why_no_tracing

KEYS = 10_000
SETTLING_REQUESTS = 500
TRACED_REQUESTS = 3000
LOAD_LIMIT_S = 120.0
# Longer than the pause before anything is folded.
REST_S, REST_SHARE, REST_LIMIT_S = 0.6, 0.03, 30.0


@dataclass(frozen=True)
class Workload:
    """What redis-benchmark asks: one of its tests, how many clients, how many requests at once from each."""

    test: str
    pipeline: int = 1
    clients: int = 50
    generators: int = 1

    def rounded(self, requests: float) -> int:
        """Return a number of requests that comes out even: at least one full pipeline for every client."""
        share = self.generators * self.pipeline
        return max(round(requests / share), self.clients) * share


def benchmark(port: int, workload: Workload, requests: int) -> Sample:
    """Let redis-benchmark ask ``requests`` times and return the figures, of all generators together.

    Raises BenchError if a generator ended with an error, which it does at the first error reply.
    """
    command = [
        *(require_command("redis-benchmark", "redis-tools"), "-h", "127.0.0.1", "-p", str(port)),
        *("-c", str(workload.clients // workload.generators), "-r", str(KEYS), "-P", str(workload.pipeline)),
        *("-n", str(requests // workload.generators), "-t", workload.test, "--csv"),
    ]
    before_s = _children_cpu_s()
    started = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(workload.generators)
    ]
    said = []
    try:
        said = [generator.communicate(timeout=LOAD_LIMIT_S)[0] for generator in started]
    except subprocess.TimeoutExpired:
        raise BenchError(f"redis-benchmark has not ended after {LOAD_LIMIT_S:g} s") from None
    finally:
        for generator in started:
            if generator.poll() is None:
                generator.kill()
                generator.wait()
    for generator, text in zip(started, said, strict=True):
        if generator.returncode:
            lines = text.strip().splitlines()
            raise BenchError(f"redis-benchmark: {lines[-1] if lines else generator.returncode}")
    rows = [parse_csv(text) for text in said]
    rate = sum(row["rps"] for row in rows)
    return {
        "requests_per_s": rate,
        "p50_us": sum(row["p50_latency_ms"] for row in rows) / len(rows) * 1e3,
        "p99_us": max(row["p99_latency_ms"] for row in rows) * 1e3,
        "load_share": (_children_cpu_s() - before_s) / (requests / rate),
    }


def parse_csv(text: str) -> dict[str, float]:
    """Return the figures of the one test in what redis-benchmark wrote. Raises BenchError without."""
    lines = text.splitlines()
    head = next((place for place, line in enumerate(lines) if line.startswith('"test"')), None)
    rows = [] if head is None else list(csv.DictReader(lines[head:]))
    try:
        (row,) = rows
        return {name: float(value) for name, value in row.items() if name != "test"}
    except (ValueError, TypeError) as error:
        raise BenchError(f"redis-benchmark wrote no figures of one test: {text[-200:]!r}") from error


class Asked:
    """A standing server that is asked, with the count of what it has answered."""

    def __init__(self, stand: Stand) -> None:
        self.stand = stand
        self.increments = 0

    def measure(self, workload: Workload, requests: int) -> Sample:
        """Wake the server, load it, and return the figures with what its process used."""
        stand = self.stand
        with stand.awake():
            cpu_before_s = stand.process.cpu_s()
            found = benchmark(stand.port, workload, requests)
            cpu_s = stand.process.cpu_s() - cpu_before_s
        if workload.test == "incr":
            self.increments += requests
        return {
            **found,
            "cpu_us": cpu_s / requests * 1e6,
            "requests_per_cpu_s": requests / cpu_s,
            "server_share": cpu_s * found["requests_per_s"] / requests,
        }

    def settle(self, workload: Workload, seconds: float) -> int:
        """Ask for a first while; return how many requests take about ``seconds``."""
        first = self.measure(workload, workload.rounded(SETTLING_REQUESTS * workload.pipeline))
        second = self.measure(workload, workload.rounded(first["requests_per_s"] * seconds))
        return workload.rounded(second["requests_per_s"] * seconds)

    def wait_rest(self) -> None:
        """Return when the server, left alone, uses next to nothing any more. Raises BenchError if not."""
        process = self.stand.process
        deadline = time.monotonic() + REST_LIMIT_S
        used_s = process.cpu_s()
        while time.monotonic() < deadline:
            time.sleep(REST_S)
            before_s, used_s = used_s, process.cpu_s()
            if used_s - before_s < REST_S * REST_SHARE:
                return
        raise BenchError(f"the server does not come to rest within {REST_LIMIT_S:g} s")

    def verify(self) -> None:
        """Raise BenchError if increments that were answered are not in the counters."""
        if not self.increments:
            return
        with self.stand.awake(), Client(self.stand.port) as client:
            values = client.ask((b"GET", b"counter:%012d" % number) for number in range(KEYS))
        total = sum(int(value) for value in values if value is not None)
        # redis-benchmark sends on until it has seen enough replies: a few more than asked for are right.
        if not self.increments <= total <= self.increments * 1.1 + 10_000:
            raise BenchError(f"{self.increments} increments were answered, the counters say {total}")


def traced_syncs(program: Program, workload: Workload) -> str:
    """Run ``program`` apart, traced, for a fixed number of requests; return the sentence about its syncs."""
    if (reason := why_no_tracing()) is not None:
        return f"syncs not counted: {reason}"
    requests = workload.rounded(TRACED_REQUESTS * workload.pipeline)
    with program.running(is_traced=True) as stand:
        benchmark(stand.port, workload, workload.rounded(1))
        stand.wait_no_more_syncs()
        before = stand.syncs()
        benchmark(stand.port, workload, requests)
        asked = stand.syncs()
        stand.wait_no_more_syncs()
        return say_syncs(asked - before, stand.syncs() - asked, requests)


class Client:
    """One connection, many requests at once."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._replies = self._socket.makefile("rb")

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_error: object) -> None:
        self._replies.close()
        self._socket.close()

    def ask(self, requests: Iterable[Sequence[bytes]], at_once: int = 500) -> list[bytes | None]:
        """Send the requests, so many at once; return the replies. Raises BenchError for an error reply."""
        replies: list[bytes | None] = []
        waiting = 0
        buffer = b""
        for words in requests:
            buffer += b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in words)
            waiting += 1
            if waiting == at_once:
                self._socket.sendall(buffer)
                replies += [self._reply() for _ in range(waiting)]
                waiting, buffer = 0, b""
        self._socket.sendall(buffer)
        return replies + [self._reply() for _ in range(waiting)]

    def _reply(self) -> bytes | None:
        line = self._replies.readline()
        kind, rest = line[:1], line[1:-2]
        if kind in (b"+", b":"):
            return rest
        if kind == b"$":
            length = int(rest)
            return None if length < 0 else self._replies.read(length + 2)[:-2]
        raise BenchError(f"the server answered {line!r}")


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
