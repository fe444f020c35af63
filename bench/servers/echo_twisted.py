"""The same echo server on Twisted, on its default reactor or on asyncio with uvloop. Run by Twisted's own
venv.

usage: echo_twisted.py PORT default|uvloop
"""

import sys

if sys.argv[2] == "uvloop":
    import uvloop
    from twisted.internet import asyncioreactor

    asyncioreactor.install(uvloop.new_event_loop())

from twisted.internet import protocol, reactor


class Echo(protocol.Protocol):
    """Answer what comes."""

    def dataReceived(self, data):
        """Answer with the same bytes."""
        self.transport.write(data)


class EchoFactory(protocol.Factory):
    """One protocol per connection, without the log line that Twisted writes at start."""

    protocol = Echo
    noisy = False


reactor.listenTCP(int(sys.argv[1]), EchoFactory(), backlog=1024, interface="127.0.0.1")
reactor.run()
