"""The one-time key server of the README on the port in BENCH_PORT, for ``twistd -n -y otk_taphouse.py``."""

import os

from taphouse import Application, Factory, Protocol


class OneTimeKey(Protocol):
    """Give a key that nobody got before."""

    def connection_made(self, transport):
        """Give it and hang up."""
        key = self.factory.nextkey
        self.factory.nextkey += 1
        print("giving key", key)
        transport.write(b"%d\n" % key)
        transport.close()


class Keys(Factory):
    """What comes next."""

    protocol = OneTimeKey

    def __init__(self):
        self.nextkey = 0


application = Application("otk")
application.listenTCP(int(os.environ["BENCH_PORT"]), Keys(), interface="127.0.0.1", backlog=1024)
