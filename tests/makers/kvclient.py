"""A client of kv in memory, and the server itself."""

from __future__ import annotations

import socket
from typing import Any

import hiredis
import redis

from playground import PATIENCE_S
from taphouse.makers.kv.keyspace import Keyspace
from taphouse.testing import connect


def request(*words: bytes | str | int) -> bytes:
    """Return a command as programs send it."""
    raw = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(raw) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in raw)


class Client:
    """Says words, returns replies: ``client("SET a 1")``, or ``client("SET", b"a b", 1)``."""

    def __init__(self, keyspace: Any = None) -> None:
        self.keyspace = keyspace if keyspace is not None else Keyspace()
        self.peer = connect(self.keyspace)

    def __call__(self, *words: Any) -> Any:
        if len(words) == 1 and isinstance(words[0], str):
            words = tuple(words[0].split())
        self.peer.send(request(*words))
        (reply,) = self.replies()
        return reply

    def replies(self) -> list[Any]:
        """Return all that was answered; errors as their texts."""
        reader = hiredis.Reader(replyError=str)
        reader.feed(self.peer.receive())
        found = []
        while (reply := reader.gets()) is not False:
            found.append(reply)
        assert not reader.has_data()
        return found


class Wire:
    """A connection on which whole commands are said and their replies read."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)

    def close(self):
        self.socket.close()

    def ask(self, *commands):
        self.socket.sendall(b"".join(request(*words) for words in commands))
        reader, replies = hiredis.Reader(replyError=str), []
        while len(replies) < len(commands):
            more = self.socket.recv(65536)
            assert more, f"hung up after {len(replies)} of {len(commands)} replies"
            reader.feed(more)
            while (reply := reader.gets()) is not False:
                replies.append(reply)
        return replies


def redis_client(port: int, **options: Any) -> redis.Redis:
    """Return a client that says nothing twice: it reports a lost connection instead of connecting anew.

    Its own five seconds are less than a busy machine may take, and what it says again is counted twice.
    """
    no_retry = redis.retry.Retry(redis.backoff.NoBackoff(), 0)
    patience = {"socket_timeout": PATIENCE_S, "socket_connect_timeout": PATIENCE_S}
    return redis.Redis(port=port, retry=no_retry, **patience, **options)
