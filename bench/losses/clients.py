"""Clients that take numbers from a counter, and know every number they were told.

The ledger outside of the server: what was acknowledged, what of it the server gave out again. It knows two
languages, RESP and HTTP; it must never know which server answers.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["Count", "Language", "Tally", "Hammering", "http", "resp", "take_one"]

CLIENTS = 8
PATIENCE_S = 30.0


@dataclass(frozen=True)
class Language:
    """How a counter is asked.

    Args:
        question: the bytes of one request.
        number: returns the number in a whole reply, or None while it is not whole.
    """

    question: bytes
    number: Callable[[bytes], int | None]


def _resp_number(reply: bytes) -> int | None:
    if reply.startswith(b"-"):
        raise ConnectionRefusedError(reply.decode().strip())
    return int(reply[1:]) if reply.endswith(b"\r\n") else None


def _http_number(reply: bytes) -> int | None:
    _, _, body = reply.partition(b"\r\n\r\n")
    return int(body) if body.endswith(b"\n") else None


resp = Language(b"INCR n\r\n", _resp_number)
http = Language(b"POST /n HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", _http_number)


@dataclass
class Count:
    """What came of it.

    Args:
        acknowledged: replies that clients got.
        lost: replies whose number the server had forgotten after it was started again.
        repeated: replies whose number somebody had been told before.
    """

    acknowledged: int = 0
    lost: int = 0
    repeated: int = 0


@dataclass
class Tally:
    """Every number that was told to a client, over the deaths of the server."""

    count: Count = field(default_factory=Count)
    _told: set[int] = field(default_factory=set)
    _believed: set[int] = field(default_factory=set)

    def tell(self, number: int) -> None:
        """A client was told ``number``."""
        self.count.acknowledged += 1
        self.count.repeated += number in self._told
        self._told.add(number)
        self._believed.add(number)

    def begin_again(self, first: int) -> None:
        """A server that was started again told ``first``: it knows nothing from there on."""
        forgotten = {number for number in self._believed if number >= first}
        self.count.lost += len(forgotten)
        self._believed -= forgotten
        self.tell(first)


def _connect(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _ask(connection: socket.socket, language: Language) -> int | None:
    """Return the next number; None if the connection ends before the reply is whole."""
    connection.sendall(language.question)
    reply = b""
    while more := connection.recv(4096):
        reply += more
        number = language.number(reply)
        if number is not None:
            return number
    return None


def take_one(port: int, language: Language) -> int:
    """Return one number, as soon as the server gives any. Raises OSError if it hangs up or takes too long."""
    deadline = time.monotonic() + PATIENCE_S
    with _connect(port) as connection:
        while True:
            try:
                number = _ask(connection, language)
            except ConnectionRefusedError:
                # Redis accepts while it still reads its log, and says so.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
                continue
            if number is None:
                raise ConnectionResetError("the server hung up")
            return number


class Hammering:
    """Let clients ask as fast as they are answered, each waiting for its reply, while the block runs.

    The block may kill the server: then the clients end by themselves.
    """

    def __init__(self, port: int, language: Language, tally: Tally) -> None:
        self._port, self._language, self._tally = port, language, tally
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._client) for _ in range(CLIENTS)]

    def __enter__(self) -> None:
        for thread in self._threads:
            thread.start()

    def __exit__(self, *error: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _client(self) -> None:
        try:
            with _connect(self._port) as connection:
                while not self._over.is_set():
                    number = _ask(connection, self._language)
                    if number is None:
                        return
                    with self._lock:
                        self._tally.tell(number)
        except OSError:
            return  # killed
