"""The port forwarder that everybody writes: asyncio's streams, on uvloop.

usage: forward_streams.py PORT TARGET_PORT
"""

import asyncio
import sys

import uvloop

target_port = int(sys.argv[2])


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes until its end, and then the end."""
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one client."""
    there: asyncio.StreamWriter | None = None
    try:
        back, there = await asyncio.open_connection("127.0.0.1", target_port)
        await asyncio.gather(pump(reader, there), pump(back, writer))
    except OSError:
        pass
    finally:
        writer.close()
        if there is not None:
            there.close()


async def serve() -> None:
    """Serve until killed."""
    server = await asyncio.start_server(forward, "127.0.0.1", int(sys.argv[1]), backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve())
