"""proxy.py as a plain forwarder: its own tunnel handler, connected as soon as a client is there.

usage: forward_proxypy.py PORT TARGET_PORT
"""

import sys
import time

from proxy import Proxy
from proxy.core.base import BaseTcpTunnelHandler
from proxy.core.connection import TcpServerConnection


class Forward(BaseTcpTunnelHandler):
    """One client."""

    def initialize(self) -> None:
        """Connect to the target."""
        super().initialize()
        self.upstream = TcpServerConnection("127.0.0.1", int(sys.argv[2]))
        self.upstream.connect()

    def handle_data(self, data: memoryview) -> None:
        """Pass on what the client sends; the base class passes on what comes back."""
        self.upstream.queue(data)


if __name__ == "__main__":
    options = ["--hostname", "127.0.0.1", "--port", sys.argv[1], "--num-workers", "1", "--num-acceptors", "1"]
    with Proxy([*options, "--log-level", "error"], work_klass=Forward):
        while True:
            time.sleep(3600)
