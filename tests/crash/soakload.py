"""Mixed load on the showcase server: every kind of command, slow readers, clients that come and go.

Each worker keeps its own record outside of the server: its counter is where it was told, or where it has
sent requests to.  All data are bounded, so that memory and file have no reason to grow.  It must never know
when the server is stopped or killed: it finds out.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import time
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from typing import Any

import hiredis

__all__ = ["Churn", "Mixed", "SlowReader", "probe"]

WORKERS = 8
KEYS = 300
"""Of each kind, for each worker."""
MEMBERS = 40
PAUSE_S = 0.02
_BIG = b"x" * 20_000


class Talker:
    """One connection; requests go out together, replies come in their order."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._parser = hiredis.Reader()

    @classmethod
    async def connect(cls, port: int) -> Talker:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    def send(self, *commands: tuple[Any, ...]) -> None:
        self._writer.write(b"".join(hiredis.pack_command(command) for command in commands))

    async def receive(self, count: int) -> list[Any]:
        replies = []
        while len(replies) < count:
            reply = self._parser.gets()
            if reply is not False:
                replies.append(reply)
                continue
            data = await self._reader.read(65536)
            if not data:
                raise ConnectionResetError
            self._parser.feed(data)
        return replies

    async def ask(self, *commands: tuple[Any, ...]) -> list[Any]:
        self.send(*commands)
        return await self.receive(len(commands))

    async def read_slowly(self) -> bytes:
        await asyncio.sleep(0.05)
        return await self._reader.read(4096)

    def abort(self) -> None:
        self._writer.transport.abort()


class Client:
    """Comes back whenever the server is there.

    Attributes:
        port: where the server listens.
        chance: chooses.
    """

    def __init__(self, port: int, seed: int) -> None:
        self.port, self.chance = port, random.Random(seed)

    async def live(self, is_serving: asyncio.Event) -> None:
        """Talk as long as there is somebody to talk to."""
        while True:
            await is_serving.wait()
            with contextlib.suppress(OSError):
                talker = await Talker.connect(self.port)
                try:
                    await self.talk(talker)
                finally:
                    talker.abort()
            await asyncio.sleep(PAUSE_S)

    async def talk(self, talker: Talker) -> None:
        """Do something with a connection, once."""


class Mixed(Client):
    """Sends batches of commands of all kinds.

    Attributes:
        commands: that were answered.
        wrong: what should not have been answered.
    """

    def __init__(self, port: int, seed: int, number: int) -> None:
        super().__init__(port, seed)
        self.name = f"w{number}"
        self.told = self.sent = self.commands = 0
        self.wrong = ""

    async def talk(self, talker: Talker) -> None:
        (count,) = await talker.ask(("GET", f"{self.name}:counter"))
        if not self.told <= int(count or 0) <= self.sent:
            self.wrong = f"told {self.told}, sent {self.sent}, found {count!r}"
        self.told = self.sent = int(count or 0)
        while True:
            batch = [command for _ in range(self.chance.randint(1, 8)) for command in self._some()]
            self.sent += 1
            *replies, count = await talker.ask(*batch, ("INCR", f"{self.name}:counter"))
            if count != self.sent:
                self.wrong = f"counted {self.sent}, was told {count!r}"
            self.told = self.sent
            for command, reply in zip(batch, replies, strict=True):
                if isinstance(reply, hiredis.ReplyError):
                    self.wrong = f"{command}: {reply}"
            self.commands += len(batch) + 1
            await asyncio.sleep(self.chance.expovariate(1 / PAUSE_S))

    def _some(self) -> list[tuple[Any, ...]]:
        """Return a few commands that leave the data at about their size."""
        chance = self.chance
        number, member = chance.randrange(KEYS), chance.randrange(MEMBERS)
        text, table, line, bag = (f"{self.name}:{kind}:{number}" for kind in ("str", "hash", "list", "set"))
        value = "v" * chance.randint(1, 400)
        kinds: list[list[tuple[Any, ...]]] = [
            [("SET", text, value)],
            [("SET", text, value), ("APPEND", text, value), ("STRLEN", text)],
            [("SET", text, value, "EX", chance.randint(1, 20)), ("TTL", text)],
            [("MSET", text, value, f"{text}+", value), ("MGET", text, f"{text}+", "nothing")],
            [("GET", text), ("EXISTS", text), ("TYPE", text)],
            [("DEL", text)],
            [("EXPIRE", text, chance.randint(1, 20)), ("PERSIST", text)],
            [("HSET", table, member, value), ("HGET", table, member), ("HGETALL", table)],
            [("HDEL", table, member)],
            [("RPUSH", line, value), ("LPUSH", line, value), ("LPOP", line), ("RPOP", line)],
            [("RPUSH", line, value), ("LLEN", line), ("LRANGE", line, 0, 20), ("DEL", line)],
            [("SADD", bag, member), ("SISMEMBER", bag, member), ("SMEMBERS", bag)],
            [("SREM", bag, member)],
            [("SCAN", "0", "COUNT", "20"), ("DBSIZE",), ("PING",), ("ECHO", value)],
            [("SELECT", 9), ("SET", text, value), ("FLUSHDB",), ("SELECT", 0)],
            [("INCRBY", f"{self.name}:sum", member), ("DECR", f"{self.name}:sum")],
        ]
        return chance.choice(kinds)


class SlowReader(Client):
    """Asks for much more than it reads, reads slowly for a while, and goes."""

    async def talk(self, talker: Talker) -> None:
        await talker.ask(("SET", "big", _BIG))
        talker.send(*[("GET", "big")] * 200)
        for _ in range(self.chance.randint(5, 60)):
            if not await talker.read_slowly():
                return


class Churn(Client):
    """Connects, says something or half of it, and is gone."""

    async def talk(self, talker: Talker) -> None:
        match self.chance.randrange(3):
            case 0:
                await talker.ask(("PING",), ("QUIT",))
            case 1:
                talker.send(("SET", "half", _BIG[: self.chance.randrange(len(_BIG))]))
            case _:
                await talker.ask(("INCR", "churn"))


def probe(port: int, is_over: Event, results: Queue[dict[str, list[float]]]) -> None:
    """Ask a question now and then, with nothing else to do, and note how long each answer took.

    What dies with the server is not counted, and not the first answers of the next one: a restart's own
    time is not a stall.
    """
    took: dict[str, list[float]] = {"GET": [], "INCR": []}
    while not is_over.is_set():
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 30) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            is_first = True
            while not is_over.is_set():
                for name, waits in took.items():
                    begun = time.perf_counter()
                    connection.sendall(hiredis.pack_command((name, "probe")))
                    if not connection.recv(1024):
                        raise ConnectionResetError
                    if not is_first:
                        waits.append(time.perf_counter() - begun)
                is_first = False
                time.sleep(0.01)
        time.sleep(0.01)
    results.put(took)
