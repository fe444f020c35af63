"""The server that the kill -9 tests shoot at: one-time keys, with a witness outside the tap.

A client says who it is and gets the number of its last request that was done; then it sends its requests,
numbered, several under way at a time, and each is answered with a key that nobody else gets.  A request out
of its order is refused, so whatever is done twice or left out shows at once.

Every key changes several durable values in one turn of the loop, one of them a dict of the size at which it
gets rows of its own, so that an epoch that is not atomic, or a fold that loses a row, shows as values that
disagree.

The witness is a plain append-only file, written by ``write(2)``, so it outlives kill -9.  ``begin`` and
``end`` bracket the calls into the store, ``commit N`` says that the commit that holds key N has returned,
``thaw N whole|TORN`` what a new process found.
"""

from __future__ import annotations

import asyncio
import collections
import os
from collections.abc import Callable
from typing import Any

from taphouse import Application, Factory, Protocol, durable
from taphouse.persist import SqliteStore

WITNESS = os.open(os.environ["TAPHOUSE_WITNESS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
REMEMBERED = 1500
"""Keys in the dict."""


def say(line: str) -> None:
    os.write(WITNESS, line.encode() + b"\n")


def bracketed(call: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``call`` with a line in the witness before and after it; nothing else is changed."""

    def bracket(*args: Any, **kwargs: Any) -> Any:
        say("begin")
        result = call(*args, **kwargs)
        say("end")
        return result

    return bracket


for name in ("commit", "fold", "tend"):
    setattr(SqliteStore, name, bracketed(getattr(SqliteStore, name)))


class OneTimeKeys(Protocol):
    """Lines of one number; the first one says who the client is."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.rest = b""
        self.client = -1

    def data_received(self, data: bytes) -> None:
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            if self.client < 0:
                self.client = int(line)
                self.transport.write(b"last %d\n" % self.factory.done.get(self.client, 0))
                continue
            key = self.factory.give(self.client, int(line))
            self.transport.write(b"%s %d\n" % (line, key))
        self.factory.bear_witness()


class Keys(Factory):
    protocol = OneTimeKeys

    def __init__(self) -> None:
        self.nextkey = 0
        self.given: dict[int, str] = {}
        self.last: collections.deque[int] = collections.deque(maxlen=5)
        self.tens = 0
        self.done: dict[int, int] = {}

    def give(self, client: int, number: int) -> int:
        """Do the request ``number`` of a client: return its key, -1 if it is not the client's next one."""
        if number != self.done.get(client, 0) + 1:
            return -1
        self.done[client] = number
        key = self.nextkey
        self.nextkey += 1
        self.given[key] = f"key {key}"
        self.given.pop(key - REMEMBERED, None)
        self.last.append(key)
        if self.nextkey % 10 == 0:
            self.tens += 1
        return key

    def is_whole(self) -> bool:
        """Whether all values are of the same instant."""
        return (
            list(self.given) == list(range(max(0, self.nextkey - REMEMBERED), self.nextkey))
            and all(value == f"key {key}" for key, value in self.given.items())
            and list(self.last) == list(range(max(0, self.nextkey - 5), self.nextkey))
            and self.tens == self.nextkey // 10
            and sum(self.done.values()) == self.nextkey
        )

    def started(self) -> None:
        self._v_tasks: set[asyncio.Task[None]] = set()
        say(f"thaw {self.nextkey} {'whole' if self.is_whole() else 'TORN'}")

    def bear_witness(self) -> None:
        task = asyncio.ensure_future(self.witness(self.nextkey - 1))
        self._v_tasks.add(task)
        task.add_done_callback(self._v_tasks.discard)

    async def witness(self, key: int) -> None:
        await durable.committed()
        say(f"commit {key}")


app = Application("underfire")
app.listenUNIX("fire.sock", Keys())
