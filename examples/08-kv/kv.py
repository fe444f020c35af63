#!/usr/bin/env python3
"""A small Redis: what it has answered, it remembers.

    $ pip install taphouse[kv]
    $ tap start kv.py
    $ redis-cli -p 8208 incr visits
    $ kill -9 `cat kv.pid`
    $ tap start kv.py
    $ redis-cli -p 8208 get visits

It has no password, so it listens on this machine only.  The rest is in keyvalue/, a file for each noun.
"""

from keyvalue.caretaker import Caretaker
from keyvalue.keyspace import Keyspace

from taphouse import Application

keyspace = Keyspace()
app = Application("kv")
app.addService(Caretaker(keyspace))
app.listenTCP(8208, keyspace, interface="127.0.0.1")

if __name__ == "__main__":
    app.run()
