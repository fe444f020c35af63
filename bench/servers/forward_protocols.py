"""The least a port forwarder can do with asyncio's protocols on uvloop: no streams, no tasks per direction.

usage: forward_protocols.py PORT TARGET_PORT
"""

import asyncio
import sys

import uvloop

target_port = int(sys.argv[2])


class Side(asyncio.Protocol):
    """One side of a forwarded connection; ``other`` is the transport of the other one."""

    def __init__(self, other: asyncio.Transport | None = None) -> None:
        self.other = other

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connect to the target, or, on the target's side, begin to pass on."""
        self.transport = transport
        if self.other is None:
            self.early: list[bytes] = []
            self.task = asyncio.ensure_future(self.connect())

    async def connect(self) -> None:
        """Open the other side."""
        loop = asyncio.get_running_loop()
        try:
            made = await loop.create_connection(lambda: Side(self.transport), "127.0.0.1", target_port)
        except OSError:
            self.transport.close()
            return
        self.other = made[0]
        self.other.writelines(self.early)

    def data_received(self, data: bytes) -> None:
        """Pass it on."""
        if self.other is None:
            self.early.append(data)
        else:
            self.other.write(data)

    def pause_writing(self) -> None:
        """Nobody takes it there: read no more here."""
        self.other.pause_reading()

    def resume_writing(self) -> None:
        """Read on."""
        self.other.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the other side as well."""
        if self.other is not None:
            self.other.close()


async def serve() -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(Side, "127.0.0.1", int(sys.argv[1]), backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve())
