"""Server: commands about the connection and the server itself."""

import os
import time

from keyvalue.globs import glob
from keyvalue.replies import EMPTY, OK, Refused, bulk, integer, mapping, nested, read_integer
from keyvalue.requests import MAX_REQUEST_BYTES
from taphouse import __version__

SPEAKS_AS = "7.0.0"  # the Redis whose answers these are

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


def ping(session, words):
    return bulk(words[1]) if len(words) == 2 else b"+PONG\r\n"


def echo(session, words):
    return bulk(words[1])


def quit_(session, words):
    session.is_leaving = True
    return OK


def select(session, words):
    number = read_integer(words[1])
    if not -(1 << 31) <= number < 1 << 31:
        raise Refused("ERR value is out of range, value must between -2147483648 and 2147483647")
    databases = session.factory.databases
    if not 0 <= number < len(databases):
        raise Refused("ERR DB index is out of range")
    session.db = databases[number]
    return OK


def hello(session, words):
    """HELLO [2|3] [SETNAME name]."""
    options = words[2:]
    if len(words) > 1:
        if words[1] not in (b"2", b"3"):
            raise Refused("NOPROTO unsupported protocol version")
        if options and (len(options) != 2 or options[0].upper() != b"SETNAME"):
            raise Refused(
                f"ERR Syntax error in HELLO option '{options[0].decode('utf-8', 'backslashreplace')}'"
            )
        session.protocol = int(words[1])
        if options:
            session.name = options[1]
    facts = {
        b"server": b"redis",
        b"version": SPEAKS_AS.encode(),
        b"proto": session.protocol,
        b"id": session.number,
        b"mode": b"standalone",
        b"role": b"master",
    }
    return mapping(facts.items(), session.protocol, as_reply=typed)


def typed(fact):
    """Reply with a number as one, with anything else as a value."""
    return integer(fact) if type(fact) is int else bulk(fact)


def client(session, words):
    match [words[1].upper(), *words[2:]]:
        case [b"SETNAME", name]:
            session.name = name
            return OK
        case [b"GETNAME"]:
            return bulk(session.name or None)
        case [b"ID"]:
            return integer(session.number)
        case [b"SETINFO", _, _]:
            return OK
    raise no_such_part(words)


def config(session, words):
    if words[1].upper() != b"GET" or len(words) < 3:
        raise no_such_part(words)
    patterns = [glob(word.lower()) for word in words[2:]]
    epochs = session.factory.epochs()
    promise = PROMISES.get(epochs.mode, b"no") if epochs else b"no"
    settings = {b"appendfsync": promise, **SETTINGS}
    chosen = [item for item in settings.items() if any(matches(item[0]) for matches in patterns)]
    return mapping(chosen, session.protocol)


def no_such_part(words):
    """Return the error for the second word of a command with parts."""
    part = words[1][:128].decode("utf-8", "backslashreplace")
    name = words[0].decode().upper()
    return Refused(f"ERR unknown subcommand or wrong number of arguments for '{part}'. Try {name} HELP.")


def command(session, words):
    """COMMAND, COMMAND COUNT; nothing more is known about them."""
    from keyvalue.commands import TABLE

    match [word.upper() for word in words[1:2]]:
        case []:
            return nested([describe(name, *row[1:]) for name, row in TABLE.items()])
        case [b"COUNT"]:
            return integer(len(TABLE))
        case [b"DOCS"]:
            return EMPTY if session.protocol == 2 else b"%0\r\n"
    raise no_such_part(words)


def describe(name, least, most):
    """Return what COMMAND says of one: its name, its number of words (negative: or more)."""
    arity = least if least == most else -least
    return nested([bulk(name.lower().encode()), integer(arity), EMPTY, integer(0), integer(0), integer(0)])


def info(session, words):
    """INFO [section ...]."""
    wanted = {word.lower().decode("utf-8", "replace") for word in words[1:]}
    if not wanted or wanted & {"all", "default", "everything"}:
        wanted = SECTIONS.keys()
    parts = []
    for name, about in SECTIONS.items():
        if name in wanted:
            lines = "".join(f"{key}:{value}\r\n" for key, value in about(session))
            parts.append(f"# {name.capitalize()}\r\n{lines}")
    return bulk("\r\n".join(parts).encode())


def about_server(session):
    uptime_s = int(time.monotonic() - session.statistics.started_s)
    yield "redis_version", SPEAKS_AS
    yield "redis_mode", "standalone"
    yield "taphouse_version", __version__
    yield "process_id", os.getpid()
    yield "uptime_in_seconds", uptime_s
    yield "uptime_in_days", uptime_s // 86_400


def about_clients(session):
    yield "connected_clients", len(session.factory.connections)
    yield "unfinished_request_bytes", session.factory.budget.used_bytes


def about_persistence(session):
    yield "loading", 0
    yield "aof_enabled", 1
    yield "aof_last_write_status", "ok"
    epochs = session.factory.epochs()
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


def about_stats(session):
    yield "total_connections_received", session.statistics.connections
    yield "total_commands_processed", session.statistics.commands


def about_replication(session):
    yield "role", "master"
    yield "connected_slaves", 0


def about_keyspace(session):
    for number, db in enumerate(session.factory.databases):
        if db.values:
            yield f"db{number}", f"keys={len(db.values)},expires={len(db.expires)},avg_ttl=0"


SECTIONS = {
    "server": about_server,
    "clients": about_clients,
    "persistence": about_persistence,
    "stats": about_stats,
    "replication": about_replication,
    "keyspace": about_keyspace,
}
