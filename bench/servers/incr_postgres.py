"""Counters in PostgreSQL, one statement and so one commit per request: the way a server is written today.

usage: incr_postgres.py PORT SOCKET_FOLDER     speaks INCR and GET of Redis's protocol

Each client's requests go in order, through a pool of connections on a UNIX socket, by prepared statements.
"""

import asyncio
import sys

import asyncpg
import hiredis
import uvloop

CONNECTIONS = 20  # more or fewer were slower
TABLE = "CREATE TABLE IF NOT EXISTS counters (k text PRIMARY KEY, v bigint NOT NULL)"
ADD = "INSERT INTO counters VALUES ($1, 1) ON CONFLICT (k) DO UPDATE SET v = counters.v + 1 RETURNING v"
READ = "SELECT v FROM counters WHERE k = $1"


class Counting(asyncio.Protocol):
    """One client."""

    def __init__(self, pool):
        self.pool, self.reader, self.requests = pool, hiredis.Reader(), asyncio.Queue()

    def connection_made(self, transport):
        """Begin to answer."""
        self.transport = transport
        self.task = asyncio.ensure_future(self.answer())

    def connection_lost(self, error):
        """Answer no more."""
        self.task.cancel()

    def data_received(self, data):
        """Queue the requests that are whole."""
        self.reader.feed(data)
        while (words := self.reader.gets()) is not False:
            self.requests.put_nowait(words)

    async def answer(self):
        """Answer one request after the other."""
        while True:
            words = await self.requests.get()
            what = words[0].upper()
            if what == b"INCR":
                self.transport.write(b":%d\r\n" % await self.pool.fetchval(ADD, words[1].decode()))
            elif what == b"GET":
                found = await self.pool.fetchval(READ, words[1].decode())
                text = b"" if found is None else b"%d" % found
                self.transport.write(b"$-1\r\n" if found is None else b"$%d\r\n%b\r\n" % (len(text), text))
            else:
                self.transport.write(b"-ERR unknown command\r\n")


async def serve(port, sockets):
    """Listen until killed."""
    pool = await asyncpg.create_pool(
        host=sockets, user="bench", database="postgres", min_size=CONNECTIONS, max_size=CONNECTIONS
    )
    await pool.execute(TABLE)
    server = await asyncio.get_running_loop().create_server(
        lambda: Counting(pool), "127.0.0.1", port, backlog=1024
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), sys.argv[2]))
