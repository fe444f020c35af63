#!/usr/bin/env python3
"""A small Redis: what it has answered, it remembers.

    $ pip install taphouse[kv]
    $ tap start kv.py
    $ redis-cli -p 8208 incr visits
    $ kill -9 `cat kv.pid`
    $ tap start kv.py
    $ redis-cli -p 8208 get visits

The same server without a line of code: mktap kv -p 8208.  It has no password, so it listens on this machine
only.  It is written in taphouse/makers/kv/, a file for each noun.
"""

from taphouse import Application
from taphouse.makers.kv.caretaker import Caretaker
from taphouse.makers.kv.keyspace import Keyspace

keyspace = Keyspace()
app = Application("kv")
app.addService(Caretaker(keyspace))
app.listenTCP(8208, keyspace, interface="127.0.0.1")

if __name__ == "__main__":
    app.run()
