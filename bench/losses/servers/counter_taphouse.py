"""A counter: INCR and a line end ask for the next number. Nothing here saves anything."""

import os

from taphouse import Application, Factory, Protocol


class Counting(Protocol):
    def data_received(self, data):
        for _ in range(data.count(b"\n")):
            self.factory.n += 1
            self.transport.write(b":%d\r\n" % self.factory.n)


class Counter(Factory):
    protocol, n = Counting, 0


app = Application("counter")
app.listenTCP(int(os.environ["COUNTER_PORT"]), Counter(), "127.0.0.1")
