"""What waits in a listening socket's backlog: the kernel's own number, not what connect(2) lets one think.

A client's connect(2) returns with the server's answer; on a busy machine its last packet, which puts it
into the backlog, may be taken up later.
"""

from __future__ import annotations

import socket
import struct
import time

from playground import PATIENCE_S

__all__ = ["queued", "wait_queued"]

_BACKLOG = 24  # struct tcp_info, linux/tcp.h: of a socket that listens, tcpi_unacked says how many wait


def queued(listening: socket.socket) -> int:
    """Return how many connections wait to be accepted."""
    info = listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    return int(struct.unpack_from("I", info, _BACKLOG)[0])


def wait_queued(listening: socket.socket, count: int) -> None:
    """Return when ``count`` connections wait; nobody may be accepting."""
    deadline = time.monotonic() + PATIENCE_S
    while queued(listening) < count:
        assert time.monotonic() < deadline, f"{queued(listening)} of {count} connections wait"
        time.sleep(0.001)
