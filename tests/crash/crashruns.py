"""Traced runs: save, serve pipelined clients, stop or die, start again, all in one trace.

It must never know what a trace means.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from bench.ports import free_port
from crashrecovery import memory_folder

from playground import PATIENCE_S

__all__ = ["Load", "Run", "build_tracer", "trace"]

HERE = Path(__file__).parent
SEED, STATE = "counted-start.tap", "counted-shutdown.tap"
_WINDOW = 2
"""Bursts that a client has under way: it does not wait for replies."""


def build_tracer(folder: Path) -> Path:
    """Compile the tracer."""
    made = folder / "crashtrace.so"
    sources = [str(HERE / name) for name in ("crashtrace.c", "crashnames.c")]
    command = ["cc", "-std=gnu11", "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(made), *sources]
    subprocess.run([*command, "-ldl", "-pthread"], check=True)
    return made


@dataclass(frozen=True)
class Load:
    """What clients do while one server lives.

    Args:
        clients: connections at the same time.
        bursts: requests of several letters, each client.
        readers: connections besides that change nothing.
        end: the signal that ends the server, when half of it is done.
        fresh: the server sets aside what is there and begins anew.
        dies_at: which sync of some pages of the WAL the server dies in; 0 for none.
    """

    clients: int = 4
    bursts: int = 40
    readers: int = 1
    end: signal.Signals = signal.SIGTERM
    fresh: bool = False
    dies_at: int = 0


@dataclass(frozen=True)
class Run:
    """One trace.

    Args:
        mode: ``inline``, ``clearing`` (inline, and what is folded leaves the journal one by one), ``thread``
            (commits on the writer's thread), ``plain`` (inline, with a plain object two levels deep) or
            ``httpx`` (on the thread, and requests leave through httpx).
        loads: one for each life of the server.
        reactor: ``uvloop`` or ``asyncio``.
        source: what is first on the path; None for the checkout.
        sync_us: how much longer a sync takes.
    """

    mode: str
    loads: tuple[Load, ...]
    reactor: str = "uvloop"
    source: Path | None = None
    sync_us: int = 300


def trace(run: Run, tracer: Path, log: Path, seed: int) -> dict[str, bytes]:
    """Do a run and leave its trace in ``log``; return the taps that are there at the end."""
    folder = Path(tempfile.mkdtemp(prefix="taphouse-traced-", dir=memory_folder())).resolve()
    try:
        _Traced(run, tracer, log, folder, random.Random(seed)).go()
        return {path.name: path.read_bytes() for path in folder.glob("*.tap*")}
    finally:
        shutil.rmtree(folder)


class _Traced:
    """One run under way."""

    def __init__(self, run: Run, tracer: Path, log: Path, folder: Path, chance: random.Random) -> None:
        self.run, self.folder, self.chance = run, folder, chance
        self.port = free_port()
        shutil.copy(HERE / "crashcounter.py", folder)
        (folder / "home").mkdir(mode=0o700)
        self.sink = socket.create_server(("127.0.0.1", 0))
        self.web = socket.create_server(("127.0.0.1", 0))
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("COV_", "PYTEST_"))},
            "HOME": str(folder / "home"),
            "TAPHOUSE_RUNTIME_DIR": str(folder / "home/registry"),
            "PYTHONPATH": ":".join(str(path) for path in (folder, run.source) if path is not None),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": str(folder / "home"),
            "LD_PRELOAD": str(tracer),
            "CRASHTRACE_LOG": str(log),
            "CRASHTRACE_FOLDER": str(folder),
            "CRASHTRACE_SYNC_US": str(run.sync_us),
            "CRASHCOUNTER_PORT": str(self.port),
            "CRASHCOUNTER_SINK": str(self.sink.getsockname()[1]),
            "CRASHCOUNTER_WEB": str(self.web.getsockname()[1]),
            "CRASHSERVER_MODE": run.mode,
            **({"CRASHCOUNTER_PLAIN": "yes"} if run.mode == "plain" else {}),
            **({"CRASHCOUNTER_HTTPX": "yes"} if run.mode == "httpx" else {}),
        }

    def go(self) -> None:
        """Save, then one life after the other."""
        with self.sink, self.web:
            self._start("save").wait(2 * PATIENCE_S)
            tap = SEED
            for load in self.run.loads:
                start = ["--fresh", "-f", SEED] if load.fresh else ["-f", tap]
                self.environment["CRASHTRACE_DIES"] = str(load.dies_at or "")
                server = self._start("serve", "-n", "-r", self.run.reactor, "-l", "server.log", *start)
                try:
                    asyncio.run(self._live(server, load))
                finally:
                    server.wait()
                tap = STATE

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / "output").open("ab") as output:
            return subprocess.Popen(
                [sys.executable, str(HERE / "crashserver.py"), *arguments],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def said(self) -> str:
        """Return what the server has said."""
        names = ("output", "server.log")
        return "\n".join((self.folder / name).read_text() for name in names if (self.folder / name).exists())

    # --- clients -----------------------------------------------------------------------------------------

    async def _live(self, server: subprocess.Popen[bytes], load: Load) -> None:
        """Serve, and end the server whatever happens: a thread of this loop may be waiting for its end."""
        try:
            await self._serve(server, load)
        except TimeoutError:
            # What it was doing goes to its log: all threads and tasks.
            server.send_signal(signal.SIGQUIT)
            await asyncio.sleep(1.0)
            raise AssertionError(f"{self.run}, {load}: the server did not end\n{self.said()}") from None
        finally:
            server.kill()

    async def _serve(self, server: subprocess.Popen[bytes], load: Load) -> None:
        sink = await asyncio.start_server(_swallow, sock=self.sink.dup())
        web = await asyncio.start_server(_agree, sock=self.web.dup())
        clients: list[asyncio.Task[None]] = []
        async with asyncio.timeout(5 * PATIENCE_S), sink, web:
            await self._wait_ready(server)
            half = asyncio.Event()
            left = [load.clients * load.bursts // 2]

            def count() -> None:
                left[0] -= 1
                if left[0] <= 0:
                    half.set()

            clients = [asyncio.ensure_future(self._client(load.bursts, count)) for _ in range(load.clients)]
            clients.append(asyncio.ensure_future(self._datagrams(load.bursts)))
            clients.append(asyncio.ensure_future(self._quiet(load.bursts)))
            clients += [asyncio.ensure_future(self._reader(load.bursts)) for _ in range(load.readers)]
            ended = asyncio.ensure_future(asyncio.to_thread(server.wait))
            served = asyncio.ensure_future(half.wait())
            await asyncio.wait([served, ended], return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                server.send_signal(load.end)
            status = await ended
            for task in (served, *clients[load.clients :]):
                task.cancel()
            await asyncio.gather(*clients, return_exceptions=True)
            if load.end is signal.SIGTERM and status and self.run.source is None and not load.dies_at:
                raise AssertionError(f"the server ended with {status}\n{self.said()}")

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """Connect; that the server dies meanwhile is no fault."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                yield reader, writer
            finally:
                await _close(writer)

    async def _wait_ready(self, server: subprocess.Popen[bytes]) -> None:
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except ConnectionRefusedError:
                if server.poll() is not None:
                    raise AssertionError(f"the server did not start\n{self.said()}") from None
                await asyncio.sleep(0.005)
            else:
                await _close(writer)
                return

    async def _client(self, bursts: int, count: Callable[[], None]) -> None:
        """Keep some bursts under way, of letters that are answered by one line each."""
        letters = b"iiiiii??c" + {"plain": b"oo", "httpx": b"hh"}.get(self.run.mode, b"")
        sizes = [self.chance.randint(1, 3) for _ in range(bursts)]
        async with self._connected() as (reader, writer):
            for number in range(bursts + _WINDOW):
                if number < bursts:
                    burst = [self.chance.choice(letters) for _ in range(sizes[number])]
                    writer.write(b"".join(b"%c\n" % letter for letter in burst))
                if number >= _WINDOW:
                    for _ in range(sizes[number - _WINDOW]):
                        await reader.readuntil(b"\n")
                    count()

    async def _quiet(self, connections: int) -> None:
        """Ask for nothing but the end of the connection."""
        for _ in range(connections):
            async with self._connected() as (reader, writer):
                writer.write(b"q\n")
                await reader.read()

    async def _reader(self, count: int) -> None:
        """Ask again and again, and change nothing."""
        async with self._connected() as (reader, writer):
            for _ in range(count):
                writer.write(b"?\n")
                await reader.readuntil(b"\n")

    async def _datagrams(self, count: int) -> None:
        answers: asyncio.Queue[bytes] = asyncio.Queue()

        class Client(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, addr: object) -> None:
                answers.put_nowait(data)

        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            Client, remote_addr=("127.0.0.1", self.port)
        )
        try:
            for _ in range(count):
                transport.sendto(b"i")
                await answers.get()
        finally:
            transport.close()


async def _swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        try:
            while await reader.read(65536):
                pass
        finally:  # cancelled too, if the loop ends before it has read all
            await _close(writer)


async def _agree(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer each HTTP request with nothing but yes."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await reader.readexactly(int(head.lower().split(b"content-length:")[1].split()[0]))
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        finally:
            await _close(writer)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
