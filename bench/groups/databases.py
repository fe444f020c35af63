"""Counting beside the ways in which servers keep their state today: a commit per request, whatever the store.

All speak INCR; redis-benchmark asks each with 50 clients. The peers are written as their manuals say, on the
fastest loop they run on. A server and its database share one core, as taphouse and its disk writing do; what
PostgreSQL does with all cores (its own beside the load) is told too.
"""

from __future__ import annotations

import functools

from bench.comparison import Comparison, Goal, Metric
from bench.contestant import Contestant
from bench.group import Group
from bench.postgres import postgres, postgres_programs, say_postgres
from bench.programs import Program
from bench.resp import Workload, traced_syncs
from bench.rivals import TAPHOUSE, asked, contestant, kv
from bench.shared import Shared
from bench.workshop import SERVERS, Workshop

SAMPLE_S = 0.3
INCR = Workload("incr")
RATE = Metric("requests_per_s", "requests/s", "higher")
P99 = Metric("p99_us", "p99 us", "lower")
POSTGRES, POSTGRES_EVERYWHERE = "PostgreSQL per request", "PostgreSQL per request, on all cores"
SQLITE, ZODB = "Twisted and SQLite per request", "ZODB per request"


def taphouse(workshop: Workshop) -> Contestant:
    """The showcase server."""
    return _contestant(workshop, TAPHOUSE, kv(workshop), "")


def over_postgres(workshop: Workshop) -> Contestant:
    """asyncpg on uvloop, one statement per request, the database on the core of the server."""
    return _over_postgres(workshop, POSTGRES, workshop.cores.server)


def over_postgres_everywhere(workshop: Workshop) -> Contestant:
    """The same with the database on all cores."""
    return _over_postgres(workshop, POSTGRES_EVERYWHERE, workshop.cores.server | workshop.cores.load)


def over_sqlite(workshop: Workshop) -> Contestant:
    """Twisted and the sqlite3 module, one statement per request."""
    versions = f"Twisted {workshop.peer_version('twisted')}, default reactor; WAL, synchronous=FULL"
    return _contestant(workshop, SQLITE, _peer(workshop, "incr_sqlite.py"), versions)


def over_zodb(workshop: Workshop) -> Contestant:
    """ZODB's FileStorage, one transaction per request."""
    versions = f"ZODB {workshop.peer_version('ZODB')}, FileStorage and OOBTree, uvloop"
    return _contestant(workshop, ZODB, _peer(workshop, "incr_zodb.py"), versions)


def _over_postgres(workshop: Workshop, name: str, cores: frozenset[int]) -> Contestant:
    postgres_programs()
    server = _peer(workshop, "incr_postgres.py", "{beside}")
    program = Program(workshop, server.command, beside=functools.partial(postgres, cores=cores))
    versions = f"asyncpg {workshop.peer_version('asyncpg')} on uvloop, 20 connections; {say_postgres()}"
    return _contestant(workshop, name, program, versions)


def _peer(workshop: Workshop, script: str, *more: str) -> Program:
    return Program(workshop, (str(workshop.peers() / "python"), str(SERVERS / script), "{port}", *more))


def _contestant(workshop: Workshop, name: str, program: Program, what: str) -> Contestant:
    detail = "; ".join(part for part in (what, traced_syncs(program, INCR)) if part)
    shared = Shared(lambda: asked(program))
    return contestant(name, shared, INCR, workshop.seconds or SAMPLE_S, detail)


DATABASES = Group(
    name="databases",
    title="Beside a database commit per request",
    method=f"INCR on one of 10,000 keys, {INCR.clients} clients, no pipelining, redis-benchmark, samples of "
    f"{SAMPLE_S:g} s; every server answers when the change is on disk, all on the same file system; servers "
    "started again every 7 rounds, the counters then added up and compared with what was answered.",
    rounds=21,
    rounds_per_start=7,
    entries=(taphouse, over_postgres, over_postgres_everywhere, over_sqlite, over_zodb),
    comparisons=(
        Comparison("INCR", RATE, TAPHOUSE, POSTGRES, Goal(4)),
        Comparison("INCR", RATE, TAPHOUSE, SQLITE, Goal(4)),
        Comparison("INCR", RATE, TAPHOUSE, ZODB, Goal(4)),
        Comparison("INCR", RATE, TAPHOUSE, POSTGRES_EVERYWHERE),
        Comparison("INCR", P99, TAPHOUSE, POSTGRES),
        Comparison("INCR", P99, TAPHOUSE, SQLITE),
        Comparison("INCR", P99, TAPHOUSE, ZODB),
    ),
    needs_disk=True,
    limit_s=120.0,
)
