"""What the tests of web servers share: modules to serve, and curl beside a server in this process."""

from __future__ import annotations

import asyncio
import importlib
import itertools
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from websockets.asyncio.client import connect

from makers.making import build, port_of, serving
from taphouse.makers import web

_numbers = itertools.count(1)

# A test that is about a limit says so.  All others are late only where the whole machine is.
_PATIENT = {"keep_alive": "1h", "header_timeout": "1h"}
talk_websocket = partial(connect, open_timeout=None, ping_interval=None)


class Modules:
    """Writes modules with names of their own, and forgets them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = list(sys.path)
        self._names: list[str] = []

    def __call__(self, text: str) -> str:
        """Write a module and return its name."""
        name = f"webmodule{next(_numbers)}"
        (self.folder / f"{name}.py").write_text(text)
        importlib.invalidate_caches()  # who looked into the folder in the same tick of its clock looks again
        self._names.append(name)
        return name

    def forget(self) -> None:
        sys.path[:] = self._path
        for name in self._names:
            sys.modules.pop(name, None)


@dataclass
class Answer:
    """What curl was answered."""

    status: int
    headers: dict[str, str]
    body: bytes
    raw: bytes


def parsed(raw: bytes) -> Answer:
    """Return the last answer in what ``curl -i`` prints (an interim answer may stand before it)."""
    rest = raw
    while True:
        head, _, body = rest.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        status = int(first.split()[1])
        if status >= 200:
            break
        rest = body
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return Answer(status, headers, body, raw)


async def command(*words: str, stdin: bytes | None = None) -> bytes:
    """Run a command beside the server and return what it prints."""
    child = await asyncio.create_subprocess_exec(
        *words,
        stdin=asyncio.subprocess.PIPE if stdin is not None else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complaint = await child.communicate(stdin)
    assert child.returncode == 0, f"{words}: {complaint.decode()}"
    return said


class Site:
    """A server that runs, and its clients."""

    def __init__(self, server: Any, app: Any) -> None:
        self.server = server
        self.app = app
        self.port = port_of(server, "t")

    @property
    def factory(self) -> Any:
        return self.app.listeners[0].factory

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    async def curl(self, path: str, *words: str) -> Answer:
        """Ask once with curl."""
        return parsed(await command("curl", "-sSi", "--path-as-is", "-m", "100", *words, self.url(path)))

    async def say(self, data: bytes) -> bytes:
        """Say bytes on a connection and return all that comes until the server hangs up."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        try:
            return await reader.read()
        finally:
            writer.close()


@asynccontextmanager
async def site(running: dict[str, Any] | None = None, **options: Any) -> AsyncIterator[Site]:
    """Run ``mktap web`` with these options, and patience, in this process."""
    app = build(web, **{**_PATIENT, **options})
    async with serving(app, **(running or {})) as server:
        yield Site(server, app)


async def until(condition: Callable[[], object]) -> None:
    """Return as soon as the condition is true; the test's own limit ends it otherwise."""
    while not condition():
        await asyncio.sleep(0.005)
