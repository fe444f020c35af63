#!/usr/bin/env python3
"""The time of day for whoever connects, till Control-C.

$ ./app1.py
$ nc localhost 8813         # in another terminal
"""

from taphouse import Application, Factory
from taphouse.protocols import Daytime

f = Factory()
f.protocol = Daytime

app = Application("daytimer")
app.listenTCP(8813, f)

app.run()
