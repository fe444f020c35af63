"""Counters in ZODB: a BTree in a FileStorage, one transaction per request, on uvloop.

usage: incr_zodb.py PORT     speaks INCR and GET of Redis's protocol; keeps counters.fs in its folder
"""

import asyncio
import sys

import hiredis
import transaction
import uvloop
import ZODB
import ZODB.FileStorage
from BTrees.OOBTree import OOBTree

root = ZODB.DB(ZODB.FileStorage.FileStorage("counters.fs")).open().root()
counters = root["counters"] = OOBTree()
transaction.commit()


class Counting(asyncio.Protocol):
    """One client."""

    def connection_made(self, transport):
        """Begin to read."""
        self.transport, self.reader = transport, hiredis.Reader()

    def data_received(self, data):
        """Answer the requests that are whole."""
        self.reader.feed(data)
        while (words := self.reader.gets()) is not False:
            what = words[0].upper()
            if what == b"INCR":
                counters[words[1]] = count = counters.get(words[1], 0) + 1
                transaction.commit()
                self.transport.write(b":%d\r\n" % count)
            elif what == b"GET":
                found = counters.get(words[1])
                text = b"" if found is None else b"%d" % found
                self.transport.write(b"$-1\r\n" if found is None else b"$%d\r\n%b\r\n" % (len(text), text))
            else:
                self.transport.write(b"-ERR unknown command\r\n")


async def serve(port):
    """Listen until killed."""
    server = await asyncio.get_running_loop().create_server(Counting, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
