"""The port forwarder that everybody writes: asyncio's streams on uvloop.

usage: forward_streams.py PORT TARGET_PORT
"""

import asyncio
import sys

import uvloop

target_port = int(sys.argv[2])


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes until the end, then end the other side as well."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one client."""
    try:
        beyond = await asyncio.open_connection("127.0.0.1", target_port)
    except OSError:
        writer.close()
        return
    await asyncio.gather(pump(reader, beyond[1]), pump(beyond[0], writer))


async def serve() -> None:
    """Serve until killed."""
    server = await asyncio.start_server(forward, "127.0.0.1", int(sys.argv[1]), backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve())
