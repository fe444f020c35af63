"""The groups of rows: one file each. A file and its line here add their rows to the run and the table."""

from bench.groups.assignment import ASSIGNMENT
from bench.groups.bigdict import BIGDICT
from bench.groups.connections import CONNECTIONS
from bench.groups.databases import DATABASES
from bench.groups.freezing import FREEZING
from bench.groups.gate import GATE_GROUP
from bench.groups.idle import IDLE
from bench.groups.latency import LATENCY
from bench.groups.packaging import PACKAGING
from bench.groups.portforward import PORTFORWARD
from bench.groups.reads import READS
from bench.groups.redis import REDIS_ALWAYS
from bench.groups.requests import REQUESTS
from bench.groups.startup import STARTUP
from bench.groups.web import WEB

GROUPS = (
    REDIS_ALWAYS,
    READS,
    GATE_GROUP,
    CONNECTIONS,
    DATABASES,
    LATENCY,
    BIGDICT,
    REQUESTS,
    WEB,
    PORTFORWARD,
    STARTUP,
    FREEZING,
    IDLE,
    ASSIGNMENT,
    PACKAGING,
)

__all__ = ["GROUPS"]
