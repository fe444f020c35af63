"""The same echo server as a taphouse application with state: a durable factory, nothing dirty per request.

The port comes in BENCH_PORT. Run it as ``twistd -n -y echo_taphouse.py``; ``python echo_taphouse.py`` saves
the seed ``echo-start.tap`` into the current folder.
"""

import os

from taphouse import Application, Factory, Protocol


class Echo(Protocol):
    """Answer what comes."""

    def data_received(self, data: bytes) -> None:
        """Answer with the same bytes."""
        self.transport.write(data)


class Echoes(Factory):
    """One protocol per connection, and a count of the starts so that there is state to keep."""

    protocol = Echo

    def __init__(self) -> None:
        self.starts = 0

    def started(self) -> None:
        """Count this start."""
        self.starts += 1


application = Application("echo")
application.listenTCP(int(os.environ["BENCH_PORT"]), Echoes(), interface="127.0.0.1", backlog=1024)

if __name__ == "__main__":
    application.save("start")
