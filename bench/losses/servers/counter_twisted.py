"""The same as in 2002: an application that is pickled whole when it stops in order.

Run as a program it writes counter-start.tap; ``twistd -f`` continues from a tap and saves
counter-shutdown.tap at the end.
"""

import os

from twisted.application import internet, service
from twisted.internet import protocol
from twisted.persisted import sob


class Counting(protocol.Protocol):
    def dataReceived(self, data):
        for _ in range(data.count(b"\n")):
            self.factory.n += 1
            self.transport.write(b":%d\r\n" % self.factory.n)


class Counter(protocol.Factory):
    protocol = Counting
    n = 0


def save():
    application = service.Application("counter")
    port = int(os.environ["COUNTER_PORT"])
    internet.TCPServer(port, Counter(), interface="127.0.0.1").setServiceParent(application)
    sob.IPersistable(application).save("start")


if __name__ == "__main__":
    # Pickle names classes by their module, which must not be __main__.
    import counter_twisted

    counter_twisted.save()
