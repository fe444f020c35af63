"""The least that a server of this kind can start with: import its three libraries and listen.

usage: bare_start.py PORT
"""

import asyncio
import sqlite3  # noqa: F401 - imported to be paid for
import sys

import msgspec  # noqa: F401
import uvloop


async def serve(port: int) -> None:
    """Listen until killed."""
    server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
