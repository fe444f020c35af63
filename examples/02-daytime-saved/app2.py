#!/usr/bin/env python3
"""The same server, frozen into a file that twistd starts.

$ ./app2.py
$ twistd -f daytimer-start.tap
$ nc localhost 8813
$ kill `cat twistd.pid`
"""

from taphouse import Application, Factory
from taphouse.protocols import Daytime

f = Factory()
f.protocol = Daytime

app = Application("daytimer")
app.listenTCP(8813, f)

app.save("start")
