"""A maker's server in this process: built from options, run, asked over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from playground import PATIENCE_S
from taphouse import Application
from taphouse.runtime import make_loop


def build(maker: Any, **options: Any) -> Application:
    """Return an application with one server, on a port of the system's choice."""
    app = Application("made")
    maker.updateApplication(app, maker.Options(**{"port": 0, "interface": "127.0.0.1", **options}))
    return app


def run(main: Coroutine[Any, Any, Any]) -> Any:
    """Run ``main`` on the loop that servers run on, some minutes at most."""

    async def bounded() -> Any:
        async with asyncio.timeout(4 * PATIENCE_S):
            return await main

    with asyncio.Runner(loop_factory=lambda: make_loop("uvloop")) as runner:
        return runner.run(bounded())


@asynccontextmanager
async def serving(app: Application, **options: Any) -> AsyncIterator[Any]:
    """Run the application, remembering nothing unless told; yields the embedded server."""
    async with app.running(**(options or {"save": False})) as server:
        yield server


def port_of(server: Any, kind: str = "tcp") -> int:
    """Return the port of the first listener of a kind."""
    return next(found[0][1] for label, found in server.addresses.items() if label.startswith(kind))


async def ask(port: int, said: bytes = b"") -> bytes:
    """Connect, say something, return all that is answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    if said:
        writer.write(said)
        writer.write_eof()
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


class _Answer(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.came: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if not self.came.done():
            self.came.set_result(data)


async def ask_udp(port: int, said: bytes = b"?") -> bytes:
    """Send a datagram until one comes back."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(_Answer, remote_addr=("127.0.0.1", port))
    try:
        while not protocol.came.done():
            transport.sendto(said)
            await asyncio.wait({protocol.came}, timeout=1.0)
        return protocol.came.result()
    finally:
        transport.close()
