"""The echo server as an application that remembers much and changes nothing while it is asked.

The port comes in BENCH_PORT. Every reply passes the gate: the factory is not stateless, nothing is dirty.
"""

import os

from taphouse import Application, Factory, Protocol


class Echo(Protocol):
    """Answer what comes."""

    def data_received(self, data: bytes) -> None:
        """Answer with the same bytes."""
        self.transport.write(data)


class Echoes(Factory):
    """Remembers a thousand numbers."""

    protocol = Echo

    def __init__(self) -> None:
        self.numbers = {f"key {number}": number for number in range(1000)}
        self.starts = 0

    def started(self) -> None:
        """Count this start; see that output is not let past the gate."""
        if self.stateless:
            raise SystemExit("a stateless factory has no gate: this would measure something else")
        self.starts += 1


application = Application("gate")
application.listenTCP(int(os.environ["BENCH_PORT"]), Echoes(), interface="127.0.0.1", backlog=1024)
