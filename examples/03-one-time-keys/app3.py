#!/usr/bin/env python3
"""One-time keys: whoever connects gets a number that nobody got before.

$ ./app3.py
$ twistd -f otk-start.tap
$ nc localhost 8123
$ kill -9 `cat twistd.pid`
$ twistd -f otk-shutdown.tap        # goes on where it was
$ nc localhost 8123
"""

from taphouse import Application, Factory, Protocol


class OneTimeKey(Protocol):
    def connection_made(self, transport):
        key = self.factory.nextkey
        self.factory.nextkey += 1  # remembered: a factory's attributes are durable
        print("giving key", key)  # goes to the log
        transport.write(b"%d\n" % key)
        transport.close()


f = Factory()
f.protocol = OneTimeKey
f.nextkey = 0

app = Application("otk")
app.listenTCP(8123, f)

app.save("start")
