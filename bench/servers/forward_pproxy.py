"""pproxy as a plain forwarder, on uvloop: release 2.7.9 cannot start on one that makes no loop unasked.

usage: forward_pproxy.py PORT TARGET_PORT
"""

import asyncio
import sys

import uvloop
from pproxy.server import main

if __name__ == "__main__":
    port, target_port = sys.argv[1:]
    asyncio.set_event_loop(uvloop.new_event_loop())
    uvloop.install = lambda: None  # it would take the loop away again
    sys.argv[1:] = ["-l", f"tunnel{{127.0.0.1:{target_port}}}://127.0.0.1:{port}"]
    main()
