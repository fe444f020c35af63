"""The two sides of most durability rows: the showcase server of examples/08-kv, and Debian's redis-server.

Knows how each is started and what of its configuration a reader has to be told; not what is measured.
"""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bench.contestant import Contestant, Measure
from bench.programs import Program, require_command
from bench.resp import Asked, Workload, traced_syncs
from bench.shared import Shared
from bench.workshop import SERVERS, Workshop

TAPHOUSE, REDIS = "taphouse kv", "Redis"
ALWAYS = ('save ""', "appendonly yes", "appendfsync always")
NO_AOF = ('save ""', "appendonly no")


def kv(workshop: Workshop) -> Program:
    """The showcase server as users run it: ``twistd -n``, its state in a tap."""
    return Program(workshop, (str(workshop.twistd), "-n", "-y", str(SERVERS / "kv_taphouse.py")))


def redis_server(workshop: Workshop, lines: tuple[str, ...]) -> Program:
    """Debian's redis-server with these lines of configuration and its own defaults for everything else."""
    text = "\n".join(("bind 127.0.0.1", "port {port}", *lines, ""))
    command = (require_command("redis-server", "redis-server"), "{folder}/redis.conf")
    return Program(workshop, command, (("redis.conf", text),))


def say_redis(lines: tuple[str, ...]) -> str:
    """Return which Redis ran and with which lines."""
    said = subprocess.run(["redis-server", "--version"], capture_output=True, text=True, check=False).stdout
    version = next((word.removeprefix("v=") for word in said.split() if word.startswith("v=")), "?")
    return f"redis-server {version}: {', '.join(lines)}, else its defaults"


@functools.cache
def kv_shared(workshop: Workshop) -> Shared[Asked]:
    """The showcase server, one for all workloads of a group."""
    return Shared(lambda: asked(kv(workshop)))


@functools.cache
def redis_shared(workshop: Workshop, lines: tuple[str, ...]) -> Shared[Asked]:
    """Redis, one for all workloads of a group."""
    return Shared(lambda: asked(redis_server(workshop, lines)))


@contextmanager
def asked(program: Program, prepare: Callable[[Asked], None] | None = None) -> Iterator[Asked]:
    """Run a server that is asleep unless it is asked; see at the end that it counted right."""
    with program.running() as stand:
        found = Asked(stand)
        if prepare is not None:
            prepare(found)
        stand.sleep()
        yield found
        found.verify()


def contestant(
    name: str, shared: Shared[Asked], workload: Workload, seconds: float, detail: str = ""
) -> Contestant:
    """Return what asks a shared server one workload, in samples of about ``seconds``."""

    @contextmanager
    def standing() -> Iterator[Measure]:
        with shared.stand() as found:
            requests = found.settle(workload, seconds)
            yield lambda: found.measure(workload, requests)

    return Contestant(name, standing, detail)


def kv_contestant(workshop: Workshop, name: str, workload: Workload, seconds: float) -> Contestant:
    """The showcase server under one workload, its syncs counted apart."""
    detail = traced_syncs(kv(workshop), workload)
    return contestant(name, kv_shared(workshop), workload, workshop.seconds or seconds, detail)


def redis_contestant(workshop: Workshop, name: str, workload: Workload, seconds: float) -> Contestant:
    """Redis with appendfsync always under one workload, its syncs counted apart."""
    detail = f"{say_redis(ALWAYS)}; {traced_syncs(redis_server(workshop, ALWAYS), workload)}"
    return contestant(name, redis_shared(workshop, ALWAYS), workload, workshop.seconds or seconds, detail)
