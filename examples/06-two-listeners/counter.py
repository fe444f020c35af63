#!/usr/bin/env python3
"""One counter behind two doors: a port for the world, a socket file for this machine.

$ tap run counter.py
$ nc localhost 8206
$ nc -U counter.sock
"""

from taphouse import Application, Factory


class Counter(Factory):
    def __init__(self):
        self.count = 0

    async def serve(self, reader, writer):
        self.count += 1
        writer.write(b"%d\n" % self.count)


counter = Counter()
app = Application("counter")
app.listenTCP(8206, counter)
app.listenUNIX("counter.sock", counter, mode=0o600)

if __name__ == "__main__":
    app.run()
