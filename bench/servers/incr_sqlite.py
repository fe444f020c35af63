"""Counters on Twisted with SQLite, one commit per request, synchronous=FULL in WAL mode.

usage: incr_sqlite.py PORT     speaks INCR and GET of Redis's protocol; keeps counters.db in its folder
"""

import sqlite3
import sys

import hiredis
from twisted.internet import protocol, reactor

ADD = "INSERT INTO counters VALUES (?, 1) ON CONFLICT (k) DO UPDATE SET v = v + 1 RETURNING v"
READ = "SELECT v FROM counters WHERE k = ?"

database = sqlite3.connect("counters.db", isolation_level=None)  # each statement is its own transaction
database.execute("PRAGMA journal_mode = WAL")
database.execute("PRAGMA synchronous = FULL")
database.execute("CREATE TABLE IF NOT EXISTS counters (k BLOB PRIMARY KEY, v INTEGER NOT NULL) WITHOUT ROWID")


class Counting(protocol.Protocol):
    """One client."""

    def connectionMade(self):
        """Begin to read."""
        self.reader = hiredis.Reader()

    def dataReceived(self, data):
        """Answer the requests that are whole."""
        self.reader.feed(data)
        while (words := self.reader.gets()) is not False:
            what = words[0].upper()
            if what == b"INCR":
                self.transport.write(b":%d\r\n" % database.execute(ADD, (words[1],)).fetchall()[0][0])
            elif what == b"GET":
                found = database.execute(READ, (words[1],)).fetchone()
                text = b"%d" % found[0] if found else b""
                self.transport.write(b"$%d\r\n%b\r\n" % (len(text), text) if found else b"$-1\r\n")
            else:
                self.transport.write(b"-ERR unknown command\r\n")


class Counters(protocol.Factory):
    """One protocol per connection, without the log line that Twisted writes at start."""

    protocol = Counting
    noisy = False


reactor.listenTCP(int(sys.argv[1]), Counters(), backlog=1024, interface="127.0.0.1")
reactor.run()
