"""An echo server on bare uvloop: what taphouse's request path is measured against.

usage: echo_uvloop.py PORT
"""

import asyncio
import sys

import uvloop


class Echo(asyncio.Protocol):
    """The least an asyncio protocol can do: keep its transport, answer what comes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer with the same bytes."""
        self.transport.write(data)  # type: ignore[attr-defined]


async def serve(port: int) -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
