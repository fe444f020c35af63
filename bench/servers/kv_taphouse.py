"""The showcase server, as examples/08-kv starts it, on the port in BENCH_PORT.

Run it as ``twistd -n -y kv_taphouse.py``.
"""

import os

from taphouse import Application
from taphouse.makers.kv.caretaker import Caretaker
from taphouse.makers.kv.keyspace import Keyspace

keyspace = Keyspace()
application = Application("kv")
application.addService(Caretaker(keyspace))
application.listenTCP(int(os.environ["BENCH_PORT"]), keyspace, interface="127.0.0.1", backlog=1024)
