"""The echo server as a Twisted application, for Twisted's twistd. The port comes in BENCH_PORT."""

import os

from twisted.application import internet, service
from twisted.internet import protocol


class Echo(protocol.Protocol):
    """Answer what comes."""

    def dataReceived(self, data):
        """Answer with the same bytes."""
        self.transport.write(data)


class EchoFactory(protocol.Factory):
    """One protocol per connection."""

    protocol = Echo


application = service.Application("echo")
internet.TCPServer(int(os.environ["BENCH_PORT"]), EchoFactory(), interface="127.0.0.1").setServiceParent(
    application
)
