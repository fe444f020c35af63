"""The server that is traced: a counter whose replies say what state they have seen.

``@N`` on any way out, and the end of a connection that was noted, promise that the counter is at N or
beyond; ``~N`` the same of a plain object two levels deep, which only comparing shows to have changed.
Each step changes several durable values that have to agree, some of them pages apart.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import Any

from taphouse import Application, Durable, Factory, Protocol
from taphouse.app import DatagramProtocol

ENTRIES = 1100
"""Of the dict: more than the 1,000 at which it gets rows of its own."""
TWINS = 130
"""More than two pages of rows."""


class Twin(Durable):
    """Counts what the factory counts."""

    def __init__(self) -> None:
        self.count = 0


class Drawer:
    """A plain object, not tracked."""

    def __init__(self) -> None:
        self.count = 0
        self.alone = 0


class Cupboard:
    """A plain object that holds one."""

    def __init__(self) -> None:
        self.drawer = Drawer()


class Counting(Protocol):
    """Lines of one letter; several may come at once."""

    def data_received(self, data: bytes) -> None:
        for letter in data.split():
            self.factory.answer(letter, self.transport)


class CountingDatagrams(DatagramProtocol):
    """Each datagram is a step."""

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.transport.sendto(b"@%d\n" % counter.now.step(), address)


class Counter(Factory):
    """Counts."""

    protocol = Counting

    def __init__(self, *, with_plain: bool) -> None:
        self.count = 0
        self.twins = [Twin() for _ in range(TWINS)]
        self.table = dict.fromkeys(range(ENTRIES), 0)
        self.last: list[int] = []
        self.notes: dict[int, Note] = {}
        self.cupboard = Cupboard() if with_plain else None

    def started(self) -> None:
        counter.now = self
        self._v_notes = os.open("notes", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.write(self._v_notes, b"begin %d\n" % self.count)
        self._v_writer = None
        if "CRASHCOUNTER_HTTPX" in os.environ:
            import httpx

            self._v_http, self._v_errors = httpx.AsyncClient(trust_env=False), httpx.HTTPError

    def step(self) -> int:
        """Count one up, everywhere."""
        self.count += 1
        count = self.count
        self.twins[0].count = count
        self.table[count % ENTRIES] = count
        self.last.append(count)
        del self.last[:-5]
        self.notes[count] = Note(count)  # a new row each time, and an old one goes
        self.notes.pop(count - 3, None)
        if self.cupboard is not None:
            self.cupboard.drawer.count = count
        self.twins[-1].count = count
        return count

    def answer(self, letter: bytes, transport: Any) -> None:
        """Do what one letter asks for."""
        if letter == b"i":
            transport.write(b"@%d\n" % self.step())
        elif letter == b"?":
            transport.write(b"@%d\n" % self.count)
        elif letter == b"o" and self.cupboard is not None:
            self.cupboard.drawer.alone += 1
            transport.write(b"~%d\n" % self.cupboard.drawer.alone)
        elif letter == b"q":
            # No byte is sent; that the connection ends is the reply.
            number = transport.get_extra_info("socket").fileno()
            os.write(self._v_notes, b"end %d %d\n" % (number, self.step()))
            transport.close()
        elif letter == b"c":
            asyncio.get_running_loop().create_task(self.report())
            transport.write(b"@%d\n" % self.count)
        elif letter == b"h":
            asyncio.get_running_loop().create_task(self.post())
            transport.write(b"@%d\n" % self.count)

    async def report(self) -> None:
        """Tell another server, as an HTTP client in a handler does."""
        if self._v_writer is None:
            self._v_writer = (await asyncio.open_connection("127.0.0.1", SINK))[1]
        self._v_writer.write(b"@%d\n" % self.step())

    async def post(self) -> None:
        """Tell another server through httpx what has just been counted."""
        with contextlib.suppress(self._v_errors):  # who stops does not wait for answers
            await self._v_http.post(f"http://127.0.0.1:{WEB}/", content=b"@%d\n" % self.step())


class Note(Durable):
    """A row of its own."""

    def __init__(self, number: int) -> None:
        self.number = number


class counter:
    """The one that runs in this process."""

    now: Counter


SINK, WEB = (int(os.environ.get(f"CRASHCOUNTER_{name}", "0")) for name in ("SINK", "WEB"))
"""Ports of other servers, one of them for HTTP."""


def make() -> Application:
    """Build the application."""
    app = Application("counted")
    made = Counter(with_plain="CRASHCOUNTER_PLAIN" in os.environ)
    app.listenTCP(int(os.environ["CRASHCOUNTER_PORT"]), made, "127.0.0.1")
    app.listenUDP(int(os.environ["CRASHCOUNTER_PORT"]), CountingDatagrams, "127.0.0.1")
    return app


def whole(made: Counter) -> str:
    """Return what does not agree, or ""."""
    count = made.count
    table = {n % ENTRIES: n for n in range(max(1, count - ENTRIES + 1), count + 1)}
    found = {
        "twins": [made.twins[0].count, made.twins[-1].count] == [count, count],
        "table": dict(made.table) == {n: table.get(n, 0) for n in range(ENTRIES)},
        "last": list(made.last) == list(range(max(1, count - 4), count + 1)),
        "notes": [(k, v.number) for k, v in made.notes.items()]
        == [(n, n) for n in range(max(1, count - 2), count + 1)],
        "cupboard": made.cupboard is None or made.cupboard.drawer.count == count,
    }
    return ", ".join(name for name, agrees in found.items() if not agrees)
