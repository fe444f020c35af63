"""Server: commands about the connection and the server itself.

It must not know keys and values.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator

from taphouse.makers.kv.client import Client
from taphouse.makers.kv.globs import glob
from taphouse.makers.kv.replies import (
    OK,
    SPEAKS_AS,
    Refused,
    bulk,
    integer,
    mapping,
    no_such_part,
    read_integer,
)
from taphouse.makers.kv.requests import MAX_REQUEST_BYTES

__all__ = ["client", "config", "echo", "info", "ping", "quit_", "select"]

Facts = Iterator[tuple[str, object]]

SETTINGS = {
    b"appendonly": b"yes",
    b"databases": b"16",
    b"maxmemory": b"0",
    b"maxmemory-policy": b"noeviction",
    b"proto-max-bulk-len": b"%d" % MAX_REQUEST_BYTES,
    b"save": b"",
    b"timeout": b"0",
}

PROMISES = {"gate": b"always", "interval": b"everysec"}  # what a Redis that promises as much calls it


def ping(client: Client, words: list[bytes]) -> bytes:
    """PING [text]."""
    return bulk(words[1]) if len(words) == 2 else b"+PONG\r\n"


def echo(client: Client, words: list[bytes]) -> bytes:
    """ECHO text."""
    return bulk(words[1])


def quit_(client: Client, words: list[bytes]) -> bytes:
    """QUIT."""
    client.is_leaving = True
    return OK


def select(client: Client, words: list[bytes]) -> bytes:
    """SELECT number."""
    number = read_integer(words[1])
    if not -(1 << 31) <= number < 1 << 31:
        raise Refused("ERR value is out of range, value must between -2147483648 and 2147483647")
    databases = client.factory.databases
    if not 0 <= number < len(databases):
        raise Refused("ERR DB index is out of range")
    client.db = databases[number]
    return OK


def client(client: Client, words: list[bytes]) -> bytes:
    """CLIENT GETNAME, SETNAME name, ID, SETINFO name value."""
    match [words[1].upper(), *words[2:]]:
        case [b"SETNAME", name]:
            client.name = name
            return OK
        case [b"GETNAME"]:
            return bulk(client.name or None)
        case [b"ID"]:
            return integer(client.number)
        case [b"SETINFO", _, _]:
            return OK
    raise no_such_part(words)


def config(client: Client, words: list[bytes]) -> bytes:
    """CONFIG GET pattern [pattern ...]."""
    if words[1].upper() != b"GET" or len(words) < 3:
        raise no_such_part(words)
    patterns = [glob(word.lower()) for word in words[2:]]
    epochs = client.factory.epochs()
    promise = PROMISES.get(epochs.mode, b"no") if epochs else b"no"
    settings = {b"appendfsync": promise, **SETTINGS}
    chosen = [item for item in settings.items() if any(matches(item[0]) for matches in patterns)]
    return mapping(chosen, client.protocol)


def info(client: Client, words: list[bytes]) -> bytes:
    """INFO [section ...]."""
    wanted = {word.lower().decode("utf-8", "replace") for word in words[1:]}
    if not wanted or wanted & {"all", "default", "everything"}:
        wanted = set(SECTIONS)
    parts = []
    for name, about in SECTIONS.items():
        if name in wanted:
            lines = "".join(f"{key}:{value}\r\n" for key, value in about(client))
            parts.append(f"# {name.capitalize()}\r\n{lines}")
    return bulk("\r\n".join(parts).encode())


def _about_server(client: Client) -> Facts:
    uptime_s = int(time.monotonic() - client.statistics.started_s)
    yield "redis_version", SPEAKS_AS
    yield "redis_mode", "standalone"
    yield "taphouse_version", getattr(sys.modules["taphouse"], "__version__", "unknown")
    yield "process_id", os.getpid()
    yield "uptime_in_seconds", uptime_s
    yield "uptime_in_days", uptime_s // 86_400


def _about_clients(client: Client) -> Facts:
    yield "connected_clients", len(client.factory.connections)
    yield "unfinished_request_bytes", client.factory.budget.used_bytes


def _about_persistence(client: Client) -> Facts:
    yield "loading", 0
    yield "aof_enabled", 1
    yield "aof_last_write_status", "ok"
    epochs = client.factory.epochs()
    if epochs:
        yield "durability", epochs.mode
        yield "commits", epochs.commits
        yield "commit_path", epochs.path
        for name, seconds in (
            ("commit_p50", epochs.p50_s),
            ("commit_p99", epochs.p99_s),
            ("commit_max", epochs.max_s),
            ("sync_p50", epochs.sync_p50_s),
        ):
            yield f"{name}_usec", round(seconds * 1_000_000)
        yield "held_bytes", epochs.held_bytes
        yield "held_most_bytes", epochs.held_most_bytes
        yield "journal_bytes", epochs.journal_bytes
        yield "wal_bytes", epochs.wal_bytes


def _about_stats(client: Client) -> Facts:
    yield "total_connections_received", client.statistics.connections
    yield "total_commands_processed", client.statistics.commands
    yield "acl_access_denied_auth", client.statistics.refused


def _about_replication(client: Client) -> Facts:
    yield "role", "master"
    yield "connected_slaves", 0


def _about_keyspace(client: Client) -> Facts:
    for number, db in enumerate(client.factory.databases):
        if db.values:
            yield f"db{number}", f"keys={len(db.values)},expires={len(db.expires)},avg_ttl=0"


SECTIONS = {
    "server": _about_server,
    "clients": _about_clients,
    "persistence": _about_persistence,
    "stats": _about_stats,
    "replication": _about_replication,
    "keyspace": _about_keyspace,
}
