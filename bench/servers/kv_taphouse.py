"""The showcase server of examples/08-kv on the port in BENCH_PORT; everything else is as it is there.

Run it as ``twistd -n -y kv_taphouse.py``.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples" / "08-kv"))

from keyvalue.caretaker import Caretaker
from keyvalue.keyspace import Keyspace

from taphouse import Application

keyspace = Keyspace()
application = Application("kv")
application.addService(Caretaker(keyspace))
application.listenTCP(int(os.environ["BENCH_PORT"]), keyspace, interface="127.0.0.1", backlog=1024)
